//! A connection of either side, without its socket.

mod asking;
mod receiving;
mod sending;
mod serving;

use std::collections::VecDeque;
use std::mem;
use std::task::{Context, Waker};

use http::request;

use super::error::{Fault, Lost, Reason};
use super::frame::{self, ACK, SETTINGS};
use super::head::Bad;
use super::hpack::{Decoder, Encoder};
use super::outbound::Outbound;
use super::reader::{Frame, FrameReader};
use super::repeats::Repeats;
use super::settings::{self, DEFAULT_WINDOW, MAX_WINDOW, Peer};
use super::slots::{Key, Slots};
use super::window::Window;

/// Frames in a row that move nothing, after which the other side is told to calm down. Each costs it more than it costs here;
/// this is so that it cannot go on for ever.
const IDLE_FRAMES: u32 = 10_000;
/// Streams ended by this side that the other may not know of yet.
const FORGOTTEN: usize = 128;
/// Bytes of a header block on top of the list it stands for.
const SPARE_BLOCK: usize = 16 * 1024;
/// Room in a header map for what forwarding adds.
const SPARE_FIELDS: usize = 6;

/// What the other side may do.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of data that are kept for a stream.
    pub stream_window: u32,
    /// Bytes of data that are kept for all streams together.
    pub connection_window: u32,
    /// Most bytes of a header list, counted as `SETTINGS_MAX_HEADER_LIST_SIZE` does.
    pub list_bytes: usize,
    /// Most streams that the other side opens.
    pub streams: u32,
    /// Most streams that the other side resets before anybody has looked at them; eight times as many at once, or so many a second,
    /// before they are answered.
    pub resets: usize,
}

/// A request that came.
#[derive(Debug)]
pub struct Arrival {
    /// The stream it is to be answered on.
    pub key: Key,
    /// Its head; `None` where that is larger than allowed.
    pub head: Option<request::Parts>,
    /// A body follows.
    pub has_body: bool,
}

/// One side of a connection.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one connection")]
pub struct Connection {
    /// What has to be written.
    pub out: Outbound,
    is_server: bool,
    reader: FrameReader,
    decoder: Decoder,
    repeats: Repeats,
    encoder: Encoder,
    streams: Slots,
    bounds: Bounds,
    peer: Peer,
    /// The other side has told about itself.
    is_known: bool,
    /// It has heard what this side has told about itself.
    is_heard: bool,
    /// What may come, over all streams.
    window: Window,
    /// What may be sent, over all streams.
    credit: i64,
    /// Streams that have something to send for which `credit` is not enough, in order.
    starved: VecDeque<Key>,
    /// A server's: streams for which there may be enough now.
    resumed: VecDeque<Key>,
    /// A server's: requests nobody has looked at.
    arrived: VecDeque<Arrival>,
    /// A server's: streams that the other side has ended, or that had to be.
    gone: Vec<Key>,
    /// A server's: requests that were refused as malformed.
    malformed: u32,
    resets: serving::Resets,
    /// The last stream that the side which opens streams has opened.
    last: u32,
    /// A client's: the last stream of which anything may have been written.
    written: u32,
    /// Streams above this one are not taken any more.
    taken: u32,
    /// The other side takes no streams above this one.
    peer_takes: u32,
    /// It has answered the ping that was sent last.
    ponged: bool,
    idle_frames: u32,
    forgotten: VecDeque<u32>,
    /// Fields in the head that came last.
    fields: usize,
    /// Who moves the bytes.
    mover: Option<Waker>,
    /// It will look here before it rests.
    is_moving: bool,
}

