//! gRPC-Web puts the trailers into the body, as its last frame. A reader of the frames as they pass finds the status there
//! without keeping or changing anything; of a binary body it looks at the five bytes before each message alone.

use bytes::Bytes;
use memchr::memchr;

use super::Code;

/// The flag of a frame that holds trailers.
const TRAILERS: u8 = 0x80;
/// Most bytes of trailers that are read; longer ones say nothing here.
const MAX_TRAILERS: usize = 16 * 1024;

/// Reads a gRPC-Web body as it passes.
#[derive(Debug)]
pub struct WebTrailers {
    base64: Option<Base64>,
    place: Place,
    status: Option<u8>,
}

/// Where in the frames the reader is.
#[derive(Debug)]
enum Place {
    /// Within the five bytes before a frame, of which so many are known.
    Prefix([u8; 5], usize),
    /// Within a message, of which so many bytes are still to come.
    Message(u64),
    /// Within the trailers, of which so many bytes are still to come.
    Trailers(Vec<u8>, u64),
    /// The trailers were read, or this is no gRPC-Web.
    Over,
}

impl WebTrailers {
    /// `text`: the body is base64, as `application/grpc-web-text` is.
    #[must_use]
    pub fn new(text: bool) -> Self {
        Self { base64: text.then(Base64::default), place: Place::Prefix([0; 5], 0), status: None }
    }

    /// The next piece of the body.
    pub fn read(&mut self, data: &[u8]) {
        let Some(base64) = &mut self.base64 else { return self.place.read(data, &mut self.status) };
        for byte in data {
            match base64.push(*byte) {
                Ok(decoded) => self.place.read(&decoded.0[..decoded.1], &mut self.status),
                Err(NotBase64) => self.place = Place::Over,
            }
        }
    }

    /// The status, once the trailers were read.
    #[must_use]
    pub fn status(&self) -> Option<u8> {
        self.status
    }

    /// A frame of trailers with this status and sentence, where one can stand now: between two messages, before the
    /// body's own trailers.
    #[must_use]
    pub fn closing(&self, code: Code, message: &str) -> Option<Bytes> {
        let between =
            matches!(self.place, Place::Prefix(_, 0)) && self.base64.as_ref().is_none_or(|text| text.held == 0);
        if !between {
            return None;
        }
        let lines = [
            b"grpc-status:",
            code.digits().as_bytes(),
            b"\r\ngrpc-message:",
            super::message_value(message).as_bytes(),
            b"\r\n",
        ]
        .concat();
        let mut frame = vec![TRAILERS];
        frame.extend(u32::try_from(lines.len()).ok()?.to_be_bytes());
        frame.extend(lines);
        Some(if self.base64.is_some() { encode(&frame) } else { frame }.into())
    }
}

impl Place {
    fn read(&mut self, mut data: &[u8], status: &mut Option<u8>) {
        while !data.is_empty() {
            match self {
                Self::Prefix(prefix, known) => {
                    let taken = data.len().min(prefix.len() - *known);
                    prefix[*known..*known + taken].copy_from_slice(&data[..taken]);
                    *known += taken;
                    data = &data[taken..];
                    if *known == prefix.len() {
                        let [flag, length @ ..] = *prefix;
                        let length = u64::from(u32::from_be_bytes(length));
                        *self = match flag {
                            TRAILERS => Self::Trailers(Vec::new(), length),
                            flag if flag & TRAILERS != 0 => Self::Over,
                            _ => Self::message(length),
                        };
                    }
                }
                Self::Message(left) => {
                    let taken = skip(&mut data, *left);
                    *self = Self::message(*left - taken);
                }
                Self::Trailers(block, left) => {
                    let before = data;
                    let taken = skip(&mut data, *left);
                    if block.len() + before.len() - data.len() <= MAX_TRAILERS {
                        block.extend_from_slice(&before[..before.len() - data.len()]);
                    }
                    *left -= taken;
                    if *left == 0 {
                        *status = status_line(block);
                        *self = Self::Over;
                    }
                }
                Self::Over => return,
            }
        }
    }

    fn message(left: u64) -> Self {
        if left == 0 { Self::Prefix([0; 5], 0) } else { Self::Message(left) }
    }
}

/// Passes over at most `most` bytes; how many there were.
fn skip(data: &mut &[u8], most: u64) -> u64 {
    let taken = usize::try_from(most).map_or(data.len(), |most| most.min(data.len()));
    *data = &data[taken..];
    taken as u64
}

/// The status in a block of `name: value` lines.
fn status_line(block: &[u8]) -> Option<u8> {
    block.split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(memchr(b':', line)?)?;
        name.trim_ascii().eq_ignore_ascii_case(b"grpc-status").then(|| Code::parse(value[1..].trim_ascii()))?
    })
}

/// Standard base64 (RFC 4648, section 4) of several pieces, each of which may end in padding.
#[derive(Debug, Default)]
struct Base64 {
    quad: [u8; 4],
    held: usize,
}

