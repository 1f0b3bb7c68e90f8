//! A body taken apart: its data without the framing around it.

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use memchr::memchr;

use super::parse::fields;
use crate::wire::head::{Fields, is_field_line, trim};
use crate::wire::{Fault, HeadLimits};

/// Longest chunk-size line, extensions included.
const CHUNK_LINE: usize = 256;
/// What follows the data of the last chunk where there are no trailers.
const END_OF_CHUNKS: &[u8] = b"\r\n0\r\n\r\n";
const BAD_CHUNK_SIZE: Fault = Fault::Malformed("a chunk size is not a hexadecimal number");
const BAD_CHUNK_END: Fault = Fault::Malformed("a chunk is longer than its size");

/// Takes one body apart, out of a buffer that its owner fills.
#[derive(Debug)]
pub struct BodyDecoder(State);

#[derive(Debug)]
enum State {
    /// So many bytes are still to come.
    Length(u64),
    /// Until the other side closes.
    UntilClose,
    ChunkSize,
    /// So many bytes of this chunk are still to come, its CR LF not counted.
    ChunkData(u64),
    ChunkEnd,
    /// The trailer section; so much of it was looked at.
    Trailers {
        seen: usize,
        fields: Fields,
    },
    Ended,
}

/// What stands at the front of a body.
#[derive(Debug)]
pub enum Piece {
    /// Data, never empty.
    Data(Bytes),
    /// Trailers; the body has ended.
    Trailers(HeaderMap),
    /// The body has ended.
    End,
    /// The buffer has to be filled first.
    More,
}

impl BodyDecoder {
    /// A body of so many bytes.
    #[must_use]
    pub fn length(bytes: u64) -> Self {
        Self(if bytes == 0 { State::Ended } else { State::Length(bytes) })
    }

    /// A body in chunks.
    #[must_use]
    pub fn chunked() -> Self {
        Self(State::ChunkSize)
    }

    /// A body that ends when the other side closes the connection.
    #[must_use]
    pub fn until_close() -> Self {
        Self(State::UntilClose)
    }

    /// Whether the whole body was given out.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.0, State::Ended)
    }

    /// Whether it ends only when the other side closes.
    #[must_use]
    pub fn is_until_close(&self) -> bool {
        matches!(self.0, State::UntilClose)
    }

    /// How many bytes of data are still to come, where that is known.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        match self.0 {
            State::Length(left) => Some(left),
            State::Ended => Some(0),
            _ => None,
        }
    }

    /// Takes the next piece off the front of `buf`. `limits` bound the trailer section.
    ///
    /// # Errors
    /// What is wrong with the framing. The decoder must not be used after that.
    pub fn decode(&mut self, buf: &mut BytesMut, limits: HeadLimits) -> Result<Piece, Fault> {
        loop {
            match &mut self.0 {
                State::Ended => return Ok(Piece::End),
                _ if buf.is_empty() => return Ok(Piece::More),
                State::UntilClose => return Ok(Piece::Data(buf.split().freeze())),
                State::Length(left) => {
                    let data = take(buf, left);
                    if *left == 0 {
                        self.0 = State::Ended;
                    }
                    return Ok(Piece::Data(data));
                }
                State::ChunkData(left) => {
                    let data = take(buf, left);
                    if *left == 0 {
                        self.0 = State::ChunkEnd;
                        // An end that is there already need not be asked for.
                        if buf.starts_with(END_OF_CHUNKS) {
                            buf.advance(END_OF_CHUNKS.len());
                            self.0 = State::Ended;
                        }
                    }
                    return Ok(Piece::Data(data));
                }
                State::ChunkSize => {
                    let Some(end) = line(buf, CHUNK_LINE).map_err(|()| BAD_CHUNK_SIZE)? else { return Ok(Piece::More) };
                    let size = chunk_size(&buf[..end]).ok_or(BAD_CHUNK_SIZE)?;
                    buf.advance(end + 2);
                    self.0 = match size {
                        0 => State::Trailers { seen: 0, fields: Fields::of_trailers() },
                        size => State::ChunkData(size),
                    };
                }
                State::ChunkEnd => {
                    let Some(end) = line(buf, 1).map_err(|()| BAD_CHUNK_END)? else { return Ok(Piece::More) };
                    if end > 0 {
                        return Err(BAD_CHUNK_END);
                    }
                    buf.advance(2);
                    self.0 = State::ChunkSize;
                }
                State::Trailers { seen, fields: counted } => {
                    let Some(end) = trailers(buf, seen, counted, limits)? else { return Ok(Piece::More) };
                    let lines = counted.lines();
                    let section = buf.split_to(end).freeze();
                    self.0 = State::Ended;
                    return if lines == 0 {
                        Ok(Piece::End)
                    } else {
                        fields(&section, 0, lines, |_| true).map(Piece::Trailers)
                    };
                }
            }
        }
    }
}

