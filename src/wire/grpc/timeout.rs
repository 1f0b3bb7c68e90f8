//! How long a caller waits: at most eight digits and a unit.

use std::time::Duration;

use http::HeaderValue;

/// Longest number.
const DIGITS: usize = 8;
/// What eight digits cannot say.
const TOO_MUCH: u128 = 100_000_000;

/// The timeout that a header asks for; `None` where it is malformed. Zero is a time that has passed already: grpc-go
/// sends it for a deadline in the past.
#[must_use]
pub fn parse_timeout(value: &HeaderValue) -> Option<Duration> {
    let (unit, digits) = value.as_bytes().split_last()?;
    if digits.is_empty() || digits.len() > DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0, |number: u64, digit| number * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(number * 3600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

/// `left` in the finest unit that holds it, never more than it is, so that who is asked gives up no later than who asks.
#[must_use]
pub fn format_timeout(left: Duration) -> HeaderValue {
    let seconds = u128::from(left.as_secs());
    let (number, unit) = [
        (left.as_nanos(), 'n'),
        (left.as_micros(), 'u'),
        (left.as_millis(), 'm'),
        (seconds, 'S'),
        (seconds / 60, 'M'),
        (seconds / 3600, 'H'),
    ]
    .into_iter()
    .find(|(number, _)| *number < TOO_MUCH)
    .unwrap_or((TOO_MUCH - 1, 'H'));
    // Invariant: digits and a letter.
    HeaderValue::try_from(format!("{number}{unit}")).unwrap_or(HeaderValue::from_static("1n"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Option<Duration> {
        parse_timeout(&HeaderValue::from_str(text).unwrap())
    }

    #[test]
    fn every_unit_is_known() {
        for (text, timeout) in [
            ("1H", Duration::from_hours(1)),
            ("2M", Duration::from_mins(2)),
            ("3S", Duration::from_secs(3)),
            ("4m", Duration::from_millis(4)),
            ("5u", Duration::from_micros(5)),
            ("6n", Duration::from_nanos(6)),
            ("0n", Duration::ZERO),
            ("00000001S", Duration::from_secs(1)),
            ("99999999H", Duration::from_hours(99_999_999)),
        ] {
            assert_eq!(parsed(text), Some(timeout), "{text}");
        }
    }

    #[test]
    fn what_is_malformed_is_no_timeout() {
        for text in
            ["", "S", "5", "5s", "5h", "-5S", "+5S", "5.0S", " 5S", "5S ", "5 S", "100000000n", "000000001S", "5SS"]
        {
            assert_eq!(parsed(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_passed_on_is_never_longer_and_hardly_shorter(nanos in 1_u64..) {
            let left = Duration::from_nanos(nanos);
            let value = format_timeout(left);
            prop_assert!(value.len() <= DIGITS + 1, "{value:?}");
            let told = parse_timeout(&value).expect("well-formed");
            prop_assert!(told <= left && left.saturating_sub(told) <= left / 1000, "{left:?} became {told:?}");
        }
    }
}
