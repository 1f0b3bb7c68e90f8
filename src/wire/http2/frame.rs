//! Frames as they are written (RFC 9113, section 6).

use super::error::Reason;

/// Bytes before a frame's payload.
pub(super) const HEAD: usize = 9;
/// Most bytes of a payload this side takes: what holds where nobody says another number.
pub(super) const MAX_PAYLOAD: usize = 16 * 1024;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 0x1;
pub(super) const ACK: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
pub(super) const PADDED: u8 = 0x8;
pub(super) const HAS_PRIORITY: u8 = 0x20;

/// What stands before a frame's payload of `length` bytes.
pub(super) fn head(length: usize, kind: u8, flags: u8, stream: u32) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..3].copy_from_slice(&(length as u32).to_be_bytes()[1..]);
    head[3..5].copy_from_slice(&[kind, flags]);
    head[5..].copy_from_slice(&stream.to_be_bytes());
    head
}

pub(super) fn reset(into: &mut Vec<u8>, stream: u32, reason: Reason) {
    into.extend_from_slice(&head(4, RST_STREAM, 0, stream));
    into.extend_from_slice(&reason.0.to_be_bytes());
}

pub(super) fn window_update(into: &mut Vec<u8>, stream: u32, increment: u32) {
    into.extend_from_slice(&head(4, WINDOW_UPDATE, 0, stream));
    into.extend_from_slice(&increment.to_be_bytes());
}

pub(super) fn ping(into: &mut Vec<u8>, ack: bool, payload: [u8; 8]) {
    into.extend_from_slice(&head(8, PING, if ack { ACK } else { 0 }, 0));
    into.extend_from_slice(&payload);
}

pub(super) fn go_away(into: &mut Vec<u8>, last: u32, reason: Reason) {
    into.extend_from_slice(&head(8, GOAWAY, 0, 0));
    into.extend_from_slice(&last.to_be_bytes());
    into.extend_from_slice(&reason.0.to_be_bytes());
}

/// Makes a HEADERS frame of the block that stands in `into` from [`HEAD`] bytes after `start`; several where it is longer than
/// a frame may be.
pub(super) fn headers(into: &mut Vec<u8>, start: usize, stream: u32, end: bool, max: usize) {
    let length = into.len() - start - HEAD;
    let end = if end { END_STREAM } else { 0 };
    if length <= max {
        into[start..start + HEAD].copy_from_slice(&head(length, HEADERS, END_HEADERS | end, stream));
        return;
    }
    let block = into.split_off(start + HEAD);
    into.truncate(start);
    let pieces = block.len().div_ceil(max);
    for (nth, piece) in block.chunks(max).enumerate() {
        let last = if nth + 1 == pieces { END_HEADERS } else { 0 };
        let (kind, end) = if nth == 0 { (HEADERS, end) } else { (CONTINUATION, 0) };
        into.extend_from_slice(&head(piece.len(), kind, last | end, stream));
        into.extend_from_slice(piece);
    }
}
