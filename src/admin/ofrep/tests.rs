//! Clients that are slow, many, or never leave. All times are short, so that nobody waits for the real ones.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};
use tokio::sync::watch;

use super::pace::Patience;
use super::serve::{FlagApi, FlagApiThread};
use crate::admin::AdminListener;
use crate::config::{Bind, OfrepSettings, Origins};
use crate::control::FlagsInForce;
use crate::flags::{Evaluators, FlagSet, FlagSpec, State};
use crate::telemetry::Registry;

/// Long enough for whatever happens at all.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(50);
const PATIENT: Patience =
    Patience { idle: LONG, head: LONG, body: LONG, taking: LONG, look: Duration::from_millis(10), keep_alive: LONG };

struct Api {
    address: SocketAddr,
    flags: watch::Sender<FlagsInForce>,
    registry: Arc<Registry>,
    thread: FlagApiThread,
}

fn flags(count: usize, value: &str) -> FlagsInForce {
    let flag = |number| FlagSpec {
        key: format!("flag-{number}"),
        state: State::Enabled,
        variants: vec![("on".to_owned(), Value::from(value))],
        default: Some(0),
        targeting: None,
        metadata: Map::new(),
    };
    let set = FlagSet::new((0..count).map(flag).collect(), &Evaluators::default(), Map::new());
    FlagsInForce { set: Arc::new(set), token: format!("{count}-{value:.10}").into(), since: SystemTime::UNIX_EPOCH }
}

fn api(patience: Patience, connections: usize, in_force: FlagsInForce) -> Api {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let (flags, watched) = watch::channel(in_force);
    let registry = Arc::new(Registry::new(1));
    let settings =
        OfrepSettings { address: Bind::Tcp(address), origins: Origins::default(), max_body: 100_000, connections };
    let api = FlagApi { settings, flags: watched, registry: Arc::clone(&registry) };
    let thread = api.start_with(AdminListener::Tcp(listener), patience).unwrap();
    Api { address, flags, registry, thread }
}

impl Api {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }

    fn send(&self, text: &str) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    }
}

/// What comes until `end` is in it.
fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    let mut byte = [0];
    while !text.contains(end) {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "it ended: {text}");
        text.push(char::from(byte[0]));
    }
    text
}

/// Everything until the end; a reset is one.
fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

const EVALUATE: &str = "POST /ofrep/v1/evaluate/flags HTTP/1.1\r\nhost: flags\r\n";
const EVENTS: &str = "GET /ofrep/v1/events HTTP/1.1\r\nhost: flags\r\n\r\n";

#[test]
fn a_head_that_takes_too_long_ends_the_connection() {
    let api = api(Patience { head: SHORT, ..PATIENT }, 10, flags(1, "x"));
    let mut stream = api.send(EVALUATE);
    assert_eq!(rest(&mut stream), "");
}

