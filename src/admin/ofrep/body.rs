//! Bodies: a request's, read within bounds, and an answer's, sent in pieces.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::events::Events;
use super::memory::Held;
use super::pace::Pace;
use super::serve::Server;

/// Most bytes of an answer handed over at a time, so that most of it is freed as it is sent.
const PIECE: usize = 64 * 1024;

/// Why a request's body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// It has more bytes than it may.
    TooLarge,
    /// It took too long.
    TooSlow,
    /// All clients together have sent too much.
    NoRoom,
    /// It is no proper HTTP, or the client left.
    Broken,
}

/// Reads the whole body of a request.
pub(super) async fn read(server: &Server, mut body: Incoming) -> Result<Held, Unread> {
    let most = server.settings.max_body;
    // What says at once how long it is need not be read at all.
    if http_body::Body::size_hint(&body).lower() > most as u64 {
        return Err(Unread::TooLarge);
    }
    let mut held = server.memory.hold();
    let reading = async {
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
            if held.as_ref().len() + data.len() > most {
                return Err(Unread::TooLarge);
            }
            held.extend(&data).map_err(|_| Unread::NoRoom)?;
        }
        Ok(())
    };
    tokio::time::timeout(server.patience.body, reading).await.unwrap_or(Err(Unread::TooSlow))?;
    Ok(held)
}

/// The body of an answer. Dropping it says that the exchange is over.
pub(super) struct Body {
    content: Content,
    pace: Rc<Pace>,
}

pub(super) enum Content {
    Whole(Bytes),
    Events(Events),
}

impl Body {
    pub(super) fn new(content: Content, pace: &Rc<Pace>) -> Self {
        Self { content, pace: Rc::clone(pace) }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.content {
            Content::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Whole(bytes) => {
                let length = bytes.len().min(PIECE);
                Poll::Ready(Some(Ok(Frame::data(bytes.split_to(length)))))
            }
            Content::Events(events) => events.poll_next(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.content, Content::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Events(_) => SizeHint::default(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.pace.exchange_ends();
    }
}
