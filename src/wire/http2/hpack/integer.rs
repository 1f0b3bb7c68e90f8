//! Integers with a prefix of some bits (RFC 7541, section 5.1).

/// Most bytes after the prefix: what is longer is beyond every bound here.
const MOST_BYTES: u32 = 4;

/// Appends `value` behind the `bits` low bits of `first`, whose other bits are passed through.
#[inline]
pub(super) fn encode(into: &mut Vec<u8>, first: u8, bits: u32, value: usize) {
    let most = (1 << bits) - 1;
    if value < most {
        into.push(first | value as u8);
        return;
    }
    into.push(first | most as u8);
    encode_rest(into, value - most);
}

fn encode_rest(into: &mut Vec<u8>, mut rest: usize) {
    while rest >= 0x80 {
        into.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    into.push(rest as u8);
}

/// The integer at the front of `bytes`, of which it is cut off. `None`: it is not there whole, or larger than any that means
/// something.
#[inline]
pub(super) fn decode(bytes: &mut &[u8], bits: u32) -> Option<usize> {
    let (first, rest) = bytes.split_first()?;
    let most = (1 << bits) - 1;
    let value = usize::from(*first) & most;
    *bytes = rest;
    if value == most { decode_rest(bytes, most) } else { Some(value) }
}

fn decode_rest(bytes: &mut &[u8], mut value: usize) -> Option<usize> {
    let mut shift = 0;
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value += usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
        shift += 7;
        if shift == 7 * MOST_BYTES {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_specification_hold() {
        // RFC 7541, appendix C.1.
        for (value, bits, expected) in [(10, 5, &[10][..]), (1337, 5, &[31, 154, 10]), (42, 8, &[42])] {
            let mut bytes = Vec::new();
            encode(&mut bytes, 0, bits, value);
            assert_eq!(bytes, expected);
            assert_eq!(decode(&mut &bytes[..], bits), Some(value));
        }
    }

    #[test]
    fn an_integer_that_is_too_long_or_not_whole_is_none() {
        assert_eq!(decode(&mut &[][..], 7), None);
        assert_eq!(decode(&mut &[0x7f][..], 7), None);
        assert_eq!(decode(&mut &[0x7f, 0x80][..], 7), None);
        assert_eq!(decode(&mut &[0x7f, 0x80, 0x80, 0x80, 0x80, 0][..], 7), None);
        assert_eq!(decode(&mut &[0x7f, 0xff, 0xff, 0xff, 0x7f][..], 7), Some(127 + 0x0fff_ffff));
    }
}