#[test]
fn a_connection_nobody_uses_is_closed_also_after_a_request() {
    let api = api(Patience { idle: SHORT, ..PATIENT }, 10, flags(1, "x"));
    assert_eq!(rest(&mut api.connect()), "");
    let answer = rest(&mut api.send(&format!("{EVALUATE}content-length: 0\r\n\r\n")));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn a_body_that_takes_too_long_is_answered_408() {
    let api = api(Patience { body: SHORT, ..PATIENT }, 10, flags(1, "x"));
    let mut stream = api.send(&format!("{EVALUATE}content-length: 10\r\n\r\n{{"));
    let answer = until(&mut stream, "\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("connection: close"), "{answer}");
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(rest(&mut stream).contains("errorDetails"));
}

#[test]
fn a_client_that_takes_nothing_of_its_answers_is_dropped() {
    let api = api(Patience { taking: SHORT, ..PATIENT }, 10, flags(1_000, &"x".repeat(1_000)));
    let mut stream = api.send(&format!("{EVALUATE}content-length: 0\r\n\r\n").repeat(20));
    // Some megabytes: more than the system buffers. Not a byte is read before the server has given up, which shows when
    // writing fails.
    let filler = format!("{EVALUATE}content-length: 0\r\n\r\n").repeat(100);
    let gave_up = (0..1_000_000).any(|_| stream.write_all(filler.as_bytes()).is_err());
    assert!(gave_up);
}

#[test]
fn one_connection_more_than_allowed_is_told_so() {
    let api = api(PATIENT, 2, flags(1, "x"));
    let mut open = [api.send(EVALUATE), api.send(EVALUATE)];
    let answer = rest(&mut api.connect());
    assert!(answer.starts_with("HTTP/1.1 429 Too Many Requests\r\n"), "{answer}");
    assert!(answer.contains("retry-after: 1\r\n") && answer.contains("errorCode"), "{answer}");
    // Those that are open are none the worse.
    open[0].write_all(b"content-length: 0\r\n\r\n").unwrap();
    assert!(until(&mut open[0], "\r\n").starts_with("HTTP/1.1 200 "));
}

#[test]
fn at_most_half_of_the_connections_are_event_streams() {
    let api = api(PATIENT, 4, flags(1, "x"));
    let mut streams = [api.send(EVENTS), api.send(EVENTS)];
    for stream in &mut streams {
        until(stream, "refetchEvaluation");
    }
    let mut third = api.send(EVENTS);
    let answer = until(&mut third, "errorDetails");
    assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("retry-after: 1\r\n"), "{answer}");
    let mut fourth = api.send(&format!("{EVALUATE}content-length: 0\r\n\r\n"));
    assert!(until(&mut fourth, "\r\n").starts_with("HTTP/1.1 200 "), "there is room for those who ask");
    let text = crate::telemetry::exposition::text(&api.registry);
    assert!(text.contains("serin_ofrep_event_streams 2"), "{text}");
}

#[test]
fn an_event_stream_that_ends_makes_room() {
    let api = api(Patience { keep_alive: SHORT, ..PATIENT }, 2, flags(1, "x"));
    let mut first = api.send(EVENTS);
    until(&mut first, "refetchEvaluation");
    drop(first);
    // That it is gone shows when it is written to.
    let until_then = std::time::Instant::now() + LONG;
    while !rest_is_stream(&api) {
        assert!(std::time::Instant::now() < until_then);
    }
}

fn rest_is_stream(api: &Api) -> bool {
    let mut stream = api.send("GET /ofrep/v1/events HTTP/1.1\r\nhost: flags\r\n\r\n");
    until(&mut stream, "\r\n").starts_with("HTTP/1.1 200 ")
}

#[test]
fn event_streams_are_kept_alive_and_told_once_of_any_number_of_changes() {
    let api = api(Patience { keep_alive: SHORT, ..PATIENT }, 10, flags(1, "x"));
    let mut stream = api.send(EVENTS);
    let first = until(&mut stream, "}\n\n");
    assert!(first.contains("retry: ") && first.contains("id: 1-x\n"), "{first}");
    until(&mut stream, "\n:\n\n");
    until(&mut stream, "\n:\n\n");
    api.flags.send_replace(flags(2, "y"));
    let event = until(&mut stream, "}\n\n");
    assert!(event.contains("id: 2-y\nevent: message\ndata: {\"etag\":\"\\\"2-y\\\"\""), "{event}");
}

#[test]
fn the_end_of_the_server_ends_event_streams_properly() {
    let api = api(PATIENT, 10, flags(1, "x"));
    let mut stream = api.send(EVENTS);
    until(&mut stream, "}\n\n\r\n");
    let mut idle = api.connect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(api.thread.stop());
    assert_eq!(rest(&mut stream), "0\r\n\r\n");
    assert_eq!(rest(&mut idle), "");
    assert!(TcpStream::connect(api.address).is_err());
}

#[test]
fn while_a_large_answer_is_made_others_get_theirs() {
    let api = api(PATIENT, 100, flags(10_000, "x"));
    let bulk = || api.send(&format!("{EVALUATE}connection: close\r\ncontent-length: 0\r\n\r\n"));
    let mut large: Vec<TcpStream> = (0..8).map(|_| bulk()).collect();
    let single = "POST /ofrep/v1/evaluate/flags/flag-7 HTTP/1.1\r\nhost: flags\r\nconnection: close\r\n\r\n";
    let small = rest(&mut api.send(single));
    assert!(small.contains("\"value\":\"x\""), "{small}");
    // The last one waits for the turns of the others; had the small one, too, it would have come after it.
    let last = &mut large[7];
    last.set_nonblocking(true).unwrap();
    assert!(last.read(&mut [0]).is_err(), "nothing of the last large one is there yet");
    last.set_nonblocking(false).unwrap();
    for mut stream in large {
        let answer = rest(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"flag-9999\""));
    }
}
