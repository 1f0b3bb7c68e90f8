//! `MurmurHash3` for x86, 32 bits (Austin Appleby, `MurmurHash3_x86_32` of `SMHasher`, public domain), seed 0.

const C1: u32 = 0xcc9e_2d51;
const C2: u32 = 0x1b87_3593;

/// The hash of the bytes of all parts, one after the other.
pub(super) fn hash(parts: &[&str]) -> u32 {
    let mut state = 0_u32;
    let mut length = 0_u32;
    // The bytes that do not yet make four.
    let (mut tail, mut held) = (0_u32, 0_u32);
    for part in parts {
        let mut bytes = part.as_bytes();
        length = length.wrapping_add(bytes.len() as u32);
        while let ([byte, rest @ ..], 1..) = (bytes, held) {
            tail |= u32::from(*byte) << (8 * held);
            bytes = rest;
            held += 1;
            if held == 4 {
                state = block(state, tail);
                (tail, held) = (0, 0);
            }
        }
        let (blocks, rest) = bytes.as_chunks::<4>();
        for four in blocks {
            state = block(state, u32::from_le_bytes(*four));
        }
        for byte in rest {
            tail |= u32::from(*byte) << (8 * held);
            held += 1;
        }
    }
    // Without held bytes this changes nothing: scrambled zero is zero.
    state ^= scramble(tail);
    state ^= length;
    state ^= state >> 16;
    state = state.wrapping_mul(0x85eb_ca6b);
    state ^= state >> 13;
    state = state.wrapping_mul(0xc2b2_ae35);
    state ^ (state >> 16)
}

fn block(state: u32, four: u32) -> u32 {
    (state ^ scramble(four)).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
}

fn scramble(four: u32) -> u32 {
    four.wrapping_mul(C1).rotate_left(15).wrapping_mul(C2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hashes_are_given() {
        let known = [
            ("ejOoVL", 0),
            ("bY9fO-", 1),
            ("SI7p-", 0x7fff_ffff),
            ("6LvT0", 0x8000_0000),
            ("ceQdGm", 0xffff_ffff),
            ("", 0),
            ("hello, world", 0x149b_bb7f),
            ("The quick brown fox jumps over the lazy dog", 0x2e4f_f723),
        ];
        for (text, expected) in known {
            assert_eq!(hash(&[text]), expected, "{text}");
        }
    }

    #[test]
    fn it_makes_no_difference_where_a_key_is_cut_into_parts() {
        let text = "flag-key‖user-äöü-0123456789";
        let whole = hash(&[text]);
        for (i, _) in text.char_indices() {
            for (j, _) in text.char_indices().filter(|(j, _)| *j >= i) {
                assert_eq!(hash(&[&text[..i], &text[i..j], "", &text[j..]]), whole, "cut at {i} and {j}");
            }
        }
    }
}
