//! One HTTP/2 connection to an upstream, shared by many requests of one worker.
//!
//! An exchange writes its request into the connection and reads its response out of it; a task per connection moves the bytes, those of
//! all exchanges at once.

mod mover;
mod stream;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use self::mover::Mover;
pub(super) use self::stream::Stream;
use super::address::Target;
use crate::plan::UpstreamSettings;
use crate::tls::Speaks;
use crate::wire::http2::{Bounds, Connection};

/// Streams on one connection before another connection is opened; fewer where the upstream takes fewer.
const STREAMS: u32 = 100;
const STREAM_WINDOW: u32 = 256 * 1024;
/// As much as all streams may have: one whose client does not take its response holds up no other.
const CONNECTION_WINDOW: u32 = STREAMS * STREAM_WINDOW;
/// Most bytes of a response's head or trailers, as much as over HTTP/1.1: gRPC puts metadata and the details of errors there.
const HEADER_BYTES: usize = 128 * 1024;

/// A connection. It is closed when the last of these is dropped.
pub(super) struct H2(Rc<Shared>);

/// What the streams of a connection, and the task that moves its bytes, know together.
struct Shared {
    wire: RefCell<Connection>,
    https: bool,
    /// Nothing more comes or goes.
    closed: Cell<bool>,
    /// Streams in use.
    streams: Cell<u32>,
    last_used: Cell<Instant>,
    /// Heads and frames of responses so far.
    heard: Cell<u64>,
    /// Nothing came for so long that it may be dead: a host that is gone closes nothing.
    suspect: Cell<bool>,
    /// How long a stream waits before silence says that.
    patience: Duration,
    /// A stream waits until some of what is to be written is.
    awaits_room: Cell<bool>,
}

impl H2 {
    /// `on_close` is called when the connection is over.
    pub(super) async fn open(
        target: &Target,
        settings: &UpstreamSettings,
        on_close: impl FnOnce() + 'static,
    ) -> io::Result<Self> {
        let socket = target.connect_for(Speaks::H2, settings.connect_timeout).await?;
        let bounds = Bounds {
            stream_window: STREAM_WINDOW,
            connection_window: CONNECTION_WINDOW,
            list_bytes: HEADER_BYTES,
            // Nobody opens streams towards a client.
            streams: 0,
            resets: 0,
        };
        let shared = Rc::new(Shared {
            wire: RefCell::new(Connection::client(bounds)),
            https: target.is_tls(),
            closed: Cell::new(false),
            streams: Cell::new(0),
            last_used: Cell::new(Instant::now()),
            heard: Cell::new(0),
            suspect: Cell::new(false),
            patience: settings.connect_timeout,
            awaits_room: Cell::new(false),
        });
        let mover = Mover::new(Rc::clone(&shared), socket, settings.ping_interval);
        tokio::task::spawn_local(async move {
            mover.run().await;
            on_close();
        });
        Ok(Self(shared))
    }

    pub(super) fn has_room(&self) -> bool {
        let Shared { wire, closed, streams, suspect, .. } = &*self.0;
        !closed.get() && !suspect.get() && streams.get() < STREAMS.min(wire.borrow().takes())
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.closed.get()
    }

    /// When it was last used; `None` while it is in use.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.0.streams.get() == 0).then(|| self.0.last_used.get())
    }
}

impl Clone for H2 {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl Drop for H2 {
    fn drop(&mut self) {
        // This one and the task's: it ends by itself once it is alone.
        if Rc::strong_count(&self.0) == 2 {
            self.0.wire.borrow_mut().stir();
        }
    }
}

impl fmt::Debug for H2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("H2").field("streams", &self.0.streams).finish_non_exhaustive()
    }
}
