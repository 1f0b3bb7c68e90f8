//! What happens, as those who follow it are told: server-sent events of the admin API, and webhooks.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

mod support;

#[path = "events/rollout.rs"]
mod rollout;
#[path = "events/stream.rs"]
mod stream;
#[path = "events/webhooks.rs"]
mod webhooks;

use serde_json::Value;
use support::client::Raw;
use support::serin::Serin;

/// One event as it came.
#[derive(Debug, Clone)]
struct Told {
    id: String,
    name: String,
    data: Value,
}

/// An event stream that is read by hand.
struct Stream(Raw);

impl Stream {
    /// Opens `path` with these header lines; the head is read.
    fn open(serin: &Serin, query: &str, headers: &str) -> Self {
        let mut raw = Raw::connect(serin.admin());
        raw.send(format!(
            "GET /api/v1/events{query} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n{headers}\r\n"
        ));
        let head = raw.head().expect("a head");
        assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
        assert_eq!(head.header("cache-control"), Some("no-store"));
        let mut stream = Self(raw);
        let first = stream.block().expect("the first piece");
        assert!(first.starts_with("retry: 2000\nid: "), "{first}");
        stream
    }

    /// The next block of lines; `None` at the proper end. Each piece is a chunk of its own, or several in one.
    fn block(&mut self) -> Option<String> {
        let mut text = String::new();
        loop {
            let line = String::from_utf8(self.0.until(b"\n")?).expect("text");
            let bare = line.trim_end_matches(['\r', '\n']);
            let is_size =
                line.ends_with("\r\n") && !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
            match () {
                () if is_size && bare == "0" => return None,
                // The framing of chunks, which alone has line ends with a carriage return.
                () if line.ends_with("\r\n") => {}
                () if bare.is_empty() => return Some(text),
                () => text.push_str(&line),
            }
        }
    }

    /// The next event, comments left out; `None` at the proper end.
    fn next(&mut self) -> Option<Told> {
        loop {
            let block = self.block()?;
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            let (Some(id), Some(event), Some(data)) = (field("id"), field("event"), field("data")) else { continue };
            let data: Value = serde_json::from_str(data).expect("JSON");
            assert_eq!(data["type"], event);
            return Some(Told { id: id.to_owned(), name: event.to_owned(), data: data["data"].clone() });
        }
    }

    /// The next event of this name.
    fn await_one(&mut self, name: &str) -> Told {
        loop {
            let told = self.next().unwrap_or_else(|| panic!("the end instead of {name}"));
            if told.name == name {
                return told;
            }
        }
    }
}