impl Connection {
    fn new(is_server: bool, bounds: Bounds) -> Self {
        let mut connection = Self {
            out: Outbound::default(),
            is_server,
            reader: FrameReader::new(bounds.list_bytes + SPARE_BLOCK),
            decoder: Decoder::default(),
            repeats: Repeats::default(),
            encoder: Encoder::default(),
            streams: Slots::default(),
            bounds,
            peer: Peer::default(),
            is_known: false,
            is_heard: false,
            window: Window::new(bounds.connection_window.max(DEFAULT_WINDOW)),
            credit: i64::from(DEFAULT_WINDOW),
            starved: VecDeque::new(),
            resumed: VecDeque::new(),
            arrived: VecDeque::new(),
            gone: Vec::new(),
            malformed: 0,
            resets: serving::Resets::default(),
            last: 0,
            written: 0,
            taken: MAX_ID,
            peer_takes: MAX_ID,
            ponged: false,
            idle_frames: 0,
            forgotten: VecDeque::new(),
            fields: 8,
            mover: None,
            is_moving: false,
        };
        let out = connection.out.buffer();
        settings::write(out, is_server.then_some(bounds.streams), bounds.stream_window, bounds.list_bytes);
        if let Some(more @ 1..) = bounds.connection_window.checked_sub(DEFAULT_WINDOW) {
            frame::window_update(out, 0, more);
        }
        connection
    }

    /// Whoever moves the bytes begins to; it needs not be woken until it has [rested](Self::rest).
    pub fn begin_turn(&mut self, cx: &Context<'_>) {
        self.is_moving = true;
        if self.mover.as_ref().is_none_or(|known| !known.will_wake(cx.waker())) {
            self.mover = Some(cx.waker().clone());
        }
    }

    /// Whoever moves the bytes has moved all there were, and is to be woken for more.
    pub fn rest(&mut self) {
        self.is_moving = false;
    }

    /// There is something to move.
    pub fn stir(&mut self) {
        if !mem::replace(&mut self.is_moving, true)
            && let Some(mover) = &self.mover
        {
            mover.wake_by_ref();
        }
    }

