//! Telling clients that flags have changed: server-sent events, as OFREP's ADR 8 has them.
//!
//! A client is told *that* something changed, never what; however many changes it slept through, one event is due.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::HeaderValue;
use tokio::sync::watch;

use super::serve::Server;
use crate::admin::sse::{self, COMMENT, RETRY};
use crate::control::FlagsInForce;

/// As much of the hash of the flags' file as tells one content from another.
const TOKEN: usize = 16;

/// What one client is told, piece by piece.
pub(super) struct Events {
    next: Option<Next>,
    _open: Open,
}

type Next = Pin<Box<dyn Future<Output = Option<(Bytes, Feed)>>>>;

/// Where what a client is told comes from.
struct Feed {
    flags: watch::Receiver<FlagsInForce>,
    closing: watch::Receiver<bool>,
    keep_alive: Duration,
}

impl Events {
    /// For a client that knows of the event `known`; `None` where there are too many clients already.
    pub(super) fn begin(server: &Rc<Server>, known: Option<&HeaderValue>) -> Option<Self> {
        let open = Open::new(server)?;
        let mut flags = server.news();
        let mut first = format!("{RETRY}\n");
        {
            let flags = flags.borrow_and_update();
            // One that knows of none may have asked for its flags before the last change.
            if known.is_none_or(|known| known.as_bytes() != token(&flags).as_bytes()) {
                first.push_str(&event(&flags));
            }
        }
        let feed = Feed { flags, closing: server.closing(), keep_alive: server.patience.keep_alive };
        Some(Self { next: Some(Box::pin(std::future::ready(Some((first.into(), feed))))), _open: open })
    }

    /// The next piece; `None` at the end.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(next) = &mut self.next else { return Poll::Ready(None) };
        let Some((piece, feed)) = ready!(next.as_mut().poll(cx)) else {
            self.next = None;
            return Poll::Ready(None);
        };
        self.next = Some(Box::pin(feed.next()));
        Poll::Ready(Some(piece))
    }
}

impl Feed {
    async fn next(mut self) -> Option<(Bytes, Self)> {
        let Self { flags, closing, keep_alive } = &mut self;
        let piece = tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => return None,
            changed = flags.changed() => {
                // Nobody is left who could change them.
                changed.ok()?;
                event(&flags.borrow_and_update()).into()
            }
            () = tokio::time::sleep(*keep_alive) => COMMENT,
        };
        Some((piece, self))
    }
}

fn token(flags: &FlagsInForce) -> &str {
    flags.token.get(..TOKEN).unwrap_or(&flags.token)
}

fn event(flags: &FlagsInForce) -> String {
    let token = token(flags);
    let since = flags.since.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let data =
        serde_json::json!({ "type": "refetchEvaluation", "etag": format!("\"{token}\""), "lastModified": since });
    sse::event(token, "message", data)
}

/// One client that is told of changes, counted for as long as this lives.
struct Open(Rc<Server>);

impl Open {
    fn new(server: &Rc<Server>) -> Option<Self> {
        let open = server.event_streams.get();
        if open >= server.settings.connections / 2 {
            return None;
        }
        server.count_event_streams(open + 1);
        Some(Self(Rc::clone(server)))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.count_event_streams(self.0.event_streams.get() - 1);
    }
}