struct NotBase64;

/// Up to three bytes.
struct Decoded([u8; 3], usize);

impl Base64 {
    fn push(&mut self, byte: u8) -> Result<Decoded, NotBase64> {
        self.quad[self.held] = byte;
        self.held += 1;
        if self.held < self.quad.len() {
            return Ok(Decoded([0; 3], 0));
        }
        self.held = 0;
        let padding = self.quad.iter().rev().take_while(|byte| **byte == b'=').count();
        if padding > 2 {
            return Err(NotBase64);
        }
        let mut bits = 0;
        for byte in &self.quad[..4 - padding] {
            bits = bits << 6 | u32::from(sextet(*byte).ok_or(NotBase64)?);
        }
        let [_, decoded @ ..] = (bits << (6 * padding)).to_be_bytes();
        Ok(Decoded(decoded, 3 - padding))
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

fn encode(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let sextet = bits >> (18 - 6 * place) & 63;
            text.push(if place <= group.len() { ALPHABET[sextet as usize] } else { b'=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(flag: u8, content: &[u8]) -> Vec<u8> {
        [&[flag][..], &u32::try_from(content.len()).unwrap().to_be_bytes(), content].concat()
    }

    fn read(text: bool, pieces: &[&[u8]]) -> WebTrailers {
        let mut reader = WebTrailers::new(text);
        for piece in pieces {
            reader.read(piece);
        }
        reader
    }

    proptest! {
        #[test]
        fn the_status_is_found_however_the_body_is_cut(
            messages in prop::collection::vec((0_u8..2, prop::collection::vec(any::<u8>(), 0..40)), 0..5),
            status in 0_u8..20,
            text in any::<bool>(),
            whole in any::<bool>(),
            cut in 1_usize..9,
        ) {
            let mut frames: Vec<_> = messages.iter().map(|(flag, content)| frame(*flag, content)).collect();
            frames.push(frame(0x80, format!("grpc-message: a:b\r\nGrpc-Status: {status}\r\n").as_bytes()));
            let body = match (text, whole) {
                (false, _) => frames.concat(),
                (true, true) => encode(&frames.concat()),
                // Servers pad every frame for itself.
                (true, false) => frames.iter().flat_map(|frame| encode(frame)).collect(),
            };
            let mut reader = WebTrailers::new(text);
            for piece in body.chunks(cut) {
                prop_assert_eq!(reader.status(), None);
                reader.read(piece);
            }
            prop_assert_eq!(reader.status(), Some(status));
            prop_assert_eq!(reader.closing(Code::Internal, ""), None);
        }

        #[test]
        fn nothing_that_passes_makes_it_stumble(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..20), text in any::<bool>()) {
            let mut reader = WebTrailers::new(text);
            for piece in &pieces {
                reader.read(piece);
        }
        }

        #[test]
        fn base64_comes_back_as_it_was(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut base64 = Base64::default();
            let mut back = Vec::new();
            for byte in encode(&bytes) {
                let Ok(Decoded(decoded, length)) = base64.push(byte) else { panic!("not base64") };
                back.extend_from_slice(&decoded[..length]);
            }
            prop_assert_eq!(back, bytes);
        }
    }

    #[test]
    fn a_body_without_readable_trailers_has_no_status() {
        for body in [
            frame(0, b"hello"),
            frame(0x80, b"grpc-message:x\r\n"),
            frame(0x80, b"grpc-status:x\r\n"),
            frame(0x81, b"grpc-status:0\r\n"),
            frame(0x80, &[&[b'x'; 10_000][..], &[b'x'; 10_000], b"\r\ngrpc-status:0\r\n"].concat()),
            frame(0x80, b"grpc-status:0")[..16].to_vec(),
        ] {
            assert_eq!(read(false, &[&body]).status(), None, "{body:?}");
        }
        assert_eq!(read(true, &[b"!!!!", &encode(&frame(0x80, b"grpc-status:0\r\n"))]).status(), None);
    }

    #[test]
    fn a_body_that_breaks_off_can_be_closed_between_two_messages_alone() {
        let message = frame(0, b"hello");
        for text in [false, true] {
            let body = if text { encode(&message) } else { message.clone() };
            for cut in 0..=body.len() {
                let reader = read(text, &[&body[..cut]]);
                let closing = reader.closing(Code::Unavailable, "100%");
                assert_eq!(closing.is_some(), cut == 0 || cut == body.len(), "{cut} of {body:?}");
                if let Some(closing) = closing {
                    assert_eq!(read(text, &[&body[..cut], &closing]).status(), Some(14));
                }
            }
        }
        let closing = WebTrailers::new(false).closing(Code::Unavailable, "100%").unwrap();
        assert_eq!(&closing[5..], b"grpc-status:14\r\ngrpc-message:100%25\r\n");
    }
}