    /// How many streams are open.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.streams.len()
    }

    /// Whether the beginning of a message head was read and its end was not.
    #[must_use]
    pub fn is_in_head(&self) -> bool {
        self.reader.is_in_block()
    }

    /// Takes bytes that came.
    ///
    /// # Errors
    /// What ends the connection: the other side is to be [told](Self::go_away).
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let mut reader = mem::take(&mut self.reader);
        let read = reader.read(bytes, |frame| self.frame(frame));
        self.reader = reader;
        read
    }

    fn frame(&mut self, frame: Frame<'_>) -> Result<(), Fault> {
        match frame {
            Frame::Headers { stream, block, end } => {
                self.idle_frames = 0;
                self.headers(stream, block, end)
            }
            Frame::Data { stream, data, padding, end } => self.data_came(stream, data, padding, end),
            Frame::Reset { stream, reason } => {
                self.idle()?;
                match self.streams.find(stream) {
                    None => self.unless_idle(stream),
                    Some((key, _)) if self.is_server => self.reset_by_client(key),
                    Some((key, _)) => {
                        self.reset_by_server(key, reason);
                        Ok(())
                    }
                }
            }
            Frame::Settings(payload) => {
                self.idle()?;
                self.settings_came(payload)
            }
            Frame::Ping(payload) => {
                self.idle()?;
                frame::ping(self.out.buffer(), true, payload);
                Ok(())
            }
            Frame::Pong(payload) => {
                self.ponged |= payload == PING_PAYLOAD;
                self.idle()
            }
            Frame::GoAway { last, .. } => {
                self.idle()?;
                self.left(last);
                Ok(())
            }
            Frame::WindowUpdate { stream, increment } => {
                self.idle()?;
                self.credit_came(stream, increment)
            }
            Frame::Faulty { stream, reason } => {
                self.idle()?;
                self.fail(stream, reason)
            }
            Frame::SettingsTaken => {
                self.is_heard = true;
                self.idle()
            }
            Frame::Unknown => self.idle(),
        }
    }

    /// A frame came that moves nothing.
    fn idle(&mut self) -> Result<(), Fault> {
        self.idle_frames += 1;
        if self.idle_frames > IDLE_FRAMES {
            return Err(Fault::calm("nothing comes but frames that move nothing"));
        }
        Ok(())
    }

    fn headers(&mut self, id: u32, block: &[u8], end: bool) -> Result<(), Fault> {
        let Self { decoder, repeats, fields, bounds, .. } = self;
        // Also where nobody wants it: the next block counts on what this one says.
        let gathering = repeats
            .gather(block, decoder, *fields + SPARE_FIELDS, bounds.list_bytes)
            .map_err(|_| Fault::new(Reason::COMPRESSION_ERROR, "a header block cannot be decoded"))?;
        self.fields = gathering.len();
        if self.is_server { self.request_came(id, gathering, end) } else { self.answer_came(id, gathering, end) }
    }

    /// This side has ended a stream that the other might still send on.
    fn forget(&mut self, id: u32) {
        if self.forgotten.len() == FORGOTTEN {
            self.forgotten.pop_front();
        }
        self.forgotten.push_back(id);
    }

    fn settings_came(&mut self, payload: &[u8]) -> Result<(), Fault> {
        let before = self.peer.window;
        self.peer.take(payload, !self.is_server, !mem::replace(&mut self.is_known, true))?;
        if let Some(table) = self.peer.table {
            self.encoder.limit_table(table);
        }
        let change = i64::from(self.peer.window) - i64::from(before);
        if change != 0 {
            let mut resumed = Vec::new();
            for (key, stream) in self.streams.iter_mut() {
                stream.credit += change;
                if stream.credit > i64::from(MAX_WINDOW) {
                    return Err(Fault::new(Reason::FLOW_CONTROL_ERROR, "a window is larger than any may be"));
                }
                if stream.starved && stream.credit > 0 {
                    resumed.push(key);
                }
            }
            for key in resumed {
                self.resume(key);
            }
        }
        self.out.buffer().extend_from_slice(&frame::head(0, SETTINGS, ACK, 0));
        Ok(())
    }

    /// Ends a stream for which something is wrong.
    fn fail(&mut self, id: u32, reason: Reason) -> Result<(), Fault> {
        let Some((key, stream)) = self.streams.find(id) else { return Ok(()) };
        if self.is_server {
            let taken_up = stream.taken_up;
            self.reset(key, reason);
            if taken_up {
                self.gone.push(key);
            }
            // Making this side reset streams is no cheaper than resetting them (CVE-2025-8671).
            return self.resets.count(self.bounds.resets);
        }
        stream.lost = Some(Lost::Malformed);
        stream.ended = false;
        stream.unwanted = true;
        stream.finished = true;
        stream.wake();
        frame::reset(self.out.buffer(), id, reason);
        Ok(())
    }

    /// Says that the connection ends: streams above `last` are not taken any more.
    fn say_goodbye(&mut self, last: u32, reason: Reason) {
        self.taken = last;
        frame::go_away(self.out.buffer(), last, reason);
        self.stir();
    }

    /// Says that the connection ends at once because of a fault.
    pub fn go_away(&mut self, fault: Fault) {
        let last = if self.is_server { self.last } else { 0 };
        self.say_goodbye(last, fault.reason);
    }

    /// Asks the other side for a sign of life.
    pub fn ping(&mut self) {
        self.ponged = false;
        frame::ping(self.out.buffer(), false, PING_PAYLOAD);
    }

    /// Whether it was given.
    #[must_use]
    pub fn is_ponged(&self) -> bool {
        self.ponged
    }
}

/// The highest number of a stream.
const MAX_ID: u32 = 0x7fff_ffff;
const PING_PAYLOAD: [u8; 8] = *b"serin...";

/// Why a message is refused that is none.
fn reason_of(bad: Bad) -> Reason {
    match bad {
        Bad::Malformed(what) => {
            tracing::trace!(what, "a message is refused");
            Reason::PROTOCOL_ERROR
        }
        Bad::TooLarge => Reason::ENHANCE_YOUR_CALM,
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
