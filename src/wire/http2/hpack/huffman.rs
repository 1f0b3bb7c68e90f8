//! The Huffman code of header strings (RFC 7541, section 5.2 and appendix B).
//!
//! The code is canonical: codes of one length are consecutive, and ordered by symbol. So the lengths say everything, and a
//! decoder needs a table for the short codes, which nearly all text is made of, and one comparison a length for the others.

/// Length in bits of each symbol's code; the last is the end of the string, which never stands in one.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
    28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12,
    10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6,
    5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22,
    22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20,
    22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28,
    27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28,
    27, 27, 27, 27, 27, 26, 30,
];
/// Longest code.
const LONGEST: usize = 30;
/// Codes up to this length are found at once.
const SHORT: u32 = 8;
const END: u16 = 256;

/// How the code is looked up.
struct Code {
    /// By the next [`SHORT`] bits: symbol and length of the code they begin with; a length of 0 where that is longer.
    short: [(u8, u8); 1 << SHORT],
    /// By length: the first code, how many there are, and where their symbols stand in `symbols`.
    first: [u32; LONGEST + 1],
    count: [u32; LONGEST + 1],
    at: [u16; LONGEST + 1],
    /// Symbols by code.
    symbols: [u16; 257],
}

static CODE: Code = code();

const fn code() -> Code {
    let mut code = Code {
        short: [(0, 0); 1 << SHORT],
        first: [0; LONGEST + 1],
        count: [0; LONGEST + 1],
        at: [0; LONGEST + 1],
        symbols: [0; 257],
    };
    let (mut next, mut placed, mut length) = (0_u32, 0, 1);
    while length <= LONGEST {
        next <<= 1;
        code.first[length] = next;
        code.at[length] = placed;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == length {
                code.symbols[placed as usize] = symbol as u16;
                if length <= SHORT as usize {
                    let spare = SHORT as usize - length;
                    let mut rest = 0;
                    while rest < 1 << spare {
                        code.short[((next as usize) << spare) + rest] = (symbol as u8, length as u8);
                        rest += 1;
                    }
                }
                next += 1;
                placed += 1;
                code.count[length] += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    code
}

/// Appends what `coded` stands for; `false` where it is no string in this code.
#[must_use]
pub(super) fn decode(mut coded: &[u8], into: &mut Vec<u8>) -> bool {
    into.reserve(coded.len() * 8 / 5);
    // The next bits, the first of them on top, and how many they are: enough for any code, as long as there are so many.
    let (mut bits, mut length) = (0_u64, 0_u32);
    loop {
        if length < 32 {
            if let Some((four, rest)) = coded.split_first_chunk() {
                bits |= u64::from(u32::from_be_bytes(*four)) << (32 - length);
                length += 32;
                coded = rest;
            } else {
                for byte in std::mem::take(&mut coded) {
                    bits |= u64::from(*byte) << (56 - length);
                    length += 8;
                }
            }
        }
        let (symbol, used) = match CODE.short[(bits >> (64 - SHORT)) as usize] {
            (_, 0) => long(bits),
            (symbol, used) => (u16::from(symbol), u32::from(used)),
        };
        if used > length {
            // What is left is no code: fewer than eight bits, all of them 1, fill the last byte.
            return length < 8 && (length == 0 || bits >> (64 - length) == (1 << length) - 1);
        }
        if symbol == END {
            return false;
        }
        into.push(symbol as u8);
        bits <<= used;
        length -= used;
    }
}

/// Symbol and length of a code that is longer than [`SHORT`].
#[cold]
fn long(bits: u64) -> (u16, u32) {
    for length in SHORT as usize + 1..LONGEST {
        let code = (bits >> (64 - length)) as u32;
        let nth = code.wrapping_sub(CODE.first[length]);
        if nth < CODE.count[length] {
            return (CODE.symbols[CODE.at[length] as usize + nth as usize], length as u32);
        }
    }
    // Invariant: the code is complete, so what is no shorter code is one of the longest.
    let nth = ((bits >> (64 - LONGEST)) as u32).wrapping_sub(CODE.first[LONGEST]);
    (CODE.symbols[CODE.at[LONGEST] as usize + nth as usize], LONGEST as u32)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A string in this code.
    pub(in crate::wire::http2::hpack) fn encode(text: &[u8]) -> Vec<u8> {
        let (mut out, mut bits, mut length) = (Vec::new(), 0_u64, 0);
        for symbol in text {
            let of = usize::from(LENGTHS[usize::from(*symbol)]);
            let at = usize::from(CODE.at[of]);
            let nth = CODE.symbols[at..].iter().position(|known| *known == u16::from(*symbol)).unwrap();
            bits = bits << of | u64::from(CODE.first[of] + nth as u32);
            length += of;
            while length >= 8 {
                length -= 8;
                out.push((bits >> length) as u8);
            }
        }
        if length > 0 {
            out.push((bits << (8 - length)) as u8 | 0xff >> length);
        }
        out
    }

    fn decoded(coded: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(coded, &mut out).then_some(out)
    }

    #[test]
    fn a_string_is_coded_as_the_specification_does() {
        // RFC 7541, appendix C.4.1.
        let coded = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert_eq!(encode(b"www.example.com"), coded);
        assert_eq!(decoded(&coded).as_deref(), Some(&b"www.example.com"[..]));
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for bad in [&[0xff][..], &[0xff, 0xff, 0xff, 0xff], &[0xff, 0xff, 0xff, 0xff, 0xff], &[0x00], &[0x1f, 0xff]] {
            assert_eq!(decoded(bad), None, "{bad:02x?}");
        }
        assert_eq!(decoded(&[]), Some(Vec::new()));
        assert_eq!(decoded(&[0x07]), Some(b"0".to_vec()));
    }

    proptest! {
        #[test]
        fn what_was_coded_is_decoded(text in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(decoded(&encode(&text)), Some(text));
        }

        #[test]
        fn whatever_comes_is_decoded_or_refused(coded in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Some(text) = decoded(&coded) {
                prop_assert!(text.len() <= coded.len() * 8 / 5);
                prop_assert_eq!(encode(&text), coded);
            }
        }
    }
}
