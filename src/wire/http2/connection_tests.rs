use std::task::{Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use proptest::prelude::*;

use super::super::frame::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEAD, HEADERS, PING, PRIORITY, RST_STREAM, WINDOW_UPDATE,
};
use super::super::hpack::{Effects, Field};
use super::*;
use crate::wire::Broken;

const BOUNDS: Bounds =
    Bounds { stream_window: 70_000, connection_window: 200_000, list_bytes: 4096, streams: 8, resets: 4 };

/// Both sides of a connection, and their bytes moved between them.
struct Pair {
    client: Connection,
    server: Connection,
}

impl Pair {
    fn new(client: Bounds, server: Bounds) -> Self {
        let mut pair = Self { client: Connection::client(client), server: Connection::server(server) };
        let first = pair.client.out.take_all();
        let rest = first.strip_prefix(super::super::PREFACE).expect("a preface");
        pair.server.receive(rest).expect("settings");
        pair.exchange();
        pair
    }

    /// Moves bytes until there are none.
    fn exchange(&mut self) {
        loop {
            let (there, back) = (self.client.out.take_all(), self.server.out.take_all());
            if there.is_empty() && back.is_empty() {
                return;
            }
            self.server.receive(&there).expect("what a client may send");
            self.client.receive(&back).expect("what a server may send");
        }
    }

    fn ask(&mut self, method: Method, end: bool) -> (Key, Arrival) {
        let request = Request::builder().method(method).uri("/a?b").header("host", "shop.example").header("x", "y");
        let key = self.client.open(&request.body(()).unwrap(), false, end).expect("room");
        self.exchange();
        (key, self.server.next_arrival().expect("a request"))
    }

    fn answer(&mut self, key: Key, end: bool) {
        let date = HeaderValue::from_static("today");
        self.server.answer(key, StatusCode::OK, &HeaderMap::new(), &date, None, end);
    }
}

fn no_one() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Everything that has come on a stream, and whether it ended well; `None`: there may be more.
fn taken(connection: &mut Connection, key: Key) -> (usize, Option<bool>) {
    let mut length = 0;
    loop {
        match connection.poll_frame(key, &mut no_one()) {
            Poll::Ready(Some(Ok(frame))) => length += frame.data_ref().map_or(0, Bytes::len),
            Poll::Ready(Some(Err(Broken))) => return (length, Some(false)),
            Poll::Ready(None) => return (length, Some(true)),
            Poll::Pending => return (length, None),
        }
    }
}

#[test]
fn a_request_and_its_answer_come_as_they_were_sent() {
    let mut pair = Pair::new(BOUNDS, BOUNDS);
    let (asked, arrival) = pair.ask(Method::POST, false);
    let head = arrival.head.expect("a head");
    assert_eq!((head.method, head.uri.to_string().as_str(), arrival.has_body), (Method::POST, "/a?b", true));
    assert_eq!(
        (&head.headers["host"], &head.headers["x"], head.headers.len()),
        (&"shop.example".parse().unwrap(), &"y".parse().unwrap(), 2)
    );
    let mut trailers = HeaderMap::new();
    trailers.insert("sum", "1".parse().unwrap());
    pair.client.send(asked, &mut "hello".into(), false);
    pair.client.send_trailers(asked, &trailers);
    pair.exchange();
    let frame = pair.server.poll_frame(arrival.key, &mut no_one());
    assert!(matches!(frame, Poll::Ready(Some(Ok(frame))) if frame.data_ref().is_some_and(|data| data == "hello")));
    let frame = pair.server.poll_frame(arrival.key, &mut no_one());
    assert!(matches!(frame, Poll::Ready(Some(Ok(frame))) if frame.trailers_ref() == Some(&trailers)));
    assert!(pair.server.is_over(arrival.key));

    pair.answer(arrival.key, false);
    pair.server.send(arrival.key, &mut "world".into(), true);
    pair.server.close(arrival.key);
    pair.exchange();
    let Poll::Ready(Ok(response)) = pair.client.poll_head(asked, &mut no_one()) else { panic!("an answer") };
    assert_eq!((response.status(), &response.headers()["date"]), (StatusCode::OK, &"today".parse().unwrap()));
    assert_eq!(taken(&mut pair.client, asked), (5, Some(true)));
    pair.client.release(asked, Reason::CANCEL);
    assert!(pair.client.out.take_all().is_empty(), "nothing is to be said of a stream that is over");
    assert_eq!((pair.client.open_streams(), pair.server.open_streams()), (0, 0));
}

