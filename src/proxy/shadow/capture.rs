//! What a client is answered, kept while it passes, up to a bound.

use bytes::Bytes;
use http::{HeaderMap, Response};
use tokio::sync::oneshot;

use crate::diff::{Answer, HEADERS_ALWAYS_KEPT};
use crate::wire::grpc::GRPC_STATUS;

/// An answer that passes. Dropped before the answer has come to its end, nobody gets it.
#[derive(Debug)]
pub(in crate::proxy) struct Capture {
    keeping: Keeping,
    to: oneshot::Sender<Answer>,
}

/// An answer that is being kept.
#[derive(Debug)]
pub(super) struct Keeping {
    answer: Answer,
    most: usize,
}

impl Capture {
    pub(super) fn new(keeping: Keeping, to: oneshot::Sender<Answer>) -> Self {
        Self { keeping, to }
    }

    /// A piece of the body passes.
    pub(in crate::proxy) fn data(&mut self, data: &Bytes) {
        self.keeping.data(data);
    }

    /// The trailers pass.
    pub(in crate::proxy) fn trailers(&mut self, trailers: &HeaderMap) {
        self.keeping.trailers(trailers);
    }

    /// The answer has come to its end.
    pub(in crate::proxy) fn finish(self) {
        // Whoever was to compare it may have gone already.
        let _ = self.to.send(self.keeping.finish());
    }
}

impl Keeping {
    /// Keeps at most `most` bytes of the body, and of the headers those that are compared.
    pub(super) fn new<B>(response: &Response<B>, headers: &[String], most: usize) -> Self {
        let status = response.status().as_u16();
        let mut keeping = Self { answer: Answer { status, headers: Vec::new(), body: Some(Vec::new()) }, most };
        keeping.keep_headers(response.headers(), headers);
        keeping
    }

    fn keep_headers(&mut self, found: &HeaderMap, wanted: &[String]) {
        let always = HEADERS_ALWAYS_KEPT.into_iter().filter(|name| !wanted.iter().any(|wanted| wanted == name));
        for name in wanted.iter().map(String::as_str).chain(always) {
            let lines = found.get_all(name).iter().map(|value| (name.to_owned(), value.as_bytes().to_vec()));
            self.answer.headers.extend(lines);
        }
    }

    /// Of trailers the one that says what a call came to.
    pub(super) fn trailers(&mut self, trailers: &HeaderMap) {
        if let Some(status) = trailers.get(GRPC_STATUS) {
            self.answer.headers.push((GRPC_STATUS.as_str().to_owned(), status.as_bytes().to_vec()));
        }
    }

    pub(super) fn data(&mut self, data: &Bytes) {
        let Some(body) = &mut self.answer.body else { return };
        if body.len() + data.len() > self.most {
            self.answer.body = None;
        } else {
            body.extend_from_slice(data);
        }
    }

    pub(super) fn finish(self) -> Answer {
        self.answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response() -> Response<()> {
        let response = Response::builder().status(404).header("content-type", "text/plain");
        response.header("etag", "1").header("vary", "a").header("vary", "b").body(()).unwrap()
    }

    #[test]
    fn what_is_compared_is_kept_and_nothing_else() {
        let mut keeping = Keeping::new(&response(), &["vary".to_owned()], 10);
        keeping.data(&Bytes::from_static(b"hello"));
        keeping.data(&Bytes::from_static(b"world"));
        let answer = keeping.finish();
        let headers: Vec<_> = answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        assert_eq!(headers, [("vary", &b"a"[..]), ("vary", b"b"), ("content-type", b"text/plain")]);
        assert_eq!((answer.status, answer.body.as_deref()), (404, Some(&b"helloworld"[..])));
    }

    #[test]
    fn a_body_that_is_too_long_is_let_go_of_at_once() {
        let mut keeping = Keeping::new(&response(), &[], 9);
        keeping.data(&Bytes::from_static(b"hello"));
        keeping.data(&Bytes::from_static(b"world"));
        assert_eq!(keeping.answer.body, None);
        keeping.data(&Bytes::from_static(b"!"));
        assert_eq!(keeping.finish().body, None);
    }
}
