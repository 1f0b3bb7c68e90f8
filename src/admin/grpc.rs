//! gRPC's answers on the admin address.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc;

use crate::wire::grpc::{Code, GRPC_MESSAGE, GRPC_STATUS, message_value};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// Why a call fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Status {
    code: Code,
    message: String,
}

impl Status {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl IntoResponse for Status {
    /// All in the head ("Trailers-Only").
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, GRPC);
        headers.insert(GRPC_STATUS, self.code.value());
        headers.insert(GRPC_MESSAGE, message_value(&self.message));
        response
    }
}

/// Answers with these messages, in their frames, as they come; the call ends well once their sender is gone.
pub(super) fn stream(messages: mpsc::Receiver<Bytes>) -> Response {
    let mut response = Response::new(Body::new(Messages(Some(messages))));
    response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    response
}

/// Answers with one message, in its frame.
pub(super) fn unary(message: Bytes) -> Response {
    let (sender, messages) = mpsc::channel(1);
    // Invariant: there is room for one, and who takes it is below.
    let _ = sender.try_send(message);
    stream(messages)
}

/// Messages, then trailers that say OK.
struct Messages(Option<mpsc::Receiver<Bytes>>);

impl http_body::Body for Messages {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(messages) = &mut self.0 else { return Poll::Ready(None) };
        if let Some(message) = ready!(messages.poll_recv(cx)) {
            return Poll::Ready(Some(Ok(Frame::data(message))));
        }
        self.0 = None;
        Poll::Ready(Some(Ok(Frame::trailers(HeaderMap::from_iter([(GRPC_STATUS, Code::Ok.value())])))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}