#[test]
fn no_more_is_sent_than_the_windows_allow_and_all_of_it_in_the_end() {
    const LENGTH: usize = 1_000_000;
    let mut pair = Pair::new(Bounds { stream_window: 1000, connection_window: 0, ..BOUNDS }, BOUNDS);
    let keys: Vec<_> = (0..8).map(|_| pair.ask(Method::GET, true)).collect();
    let mut rests: Vec<_> = keys.iter().map(|_| Bytes::from(vec![7; LENGTH / 8])).collect();
    let mut came = [0; 8];
    for (_, arrival) in &keys {
        pair.answer(arrival.key, false);
    }
    while came.iter().sum::<usize>() < LENGTH {
        for (at, (asked, arrival)) in keys.iter().enumerate() {
            pair.server.send(arrival.key, &mut rests[at], true);
            pair.exchange();
            let (length, ended) = taken(&mut pair.client, *asked);
            assert!(length <= 1000, "{length} bytes came at once");
            came[at] += length;
            assert_eq!(ended.is_some(), came[at] == LENGTH / 8);
            pair.exchange();
        }
    }
    for (_, arrival) in &keys {
        pair.server.close(arrival.key);
    }
    assert_eq!(pair.server.open_streams(), 0);
}

#[test]
fn a_short_body_is_sent_at_once_or_not_at_all() {
    let mut pair = Pair::new(BOUNDS, Bounds { stream_window: 10, ..BOUNDS });
    let (asked, arrival) = pair.ask(Method::POST, false);
    assert!(!pair.client.send_whole(asked, b"more than ten bytes"));
    assert!(pair.client.out.take_all().is_empty(), "nothing is sent of what is too long");
    assert!(pair.client.send_whole(asked, b"ten bytes."));
    pair.exchange();
    assert_eq!(taken(&mut pair.server, arrival.key), (10, Some(true)));
    assert!(!pair.client.send_whole(asked, b""), "nothing follows the end");
    let (asked, arrival) = pair.ask(Method::POST, false);
    assert!(pair.client.send_whole(asked, b""));
    pair.exchange();
    assert_eq!(taken(&mut pair.server, arrival.key), (0, Some(true)));
}

#[test]
fn a_stream_that_nobody_reads_holds_up_no_other() {
    let mut pair = Pair::new(BOUNDS, BOUNDS);
    let (stalled, first) = pair.ask(Method::POST, false);
    let (moving, second) = pair.ask(Method::POST, false);
    pair.server.unwanted(first.key);
    let (mut one, mut other) = (Bytes::from(vec![1; 500_000]), Bytes::from(vec![2; 500_000]));
    let mut came = 0;
    while came < 500_000 {
        pair.client.send(stalled, &mut one, true);
        pair.client.send(moving, &mut other, true);
        pair.exchange();
        let (length, _) = taken(&mut pair.server, second.key);
        assert!(length > 0, "the other is held up after {came}");
        came += length;
        pair.exchange();
    }
    assert_eq!(one.len(), 500_000 - 70_000, "its own window stays shut");
}

