//! One HTTP/1.1 connection to an upstream.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};

use super::address::Target;
use super::body::RequestBody;
use super::cap::Slot;
use super::io::{Shared, UpstreamIo};
use super::quiet::Quiet;
use crate::plan::UpstreamSettings;
use crate::wire::Socket;

/// Most bytes hyper buffers of one response before the client has taken them.
const READ_BUFFER: usize = 128 * 1024;

/// A connection and the handle that sends on it, polled together by whoever uses them.
pub(super) struct H1 {
    send: SendRequest<RequestBody>,
    conn: Connection<UpstreamIo, RequestBody>,
    /// The body of the present response.
    body: Option<Incoming>,
    /// The connection is over: it must not be polled again, but after an upgrade its bytes are still wanted.
    over: bool,
    shared: Rc<Shared>,
    quiet: Quiet,
    used: bool,
    /// Among how many it is counted.
    slot: Slot,
    /// When it was last put away.
    pub(super) idle_since: Instant,
}

/// What reading a body gives.
pub(super) type BodyFrame = Option<hyper::Result<Frame<Bytes>>>;

/// A connection that is not HTTP any more.
#[derive(Debug)]
pub struct Upgraded {
    /// The connection.
    pub socket: Socket,
    /// What the upstream sent after its 101 already.
    pub read: Bytes,
    /// It is still one of the connections to its address.
    pub(super) _slot: Slot,
}

impl H1 {
    pub(super) async fn open(target: &Target, settings: &UpstreamSettings, slot: Slot) -> io::Result<Self> {
        let socket = target.connect(settings.connect_timeout).await?;
        let shared = Rc::<Shared>::default();
        let io = UpstreamIo::new(socket, target.clone(), settings.connect_timeout, Rc::clone(&shared));
        let (send, conn) = http1::Builder::new()
            .writev(false)
            .max_buf_size(READ_BUFFER)
            .handshake(io)
            .await
            .map_err(io::Error::other)?;
        Ok(Self {
            send,
            conn,
            body: None,
            over: false,
            shared,
            quiet: Quiet::new(),
            used: false,
            slot,
            idle_since: Instant::now(),
        })
    }

    /// Whether a request can be sent right now. Notices a connection the upstream has closed, or on which it sent
    /// something nobody asked for.
    pub(super) fn poll_usable(&mut self, cx: &mut Context<'_>) -> bool {
        let Self { conn, over, quiet, .. } = self;
        let _ = quiet.poll(cx, |cx| {
            drive(conn, over, cx);
            Poll::<()>::Pending
        });
        self.is_ready()
    }

    /// Whether a request could be sent as far as is known: the last one was sent whole and answered whole.
    pub(super) fn is_ready(&self) -> bool {
        !self.over && self.send.is_ready()
    }

    /// Sends a request and waits for the response's head.
    pub(super) async fn send(
        &mut self,
        request: &mut Option<Request<RequestBody>>,
        replayable: bool,
    ) -> hyper::Result<Response<()>> {
        self.body = None;
        self.shared.begin(replayable && self.used);
        self.used = true;
        // Invariant: whoever sends has a request to send.
        let taken = request.take().expect("a request to send");
        let Self { send, conn, over, quiet, .. } = self;
        let mut response = std::pin::pin!(quiet.mute(|| send.try_send_request(taken)));
        let sent = std::future::poll_fn(|cx| {
            quiet.poll(cx, |cx| {
                drive(conn, over, cx);
                response.as_mut().poll(cx)
            })
        });
        match sent.await {
            Ok(response) => {
                let (head, body) = response.into_parts();
                self.body = Some(body);
                Ok(Response::from_parts(head, ()))
            }
            Err(mut error) => {
                *request = error.take_message();
                Err(error.into_error())
            }
        }
    }

    /// The next frame of the response's body.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<BodyFrame> {
        let Self { conn, over, quiet, body: Some(body), .. } = self else { return Poll::Ready(None) };
        quiet.poll(cx, |cx| {
            // What was read with the head already needs no more reading.
            if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
                return Poll::Ready(frame);
            }
            drive(conn, over, cx);
            Pin::new(&mut *body).poll_frame(cx)
        })
    }

    /// The body of the present response; `None` before its head.
    pub(super) fn body(&self) -> Option<&Incoming> {
        self.body.as_ref()
    }

    /// Whether any of the response was seen.
    pub(super) fn answered(&self) -> bool {
        self.shared.answered.get()
    }

    /// Whether the response head was refused for its framing.
    pub(super) fn is_faulty(&self) -> bool {
        self.shared.fault.get().is_some()
    }

    /// The raw connection after a 101.
    pub(super) fn into_upgraded(self) -> Upgraded {
        let parts = self.conn.into_parts();
        Upgraded { socket: parts.io.into_socket(), read: parts.read_buf, _slot: self.slot }
    }
}

fn drive(conn: &mut Connection<UpstreamIo, RequestBody>, over: &mut bool, cx: &mut Context<'_>) {
    if !*over && let Poll::Ready(ended) = conn.poll_without_shutdown(cx) {
        *over = true;
        if let Err(error) = ended {
            tracing::trace!(%error, "an upstream connection ended");
        }
    }
}

impl fmt::Debug for H1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("H1").field("over", &self.over).field("used", &self.used).finish_non_exhaustive()
    }
}
