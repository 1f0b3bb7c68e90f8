//! Hashes by which fields are told apart.

/// Tells fields apart mostly; whoever takes two for one compares them.
pub(crate) fn hash(known: u8, name: &[u8], value: &[u8]) -> u64 {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let lengths = (value.len() as u64) << 16 | (name.len() as u64) << 8 | u64::from(known);
    let mut sum = lengths.wrapping_mul(MIX);
    for text in [name, value] {
        if !text.is_empty() {
            let (front, back) = ends(text);
            sum = (sum.rotate_left(23) ^ front).wrapping_mul(MIX);
            sum = (sum.rotate_left(23) ^ back).wrapping_mul(MIX);
        }
    }
    sum ^ sum >> 29
}

/// The first and the last eight bytes; of fewer, all of them, some twice.
fn ends(text: &[u8]) -> (u64, u64) {
    if let (Some(front), Some(back)) = (text.first_chunk(), text.last_chunk()) {
        return (u64::from_le_bytes(*front), u64::from_le_bytes(*back));
    }
    if let (Some(front), Some(back)) = (text.first_chunk(), text.last_chunk()) {
        return (u64::from(u32::from_le_bytes(*front)), u64::from(u32::from_le_bytes(*back)));
    }
    match text {
        [first, .., last] => (u64::from(*first), u64::from(text[1]) << 8 | u64::from(*last)),
        [only] => (u64::from(*only), 0),
        [] => (0, 0),
    }
}