#[test]
fn a_head_longer_than_a_frame_goes_in_several() {
    let mut pair = Pair::new(Bounds { list_bytes: 100_000, ..BOUNDS }, BOUNDS);
    let (asked, arrival) = pair.ask(Method::GET, true);
    let mut headers = HeaderMap::new();
    headers.insert("long", "v".repeat(50_000).parse().unwrap());
    pair.server.answer(arrival.key, StatusCode::OK, &headers, &HeaderValue::from_static("today"), None, true);
    pair.exchange();
    let Poll::Ready(Ok(response)) = pair.client.poll_head(asked, &mut no_one()) else { panic!("an answer") };
    assert_eq!(response.headers()["long"].len(), 50_000);
}

#[test]
fn an_answer_larger_than_allowed_is_no_answer() {
    let mut pair = Pair::new(BOUNDS, BOUNDS);
    let (asked, arrival) = pair.ask(Method::GET, true);
    let mut headers = HeaderMap::new();
    headers.insert("long", "v".repeat(5_000).parse().unwrap());
    pair.server.answer(arrival.key, StatusCode::OK, &headers, &HeaderValue::from_static("today"), None, true);
    pair.exchange();
    assert!(matches!(pair.client.poll_head(asked, &mut no_one()), Poll::Ready(Err(Lost::Malformed))));
}

#[test]
fn streams_that_were_not_begun_are_told_from_those_that_were() {
    let mut pair = Pair::new(BOUNDS, BOUNDS);
    let (begun, _) = pair.ask(Method::GET, true);
    pair.server.leave();
    let request = Request::builder().uri("/").header("host", "a").body(()).unwrap();
    let late = pair.client.open(&request, false, true).expect("room, as far as the client knows");
    pair.exchange();
    assert!(pair.client.open(&request, false, true).is_none());
    assert!(matches!(pair.client.poll_head(late, &mut no_one()), Poll::Ready(Err(Lost::Refused))));
    assert!(pair.client.poll_head(begun, &mut no_one()).is_pending());
    pair.client.writes_now();
    pair.client.lose(Lost::Closed);
    assert!(matches!(pair.client.poll_head(begun, &mut no_one()), Poll::Ready(Err(Lost::Closed))));
}

#[test]
fn a_request_that_is_not_wanted_any_more_is_reset() {
    let mut pair = Pair::new(BOUNDS, BOUNDS);
    let (asked, arrival) = pair.ask(Method::GET, true);
    pair.client.release(asked, Reason::CANCEL);
    pair.exchange();
    assert_eq!(pair.server.next_gone(), Some(arrival.key));
    assert_eq!((pair.client.open_streams(), pair.server.open_streams()), (0, 0));
}

#[test]
fn an_early_answer_ends_a_request_that_has_not() {
    let mut pair = Pair::new(BOUNDS, BOUNDS);
    let (asked, arrival) = pair.ask(Method::POST, false);
    pair.answer(arrival.key, true);
    pair.server.close(arrival.key);
    pair.exchange();
    let Poll::Ready(Ok(response)) = pair.client.poll_head(asked, &mut no_one()) else { panic!("an answer") };
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(taken(&mut pair.client, asked), (0, Some(true)));
    // What was on its way is taken for what it is.
    let mut rest = Bytes::from_static(b"late");
    pair.client.send(asked, &mut rest, true);
    pair.exchange();
}

/// A server that has got a client's settings, and what it says to these frames.
fn told(frames: &[(u8, u8, u32, &[u8])]) -> (Connection, Result<(), Fault>) {
    let mut server = Connection::server(BOUNDS);
    let mut bytes = frame::head(0, SETTINGS, 0, 0).to_vec();
    bytes.extend(frame::head(0, SETTINGS, ACK, 0));
    for (kind, flags, stream, payload) in frames {
        bytes.extend(frame::head(payload.len(), *kind, *flags, *stream));
        bytes.extend_from_slice(payload);
    }
    let received = server.receive(&bytes);
    (server, received)
}

/// `GET /` of `a`.
const GET: &[u8] = b"\x82\x86\x84\x01\x01a";
const WHOLE: u8 = END_HEADERS | END_STREAM;

