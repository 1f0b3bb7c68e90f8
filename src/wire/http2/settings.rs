//! What the two sides tell each other about themselves (RFC 9113, section 6.5).

use super::error::{Fault, Reason};
use super::frame::{self, SETTINGS};

const HEADER_TABLE_SIZE: u16 = 1;
const ENABLE_PUSH: u16 = 2;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;
const MAX_HEADER_LIST_SIZE: u16 = 6;

/// A window where nobody says another size, and that of every connection at first.
pub(super) const DEFAULT_WINDOW: u32 = 65_535;
/// Largest a window may be.
pub(super) const MAX_WINDOW: u32 = 0x7fff_ffff;
/// Most settings in one frame: there are six, and a few more that nobody here knows.
const MOST: usize = 64;
/// Longest payload this side writes: no stream is to hold up the others for longer.
const MAX_FRAME: usize = 64 * 1024;

/// What the other side has said of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    /// Bytes of header compression's table.
    pub(super) table: Option<usize>,
    /// Streams that it takes at a time.
    pub(super) streams: u32,
    /// The window of a new stream.
    pub(super) window: u32,
    /// Most bytes of a frame's payload.
    pub(super) frame: usize,
}

impl Default for Peer {
    fn default() -> Self {
        // How many streams there may be is not bounded by the specification; until it is said nobody should count on more.
        Self { table: None, streams: 100, window: DEFAULT_WINDOW, frame: frame::MAX_PAYLOAD }
    }
}

impl Peer {
    /// Takes a SETTINGS frame.
    ///
    /// # Errors
    /// A value that may not be.
    pub(super) fn take(&mut self, payload: &[u8], of_server: bool, first: bool) -> Result<(), Fault> {
        let (settings, []) = payload.as_chunks::<6>() else {
            return Err(Fault::size("SETTINGS are not of 6 bytes each"));
        };
        if settings.len() > MOST {
            return Err(Fault::calm("there are more settings than anyone needs"));
        }
        if first {
            self.streams = u32::MAX;
        }
        for [a, b, w, x, y, z] in settings {
            let value = u32::from_be_bytes([*w, *x, *y, *z]);
            match u16::from_be_bytes([*a, *b]) {
                HEADER_TABLE_SIZE => self.table = Some(value as usize),
                ENABLE_PUSH if value > 1 || (of_server && value == 1) => {
                    return Err(Fault::protocol("ENABLE_PUSH is neither 0 nor 1"));
                }
                MAX_CONCURRENT_STREAMS => self.streams = value,
                INITIAL_WINDOW_SIZE if value > MAX_WINDOW => {
                    return Err(Fault::new(Reason::FLOW_CONTROL_ERROR, "a window is larger than any may be"));
                }
                INITIAL_WINDOW_SIZE => self.window = value,
                MAX_FRAME_SIZE if !(1 << 14..1 << 24).contains(&value) => {
                    return Err(Fault::protocol("MAX_FRAME_SIZE is not within its bounds"));
                }
                MAX_FRAME_SIZE => self.frame = (value as usize).min(MAX_FRAME),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Appends what this side says of itself. `streams`: how many a server takes; `None` for a client, which takes none.
pub(super) fn write(into: &mut Vec<u8>, streams: Option<u32>, window: u32, list_bytes: usize) {
    let own = match streams {
        Some(streams) => (MAX_CONCURRENT_STREAMS, streams),
        None => (ENABLE_PUSH, 0),
    };
    let list = u32::try_from(list_bytes).unwrap_or(u32::MAX);
    let settings = [own, (INITIAL_WINDOW_SIZE, window), (MAX_HEADER_LIST_SIZE, list)];
    into.extend_from_slice(&frame::head(6 * settings.len(), SETTINGS, 0, 0));
    for (name, value) in settings {
        into.extend_from_slice(&name.to_be_bytes());
        into.extend_from_slice(&value.to_be_bytes());
    }
}
