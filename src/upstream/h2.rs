//! One HTTP/2 connection to an upstream, shared by many requests of one worker.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};

use super::address::Target;
use super::body::RequestBody;
use super::timer::TokioTimer;
use crate::plan::UpstreamSettings;
use crate::tls::Speaks;
use crate::wire::PlainIo;

/// Streams on one connection before another connection is opened; fewer where the upstream takes fewer.
const STREAMS: u32 = 100;
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Most bytes of a response's head or trailers, as much as over HTTP/1.1: gRPC puts metadata and the details of errors there.
const HEADER_BYTES: u32 = 128 * 1024;

/// A connection; its frames are moved by a task of its own.
#[derive(Clone)]
pub(super) struct H2 {
    send: SendRequest<RequestBody>,
    state: Rc<State>,
}

/// What the streams of a connection know together.
struct State {
    streams: Cell<u32>,
    /// Most streams that the upstream takes at a time, as far as it has said. One more would wait for another to end, which a
    /// stream that lives for hours does not.
    taken: Box<dyn Fn() -> usize>,
    last_used: Cell<Instant>,
    /// Heads and frames of responses so far.
    heard: Cell<u64>,
    /// Nothing came for so long that it may be dead: a host that is gone closes nothing.
    suspect: Cell<bool>,
    /// How long a stream waits before silence says that.
    patience: Duration,
}

/// Counts one stream for as long as it lives.
pub(super) struct StreamCount {
    state: Rc<State>,
    began: Instant,
    heard_before: u64,
}

impl StreamCount {
    /// Something of a response came on the connection.
    pub(super) fn heard(&self) {
        self.state.heard.set(self.state.heard.get().wrapping_add(1));
    }
}

impl Drop for StreamCount {
    fn drop(&mut self) {
        let Self { state, began, heard_before } = self;
        let now = Instant::now();
        state.streams.set(state.streams.get() - 1);
        state.last_used.set(now);
        if state.heard.get() == *heard_before && now.saturating_duration_since(*began) >= state.patience {
            state.suspect.set(true);
        }
    }
}

/// Runs hyper's tasks on the worker's own thread.
#[derive(Debug, Clone, Copy)]
pub struct LocalExecutor;

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

impl H2 {
    /// `on_close` is called when the connection is over.
    pub(super) async fn open(
        target: &Target,
        settings: &UpstreamSettings,
        on_close: impl FnOnce() + 'static,
    ) -> io::Result<Self> {
        let socket = target.connect_for(Speaks::H2, settings.connect_timeout).await?;
        let mut builder = http2::Builder::new(LocalExecutor);
        builder
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEADER_BYTES);
        if let Some(interval) = settings.ping_interval {
            // Also while nobody waits for it: the next request is not to find out that the other side is gone.
            builder
                .timer(TokioTimer)
                .keep_alive_interval(interval)
                .keep_alive_timeout(settings.connect_timeout)
                .keep_alive_while_idle(true);
        }
        let (send, conn) = builder.handshake(PlainIo::new(socket, Vec::new())).await.map_err(io::Error::other)?;
        let conn = Rc::new(RefCell::new(Some(conn)));
        let moved = Rc::clone(&conn);
        tokio::task::spawn_local(async move {
            let ended = poll_fn(|cx| match &mut *moved.borrow_mut() {
                Some(conn) => Pin::new(conn).poll(cx),
                None => Poll::Ready(Ok(())),
            });
            if let Err(error) = ended.await {
                tracing::trace!(%error, "an upstream HTTP/2 connection ended");
            }
            // Only its drop tells those who want to send.
            moved.take();
            on_close();
        });
        let taken = Box::new(move || conn.borrow().as_ref().map_or(0, http2::Connection::current_max_send_streams));
        let state = State {
            streams: Cell::new(0),
            taken,
            last_used: Cell::new(Instant::now()),
            heard: Cell::new(0),
            suspect: Cell::new(false),
            patience: settings.connect_timeout,
        };
        Ok(Self { send, state: Rc::new(state) })
    }

    pub(super) fn has_room(&self) -> bool {
        let streams = self.state.streams.get();
        !self.send.is_closed()
            && !self.state.suspect.get()
            && streams < STREAMS
            && (streams as usize) < (self.state.taken)()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.send.is_closed()
    }

    /// When it was last used; `None` while it is in use.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.state.streams.get() == 0).then(|| self.state.last_used.get())
    }

    pub(super) fn count(&self) -> StreamCount {
        let state = Rc::clone(&self.state);
        state.streams.set(state.streams.get() + 1);
        StreamCount { began: Instant::now(), heard_before: state.heard.get(), state }
    }

    pub(super) async fn send(
        &mut self,
        request: &mut Option<Request<RequestBody>>,
    ) -> hyper::Result<Response<Incoming>> {
        // Invariant: whoever sends has a request to send.
        let taken = request.take().expect("a request to send");
        self.send.try_send_request(taken).await.map_err(|mut error| {
            *request = error.take_message();
            error.into_error()
        })
    }
}

impl fmt::Debug for H2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("H2").field("streams", &self.state.streams).finish_non_exhaustive()
    }
}

impl fmt::Debug for StreamCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamCount").field("began", &self.began).finish_non_exhaustive()
    }
}
