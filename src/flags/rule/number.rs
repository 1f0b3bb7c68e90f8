//! Numbers as JavaScript writes and reads them
//! ([ECMA-262](https://tc39.es/ecma262/), `Number::toString` and `StringToNumber`).

/// A number as text: the shortest that reads back as the same number.
pub(super) fn to_text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    if number.fract() == 0.0 && number.abs() < 1e15 {
        // Whole and below 2^53: the same digits. Minus zero has no sign.
        return (number as i64).to_string();
    }
    let sign = if number < 0.0 { "-" } else { "" };
    // Rust's shortest digits are JavaScript's; only where the point stands differs.
    let scientific = format!("{:e}", number.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    // Digits before the point, if it were written without an exponent.
    let point = exponent.parse::<i32>().unwrap_or(0) + 1;
    // At most 17.
    let count = i32::try_from(digits.len()).unwrap_or(0);
    let zeros = |count: i32| "0".repeat(count.unsigned_abs() as usize);
    if count <= point && point <= 21 {
        format!("{sign}{digits}{}", zeros(point - count))
    } else if 0 < point && point <= 21 {
        let (whole, rest) = digits.split_at(point as usize);
        format!("{sign}{whole}.{rest}")
    } else if -6 < point && point <= 0 {
        format!("{sign}0.{}{digits}", zeros(point))
    } else {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        format!("{sign}{first}{dot}{rest}e{}{}", if point > 0 { '+' } else { '-' }, (point - 1).abs())
    }
}

/// The number that a text is; NaN if it is none. The empty text is 0.
pub(super) fn from_text(text: &str) -> f64 {
    let text = text.trim_matches(is_space);
    if text.is_empty() {
        return 0.0;
    }
    let bytes = text.as_bytes();
    if let [b'0', radix, digits @ ..] = bytes {
        let radix = match radix {
            b'x' | b'X' => 16,
            b'o' | b'O' => 8,
            b'b' | b'B' => 2,
            _ => 10,
        };
        if radix != 10 {
            return whole(digits, radix);
        }
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned == "Infinity" || is_decimal(unsigned.as_bytes()) {
        // Rust knows "Infinity" too.
        return text.parse().unwrap_or(f64::NAN);
    }
    f64::NAN
}

/// White space and line ends as JavaScript counts them.
fn is_space(c: char) -> bool {
    c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}')
}

fn whole(digits: &[u8], radix: u32) -> f64 {
    let value = |digit: &u8| (*digit as char).to_digit(radix).map(f64::from);
    let sum = digits.iter().try_fold(0.0, |sum, digit| Some(sum * f64::from(radix) + value(digit)?));
    if digits.is_empty() { f64::NAN } else { sum.unwrap_or(f64::NAN) }
}

/// Digits with at most one point, at least one of them, and an exponent if there is one.
fn is_decimal(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let before = digits(text);
    let mut rest = &text[before..];
    let mut after = 0;
    if let [b'.', tail @ ..] = rest {
        after = digits(tail);
        rest = &tail[after..];
    }
    if before + after == 0 {
        return false;
    }
    let exponent = match rest {
        [] => return true,
        [b'e' | b'E', b'+' | b'-', exponent @ ..] | [b'e' | b'E', exponent @ ..] => exponent,
        _ => return false,
    };
    !exponent.is_empty() && digits(exponent) == exponent.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_javascript_writes_them() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (3.0, "3"),
            (-1.5, "-1.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e21, "1e+21"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (1e-6, "0.000001"),
            (1.5e-7, "1.5e-7"),
            (5e-324, "5e-324"),
            (1.797_693_134_862_315_7e308, "1.7976931348623157e+308"),
            (1e15, "1000000000000000"),
            (2_251_799_813_685_248.5, "2251799813685248.5"),
            (f64::INFINITY, "Infinity"),
            (f64::NAN, "NaN"),
        ];
        for (number, text) in cases {
            assert_eq!(to_text(number), text);
        }
    }

    #[test]
    fn numbers_are_read_as_javascript_reads_them() {
        let cases = [
            ("", 0.0),
            (" \n\t12 ", 12.0),
            ("\u{feff}7", 7.0),
            ("0x1F", 31.0),
            ("0b101", 5.0),
            ("0o17", 15.0),
            ("010", 10.0),
            ("-.5", -0.5),
            ("5.", 5.0),
            ("+1e3", 1000.0),
            ("1E-2", 0.01),
            ("-Infinity", f64::NEG_INFINITY),
        ];
        for (text, number) in cases {
            assert_eq!(from_text(text).to_bits(), f64::to_bits(number), "{text}");
        }
        for text in ["abc", "1 2", ".", "e5", "1e", "1e+", "0x", "-0x1", "inf", "nan", "1_000", "1n", "infinity", "0b2"]
        {
            assert!(from_text(text).is_nan(), "{text}");
        }
    }
}
