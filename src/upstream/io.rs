//! The bytes of an HTTP/1.1 upstream connection: response heads are checked, and a request that met a connection the
//! upstream had just closed is sent once more on a fresh one.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::ReadBufCursor;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::address::Target;
use crate::wire::{Fault, HeadLimits, ResponseScanner, Socket, poll_read_inspected};

/// Bounds on a response head.
const RESPONSE_HEAD: HeadLimits = HeadLimits { bytes: 64 * 1024, lines: 100 };
/// Longest request that is kept for sending again; longer ones are not.
const REPLAY_BYTES: usize = 32 * 1024;

/// What the connection's owner and its bytes tell each other.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// A byte of the present response was seen.
    pub(super) answered: Cell<bool>,
    /// The response head was refused for this.
    pub(super) fault: Cell<Option<Fault>>,
    scanner: RefCell<Option<ResponseScanner>>,
    replay: RefCell<Replay>,
}

/// The request as it was written, kept for as long as it may be needed again.
#[derive(Debug, Default)]
struct Replay {
    armed: bool,
    written: Vec<u8>,
}

impl Shared {
    /// A request is about to be sent. `replay`: it may be sent again if the connection turns out to be closed, because
    /// it has no body, is idempotent, and the connection was used before.
    pub(super) fn begin(&self, replay: bool) {
        self.answered.set(false);
        self.scanner.borrow_mut().get_or_insert_with(|| ResponseScanner::new(RESPONSE_HEAD)).expect_response();
        let mut kept = self.replay.borrow_mut();
        kept.armed = replay;
        kept.written.clear();
    }

    /// Looks at bytes of a response; says how many may be passed on.
    fn inspect(&self, bytes: &[u8]) -> io::Result<usize> {
        if !bytes.is_empty() {
            self.answered.set(true);
            self.replay.borrow_mut().armed = false;
            if let Some(scanner) = self.scanner.borrow_mut().as_mut()
                && let Err(fault) = scanner.scan(bytes)
            {
                self.fault.set(Some(fault));
                return Err(io::Error::new(io::ErrorKind::InvalidData, fault));
            }
        }
        Ok(bytes.len())
    }

    /// Takes what must be written again, if this is the moment for it.
    fn take_replay(&self) -> Option<Vec<u8>> {
        let mut replay = self.replay.borrow_mut();
        let wanted = std::mem::take(&mut replay.armed) && !replay.written.is_empty();
        wanted.then(|| std::mem::take(&mut replay.written))
    }

    fn keep(&self, written: &[u8]) {
        let mut replay = self.replay.borrow_mut();
        if !replay.armed {
            return;
        }
        if replay.written.len() + written.len() > REPLAY_BYTES {
            replay.armed = false;
        } else {
            replay.written.extend_from_slice(written);
        }
    }
}

type Reopening = Pin<Box<dyn Future<Output = io::Result<Socket>>>>;

/// A connection to an upstream, as hyper's client reads and writes it.
pub(super) struct UpstreamIo {
    socket: Socket,
    target: Target,
    connect_timeout: Duration,
    shared: Rc<Shared>,
    reopening: Option<Reopening>,
}

impl UpstreamIo {
    pub(super) fn new(socket: Socket, target: Target, connect_timeout: Duration, shared: Rc<Shared>) -> Self {
        Self { socket, target, connect_timeout, shared, reopening: None }
    }

    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }

    /// Starts over on a fresh connection where that is safe; else `ended` stands.
    fn reopen(&mut self, ended: io::Result<()>) -> io::Result<()> {
        let Some(request) = self.shared.take_replay() else { return ended };
        let (target, limit) = (self.target.clone(), self.connect_timeout);
        self.reopening = Some(Box::pin(async move {
            let mut socket = target.connect(limit).await?;
            socket.write_all(&request).await?;
            Ok(socket)
        }));
        Ok(())
    }

    fn poll_reopened(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(reopening) = &mut self.reopening {
            self.socket = ready!(reopening.as_mut().poll(cx))?;
            self.reopening = None;
        }
        Poll::Ready(Ok(()))
    }

    fn wrote(&mut self, written: io::Result<usize>, buf: &[u8]) -> io::Result<usize> {
        match written {
            Ok(length) => {
                self.shared.keep(&buf[..length]);
                Ok(length)
            }
            Err(error) if is_closed(&error) => {
                self.shared.keep(buf);
                self.reopen(Err(error)).map(|()| buf.len())
            }
            Err(error) => Err(error),
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected)
}

impl hyper::rt::Read for UpstreamIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut cursor: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            ready!(this.poll_reopened(cx))?;
            let shared = &this.shared;
            match ready!(poll_read_inspected(&mut this.socket, cx, &mut cursor, |bytes| shared.inspect(bytes))) {
                Ok(0) => this.reopen(Ok(()))?,
                Err(error) if is_closed(&error) => this.reopen(Err(error))?,
                other => return Poll::Ready(other.map(|_| ())),
            }
            if this.reopening.is_none() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl hyper::rt::Write for UpstreamIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_reopened(cx))?;
        let written = ready!(Pin::new(&mut this.socket).poll_write(cx, buf));
        Poll::Ready(this.wrote(written, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_reopened(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

impl fmt::Debug for UpstreamIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamIo").field("socket", &self.socket).field("target", &self.target).finish_non_exhaustive()
    }
}
