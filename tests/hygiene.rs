//! What reaches the other side has exactly one reading, whatever came in: raw sockets on both ends.

mod support;

#[path = "hygiene/answers.rs"]
mod answers;
#[path = "hygiene/bodies.rs"]
mod bodies;
#[path = "hygiene/damage.rs"]
mod damage;
#[path = "hygiene/framing.rs"]
mod framing;
#[path = "hygiene/http2.rs"]
mod http2;
#[path = "hygiene/lines.rs"]
mod lines;
#[path = "hygiene/targets.rs"]
mod targets;

use support::client::{Raw, Response};
use support::serin::Serin;
use support::sidecar;
use support::strict::{self, Rest};
use support::upstream::{Recorded, Upstream};

/// A serin in front of an upstream that answers 200 to whatever it can read, and what should have reached that by now.
struct House {
    upstream: Upstream,
    serin: Serin,
    expected: usize,
}

impl House {
    fn new() -> Self {
        let upstream = Upstream::named("answered");
        let serin = sidecar::before(&upstream.url());
        Self { upstream, serin, expected: 0 }
    }

    /// Sends `bytes` and expects this status, the reason, a closed connection, and nothing at the upstream.
    fn refuses_with(&mut self, status: u16, bytes: impl AsRef<[u8]>) -> Response {
        let bytes = bytes.as_ref();
        let shown = String::from_utf8_lossy(bytes);
        let mut client = Raw::connect(self.serin.web());
        let answer = client.send(bytes).response(false).unwrap_or_else(|| panic!("no answer to {shown:?}"));
        assert_eq!(answer.status, status, "{shown:?} was answered {answer:?}");
        assert!(answer.header("x-serin-error").is_some(), "{shown:?} was refused without a reason: {answer:?}");
        assert_eq!(answer.header("connection"), Some("close"), "{shown:?} was answered {answer:?}");
        assert!(client.is_closed(), "{shown:?}: the connection stays open");
        self.check(&shown);
        answer
    }

    /// Refused as malformed.
    fn refuses(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let answer = self.refuses_with(400, bytes);
        assert_eq!(answer.header("x-serin-error"), Some("malformed"), "{:?}", String::from_utf8_lossy(bytes));
    }

    /// A `POST` with these header lines (each ending in CR LF), and `rest`, is refused.
    fn refuses_post(&mut self, headers: &str, rest: &str) {
        self.refuses(format!("POST /refused HTTP/1.1\r\nhost: shop.example\r\n{headers}\r\n{rest}"));
    }

    /// Sends `bytes`; gives the request as it reached the upstream.
    fn passes(&mut self, bytes: impl AsRef<[u8]>) -> Recorded {
        let bytes = bytes.as_ref();
        let shown = String::from_utf8_lossy(bytes);
        let answer = Raw::connect(self.serin.web()).send(bytes).response(false);
        let answer = answer.unwrap_or_else(|| panic!("no answer to {shown:?}"));
        assert_eq!((answer.status, answer.text().as_str()), (200, "answered"), "{shown:?} was answered {answer:?}");
        self.expected += 1;
        self.check(&shown);
        self.upstream.last()
    }

    /// A `POST` with these header lines and body.
    fn passes_post(&mut self, headers: &str, body: &str) -> Recorded {
        self.passes(format!("POST /passed HTTP/1.1\r\nhost: shop.example\r\n{headers}\r\n{body}"))
    }

    /// Every byte at the upstream belongs to one of the requests that were answered.
    fn check(&self, after: &str) {
        let mut whole = 0;
        for bytes in self.upstream.bytes() {
            let (messages, rest) = strict::requests(&bytes, strict::NO_LEAVE);
            assert_eq!(rest, Rest::Nothing, "after {after:?}: {:?}", String::from_utf8_lossy(&bytes));
            whole += messages.len();
        }
        assert_eq!(whole, self.expected, "after {after:?}: {:?}", self.upstream.requests());
    }
}
