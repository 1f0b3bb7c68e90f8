//! One message as a body carries it: a flag, a length, the message.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

/// Flag and length.
const PREFIX: usize = 5;

/// Why a body is not one message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// It ends before the message does, or goes on after it.
    #[error("the body is not one message")]
    Length,
    /// Compressed, which was not offered.
    #[error("the message is compressed")]
    Compressed,
    /// No protobuf of this type.
    #[error("the message cannot be read: {0}")]
    Protobuf(String),
}

/// One message, uncompressed.
#[must_use]
pub fn encode(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut framed = BytesMut::with_capacity(PREFIX + length);
    framed.put_u8(0);
    // Invariant: messages made here are a few bytes long, or a few per service.
    framed.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    framed.extend_from_slice(&message.encode_to_vec());
    framed.freeze()
}

/// The one message of a body.
///
/// # Errors
/// The body is not exactly one uncompressed message of this type.
pub fn decode<T: Message + Default>(body: &[u8]) -> Result<T, BadMessage> {
    let (prefix, message) = body.split_at_checked(PREFIX).ok_or(BadMessage::Length)?;
    if prefix[0] != 0 {
        return Err(BadMessage::Compressed);
    }
    let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]);
    if usize::try_from(length).ok() != Some(message.len()) {
        return Err(BadMessage::Length);
    }
    T::decode(message).map_err(|error| BadMessage::Protobuf(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::grpc_health::HealthCheckRequest;

    #[test]
    fn a_message_is_read_as_it_was_written_and_nothing_else_is() {
        let asked = HealthCheckRequest { service: "shop".to_owned() };
        let framed = encode(&asked);
        assert_eq!(&framed[..], b"\0\0\0\0\x06\x0a\x04shop");
        assert_eq!(decode::<HealthCheckRequest>(&framed), Ok(asked));
        assert_eq!(decode::<HealthCheckRequest>(b"\0\0\0\0\0"), Ok(HealthCheckRequest::default()));
        for short in 0..framed.len() {
            assert_eq!(decode::<HealthCheckRequest>(&framed[..short]), Err(BadMessage::Length));
        }
        assert_eq!(decode::<HealthCheckRequest>(&[&framed[..], b"x"].concat()), Err(BadMessage::Length));
        assert_eq!(decode::<HealthCheckRequest>(b"\x01\0\0\0\0"), Err(BadMessage::Compressed));
        assert!(matches!(decode::<HealthCheckRequest>(b"\0\0\0\0\x02\x0a\x04"), Err(BadMessage::Protobuf(_))));
    }
}