/// At most `left` bytes off the front of `buf`.
fn take(buf: &mut BytesMut, left: &mut u64) -> Bytes {
    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(buf.len());
    *left -= length as u64;
    buf.split_to(length).freeze()
}

/// The length of the first line in `buf`, its CR LF not counted; `None` where it has no end yet, an error where that is
/// further away than `limit` or there is no CR before the LF.
fn line(buf: &[u8], limit: usize) -> Result<Option<usize>, ()> {
    match memchr(b'\n', buf) {
        Some(end) if end <= limit => buf[..end].strip_suffix(b"\r").map(|line| Some(line.len())).ok_or(()),
        None if buf.len() <= limit => Ok(None),
        _ => Err(()),
    }
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let extension = &line[digits..];
    let well_formed = (1..=15).contains(&digits)
        && matches!(trim(extension), [] | [b';', ..])
        && !extension.iter().any(|b| (*b < b' ' && *b != b'\t') || *b == 0x7f);
    let value = |digit: &u8| u64::from((*digit as char).to_digit(16).unwrap_or_default());
    well_formed.then(|| line[..digits].iter().fold(0, |sum, digit| sum << 4 | value(digit)))
}

/// Where the trailer section in `buf` ends, if it does.
fn trailers(buf: &[u8], seen: &mut usize, fields: &mut Fields, limits: HeadLimits) -> Result<Option<usize>, Fault> {
    while let Some(length) = memchr(b'\n', &buf[*seen..]) {
        let line = &buf[*seen..*seen + length];
        let line = line.strip_suffix(b"\r").ok_or(Fault::Malformed("a line ends without a carriage return"))?;
        *seen += length + 1;
        if line.is_empty() {
            return Ok(Some(*seen));
        }
        if !is_field_line(line) {
            return Err(Fault::Malformed("a trailer line is not a name and a value"));
        }
        // A framing field among them says nothing about framing any more; one that is malformed is refused all the same,
        // and forwarding drops it.
        fields.line(line, limits)?;
    }
    if buf.len() - *seen > limits.bytes { Err(Fault::TooLarge) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: HeadLimits = HeadLimits { bytes: 256, lines: 8 };

    /// Data, trailer lines and what is left in the buffer, reading `bytes` cut at `cuts`.
    fn decode(mut decoder: BodyDecoder, bytes: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, usize, Vec<u8>), Fault> {
        let (mut buf, mut data, mut trailers) = (BytesMut::new(), Vec::new(), 0);
        let ends = cuts.iter().copied().chain([bytes.len()]);
        let mut from = 0;
        for end in ends {
            buf.extend_from_slice(&bytes[from..end.max(from)]);
            from = from.max(end);
            loop {
                match decoder.decode(&mut buf, LIMITS)? {
                    Piece::Data(piece) => data.extend_from_slice(&piece),
                    Piece::Trailers(found) => trailers = found.len(),
                    Piece::End | Piece::More => break,
                }
            }
        }
        Ok((data, trailers, buf.to_vec()))
    }

    const CHUNKED: &[u8] = b"5;a=b\r\nhello\r\n0A\r\n, world...\r\n0\r\nx-a: 1\r\nx-b: 2\r\n\r\nGET";

    proptest! {
        #[test]
        fn however_a_body_is_cut_into_reads_it_is_the_same_body(mut cuts in prop::collection::vec(0..CHUNKED.len(), 0..8)) {
            cuts.sort_unstable();
            let whole = (b"hello, world...".to_vec(), 2, b"GET".to_vec());
            prop_assert_eq!(decode(BodyDecoder::chunked(), CHUNKED, &cuts), Ok(whole));
            let length = BodyDecoder::length(4);
            prop_assert_eq!(decode(length, CHUNKED, &cuts).map(|found| found.0), Ok(CHUNKED[..4].to_vec()));
        }
    }

    #[test]
    fn a_body_without_an_end_takes_all_there_is() {
        let found = decode(BodyDecoder::until_close(), b"abc", &[1]);
        assert_eq!(found, Ok((b"abc".to_vec(), 0, Vec::new())));
    }

    #[test]
    fn chunks_that_two_parsers_could_read_differently_are_refused() {
        for bad in [
            "g\r\n",
            "\r\n",
            "5\nhello",
            "-1\r\n",
            "0x5\r\n",
            "1 2\r\n",
            "5\r\nhello!\r\n",
            "5\r\nhello\n0\r\n",
            "5 ;a\x01\r\n",
            "1234567890123456\r\n",
            "0\r\nx-a 1\r\n\r\n",
            "0\r\n x: 1\r\n\r\n",
            "0\r\nx: 1\n\r\n",
        ] {
            assert!(decode(BodyDecoder::chunked(), bad.as_bytes(), &[]).is_err(), "{bad:?}");
        }
    }
}