#[test]
fn what_breaks_the_rules_of_a_connection_ends_it() {
    let (protocol, flow) = (Reason::PROTOCOL_ERROR, Reason::FLOW_CONTROL_ERROR);
    let largest = &0x7fff_ffff_u32.to_be_bytes()[..];
    for (frames, reason) in [
        (&[(HEADERS, WHOLE, 2, GET)][..], protocol),
        (&[(DATA, 0, 1, b"")], protocol),
        (&[(RST_STREAM, 0, 1, &[0; 4])], protocol),
        (&[(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])], protocol),
        (&[(WINDOW_UPDATE, 0, 0, &[0; 4])], protocol),
        (&[(WINDOW_UPDATE, 0, 0, largest)], flow),
        (&[(SETTINGS, 0, 0, b"\0\x04\x80\0\0\0")], flow),
        (&[(SETTINGS, 0, 0, b"\0\x05\0\0\0\x01")], protocol),
        (&[(SETTINGS, 0, 0, b"\0\x02\0\0\0\x02")], protocol),
        (&[(SETTINGS, 0, 0, b"\0\x02\0\0\0")], Reason::FRAME_SIZE_ERROR),
        (&[(SETTINGS, 0, 0, &[0; 6 * 65])], Reason::ENHANCE_YOUR_CALM),
        (&[(HEADERS, WHOLE, 1, b"\xff\xff")], Reason::COMPRESSION_ERROR),
    ] {
        assert_eq!(told(frames).1.map_err(|fault| fault.reason), Err(reason), "{frames:?}");
    }
    let mut much = Vec::new();
    for stream in [1, 3, 5, 7] {
        much.push((HEADERS, END_HEADERS, stream, &b"\x83\x86\x84\x01\x01a"[..]));
        much.extend([(DATA, 0, stream, &[0; 16_000][..]); 4]);
    }
    assert_eq!(told(&much).1.map_err(|fault| fault.reason), Err(flow));
    // More than the stream's window, but not the connection's: that ends the stream only.
    much.truncate(1);
    much.extend([(DATA, 0, 1, &[0; 16_000][..]); 20]);
    let (mut server, received) = told(&much);
    assert_eq!((received, server.open_streams()), (Ok(()), 0));
    let reset = [&frame::head(4, RST_STREAM, 0, 1)[..], &3_u32.to_be_bytes()].concat();
    assert!(server.out.take_all().windows(reset.len()).any(|bytes| bytes == reset), "FLOW_CONTROL_ERROR");
}

#[test]
fn frames_that_move_nothing_end_a_connection_when_there_are_too_many() {
    for frame in [
        (PING, 0, 0, &b"12345678"[..]),
        (SETTINGS, 0, 0, b""),
        (SETTINGS, ACK, 0, b""),
        (PRIORITY, 0, 1, b"12345"),
        (WINDOW_UPDATE, 0, 0, b"\0\0\0\x01"),
        (DATA, 0, 1, b""),
        (77, 0, 0, b""),
    ] {
        let mut frames = vec![(HEADERS, END_HEADERS, 1, &b"\x83\x86\x84\x01\x01a"[..])];
        frames.extend(std::iter::repeat_n(frame, 1_000));
        assert_eq!(told(&frames).1, Ok(()), "{frame:?}");
        frames.extend(std::iter::repeat_n(frame, 10_000));
        assert_eq!(told(&frames).1.map_err(|fault| fault.reason), Err(Reason::ENHANCE_YOUR_CALM), "{frame:?}");
    }
}

