//! A request's body as it comes on its stream.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::connection::Connection;
use super::slots::Key;
use crate::wire::Broken;

/// The body of one request, read from the connection it comes on. Its window opens as it is read.
#[derive(Debug)]
pub struct Http2Body {
    connection: Rc<RefCell<Connection>>,
    key: Key,
}

impl Http2Body {
    /// The body that comes on this stream.
    #[must_use]
    pub fn new(connection: &Rc<RefCell<Connection>>, key: Key) -> Self {
        Self { connection: Rc::clone(connection), key }
    }
}

impl Body for Http2Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.connection.borrow_mut().poll_frame(self.key, cx)
    }

    fn is_end_stream(&self) -> bool {
        self.connection.borrow().is_over(self.key)
    }

    fn size_hint(&self) -> SizeHint {
        self.connection.borrow().known_length(self.key).map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Http2Body {
    fn drop(&mut self) {
        self.connection.borrow_mut().unwanted(self.key);
    }
}
