//! Header compression for HTTP/2 (RFC 7541).

mod decoder;
mod encoder;
mod field;
mod hash;
mod huffman;
mod integer;
mod lately;
mod statics;

pub(crate) use decoder::{Decoder, Effects, Undecodable};
pub(crate) use encoder::Encoder;
pub(crate) use field::Field;
pub(crate) use hash::hash;
pub(crate) use statics::{is_of_a_connection, number_of};

/// Bytes a field counts in a table or a header list on top of its name and value (RFC 7541, section 4.1).
pub(crate) const OVERHEAD: usize = 32;
/// Most bytes of a dynamic table on either side: the size that holds where nobody says another (RFC 9113, section 6.5.2).
const TABLE_SIZE: usize = 4096;

#[cfg(test)]
mod tests;