#[test]
fn streams_that_are_opened_to_be_reset_end_their_connection() {
    let resets = |count: u32| -> Vec<(u8, u8, u32, &[u8])> {
        (0..count).flat_map(|n| [(HEADERS, WHOLE, 2 * n + 1, GET), (RST_STREAM, 0, 2 * n + 1, &[0; 4][..])]).collect()
    };
    assert_eq!(told(&resets(4)).1, Ok(()));
    assert!(told(&resets(5)).1.is_err_and(Connection::is_flood), "more than may be unseen");
    // And so do those that somebody looks at in time.
    let (mut server, _) = told(&[]);
    let mut ended = Ok(());
    for n in 0..100 {
        let mut bytes = frame::head(GET.len(), HEADERS, WHOLE, 2 * n + 1).to_vec();
        bytes.extend_from_slice(GET);
        frame::reset(&mut bytes, 2 * n + 1, Reason::CANCEL);
        let (open, close) = bytes.split_at(HEAD + GET.len());
        server.receive(open).expect("a request");
        assert!(server.next_arrival().is_some() && server.next_arrival().is_none());
        ended = server.receive(close);
        if ended.is_err() {
            break;
        }
    }
    assert!(ended.is_err_and(Connection::is_flood));
    // Malformed requests are no cheaper.
    let bad: Vec<_> = (0..100).map(|n| (HEADERS, WHOLE, 2 * n + 1, &b"\x82"[..])).collect();
    assert!(told(&bad).1.is_err_and(Connection::is_flood));
}

#[test]
fn a_message_that_is_none_ends_its_stream_and_no_other() {
    let length = b"\x83\x86\x84\x01\x01a\x0f\x0d\x015";
    for frames in [
        &[(HEADERS, WHOLE, 1, &b"\x82"[..])][..],
        &[(HEADERS, WHOLE, 1, b"\x82\x82\x86\x84\x01\x01a")],
        &[(HEADERS, WHOLE, 1, b"\x82\x86\x84\x00\x01a\x01b\x01\x01a")],
        &[(HEADERS, WHOLE, 1, b"\x82\x86\x84\x88")],
        &[(HEADERS, WHOLE, 1, b"\x82\x86\x84\x00\x0akeep-alive\x01b")],
        &[(HEADERS, WHOLE, 1, b"\x82\x86\x84\x00\x02te\x04gzip")],
        &[(HEADERS, WHOLE, 1, length)],
        &[(HEADERS, END_HEADERS, 1, length), (DATA, END_STREAM, 1, b"1234")],
        &[(HEADERS, END_HEADERS, 1, length), (DATA, 0, 1, b"123456")],
        &[(HEADERS, END_HEADERS, 1, length), (HEADERS, WHOLE, 1, b"")],
        &[(HEADERS, END_HEADERS, 1, length), (DATA, 0, 1, b"12345"), (HEADERS, END_HEADERS, 1, b"")],
        &[(HEADERS, WHOLE, 1, GET), (WINDOW_UPDATE, 0, 1, &[0; 4])],
    ] {
        let (mut server, received) = told(frames);
        assert_eq!(received, Ok(()), "{frames:?}");
        assert!(server.next_arrival().is_none(), "{frames:?}");
        let said = server.out.take_all();
        let reset = [&frame::head(4, RST_STREAM, 0, 1)[..], &1_u32.to_be_bytes()].concat();
        assert!(said.windows(reset.len()).any(|bytes| bytes == reset), "{frames:?}: {said:?}");
    }
}

#[test]
fn what_comes_late_for_a_stream_is_passed_over() {
    let (mut server, received) = told(&[(HEADERS, END_HEADERS, 1, b"\x83\x86\x84\x01\x01a")]);
    received.expect("a request");
    let key = server.next_arrival().expect("it").key;
    server.reset(key, Reason::CANCEL);
    server.out.take_all();
    let mut late = Vec::new();
    for (kind, flags, payload) in
        [(DATA, 0, &b"data"[..]), (WINDOW_UPDATE, 0, b"\0\0\0\x01"), (HEADERS, WHOLE, b"\x88")]
    {
        late.extend(frame::head(payload.len(), kind, flags, 1));
        late.extend_from_slice(payload);
    }
    assert_eq!(server.receive(&late), Ok(()));
    assert!(server.out.take_all().is_empty(), "it was told already");
}

