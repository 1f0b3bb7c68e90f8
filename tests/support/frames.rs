//! An HTTP/2 client in frames (RFC 9113), for what a library would hide.

use std::net::SocketAddr;

use super::client::Raw;

/// Frame types.
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RESET: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;

/// Flags.
pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// A connection that has exchanged its first settings.
pub struct Frames {
    raw: Raw,
}

impl Frames {
    pub fn connect(address: SocketAddr) -> Self {
        let mut frames = Self { raw: Raw::connect(address) };
        frames.raw.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        frames.send(SETTINGS, 0, 0, &[]);
        frames
    }

    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.raw.send(frame);
    }

    /// Asks for `GET /` of `shop.example` on a stream.
    pub fn get(&mut self, stream: u32) {
        // RFC 7541, appendix A: `:method GET`, `:scheme http`, `:path /`, and `:authority` with a literal value.
        let mut block = vec![0x82, 0x86, 0x84, 0x01, 12];
        block.extend(b"shop.example");
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, &block);
    }

    /// The next frame but settings, which are acknowledged, and window updates; `None` at the end of the connection.
    pub fn next(&mut self) -> Option<Frame> {
        loop {
            let frame = self.next_raw()?;
            match frame.kind {
                SETTINGS if frame.flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]),
                PING if frame.flags & ACK == 0 => self.send(PING, ACK, 0, &frame.payload),
                SETTINGS | PING | WINDOW_UPDATE => {}
                _ => return Some(frame),
            }
        }
    }

    /// The next frame, whatever it is; nothing is answered.
    fn next_raw(&mut self) -> Option<Frame> {
        let head = self.raw.exactly(9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
        Some(Frame { kind: head[3], flags: head[4], stream, payload: self.raw.exactly(length)? })
    }

    /// The next frame of this kind; others are passed over, and none is answered.
    pub fn await_raw(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next_raw()?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// The next window that opens, of which stream, and by how much; other frames are passed over.
    pub fn await_window(&mut self) -> Option<(u32, u32)> {
        let frame = self.await_raw(WINDOW_UPDATE)?;
        Some((frame.stream, u32::from_be_bytes(frame.payload.try_into().ok()?)))
    }

    /// The next frame of this kind; others are passed over.
    pub fn await_kind(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next()?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }
}