#[test]
fn a_list_of_fields_larger_than_allowed_is_seen_as_that_and_the_table_holds() {
    let mut block = GET.to_vec();
    // A field of 100 bytes that enters the table, named 60 times.
    block.extend(b"\x40\x01x\x7f\x00".iter().chain(&[b'v'; 127]));
    block.extend([0xbe; 60]);
    let (mut server, received) = told(&[(HEADERS, WHOLE, 1, &block), (HEADERS, WHOLE, 3, b"\x82\x86\x84\xbe")]);
    assert_eq!(received, Ok(()));
    assert!(server.next_arrival().expect("a request").head.is_none());
    assert_eq!(server.next_arrival().expect("another").head.expect("its head").headers["x"].len(), 127);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever frames come, in whatever order: the machine ends the connection or goes on, and keeps no more than its bounds.
    #[test]
    fn any_frames_are_survived_within_the_bounds(
        seeds in prop::collection::vec((0..12_u8, any::<u8>(), 0..7_u32, prop::collection::vec(any::<u8>(), 0..30), 0..4_u8), 0..60),
        server in any::<bool>(),
    ) {
        let mut connection = if server { Connection::server(BOUNDS) } else { Connection::client(BOUNDS) };
        let settings = frame::head(0, SETTINGS, 0, 0);
        prop_assert_eq!(connection.receive(&settings), Ok(()));
        let request = Request::builder().uri("/").header("host", "a").body(()).unwrap();
        let mut keys: Vec<_> = (0..3).filter_map(|_| if server { None } else { connection.open(&request, false, false) }).collect();
        for (kind, flags, stream, payload, then) in seeds {
            let payload = match (kind, then) {
                (HEADERS | CONTINUATION, 0) => GET.to_vec(),
                (HEADERS, 1) => vec![0x88],
                (RST_STREAM | WINDOW_UPDATE, 0) => vec![0, 0, 1, 0],
                (PING, 0) => vec![0; 8],
                _ => payload,
            };
            let mut bytes = frame::head(payload.len(), kind, flags, stream).to_vec();
            bytes.extend(payload);
            if connection.receive(&bytes).is_err() {
                break;
            }
            if server && then < 2 {
                keys.extend(connection.next_arrival().map(|arrival| arrival.key));
            }
            for key in keys.iter().copied().take(usize::from(then)) {
                connection.send(key, &mut Bytes::from_static(b"data"), false);
                let _ = connection.poll_frame(key, &mut no_one());
                let _ = connection.poll_head(key, &mut no_one());
            }
            while let Some(key) = connection.next_gone() {
                keys.retain(|known| *known != key);
            }
            prop_assert!(connection.open_streams() <= BOUNDS.streams as usize);
            prop_assert!(connection.forgotten.len() <= FORGOTTEN && connection.gone.len() <= BOUNDS.streams as usize);
        }
        connection.lose(Lost::Closed);
    }
}

#[test]
fn a_secret_of_a_client_stays_one_on_its_way_on() {
    let (mut server, _) = told(&[(HEADERS, WHOLE, 1, b"\x82\x86\x84\x01\x01a\x10\x01x\x04hush")]);
    let head = server.next_arrival().expect("a request").head.expect("a head");
    assert!(head.headers["x"].is_sensitive());
    let mut client = Connection::client(BOUNDS);
    client.out.take_all();
    client.open(&Request::from_parts(head, ()), true, true).expect("room");
    let said = client.out.take_all();
    let mut secret = false;
    let taken = Decoder::default().decode(&said[HEAD..], &mut Effects::default(), |field, _| {
        secret |= matches!(field, Field::Header(name, value) if name == "x" && value.is_sensitive());
    });
    assert!(taken.is_ok() && secret);
}
