//! Bounds: how much a client may send, how slowly, how often; how long an upstream may take, and what if it is not there.

mod support;

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use support::client::{self, Raw};
use support::eventually;
use support::frames::{self, Frames};
use support::h2;
use support::serin::Serin;
use support::sidecar;
use support::strict::{self, Rest};
use support::upstream::Upstream;

const GET: &str = "GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn limited(limits: &str) -> (Upstream, Serin) {
    let upstream = Upstream::answering(OK);
    let serin = sidecar::before_with(&upstream.url(), &format!("limits: {{ {limits} }}"), "");
    (upstream, serin)
}

/// The status and the reason of the answer to `bytes`, after which the connection must be closed.
fn refusal(serin: &Serin, bytes: impl AsRef<[u8]>) -> (u16, String) {
    let mut client = Raw::connect(serin.web());
    let got = client.send(bytes).response(false).expect("an answer");
    assert_eq!(got.header("connection"), Some("close"), "{got:?}");
    assert!(client.is_closed());
    (got.status, got.header("x-serin-error").unwrap_or_default().to_owned())
}

/// A head of exactly so many bytes, in lines of some hundred.
fn head_of(bytes: usize) -> String {
    let mut head = "GET / HTTP/1.1\r\nhost: a\r\n".to_owned();
    while head.len() + 2 < bytes {
        let left = bytes - 2 - head.len();
        // The last line must have room for a name.
        let line = if left < 220 { left } else { 110 };
        head.extend(["x: ", &"v".repeat(line - 5), "\r\n"]);
    }
    head + "\r\n"
}

#[test]
fn a_head_may_have_so_many_bytes() {
    let (upstream, serin) = limited("headerBytes: 4KiB");
    // The blank line at the end is not counted.
    let fits = head_of(4 * 1024 + 2);
    assert_eq!(client::request(serin.web(), &fits).status, 200);
    let too_large = (431, "headersTooLarge".to_owned());
    assert_eq!(refusal(&serin, head_of(4 * 1024 + 3)), too_large);
    assert_eq!(refusal(&serin, head_of(40 * 1024)), too_large);
    // There is no need to wait for the end of a line.
    assert_eq!(refusal(&serin, format!("GET /{}", "a".repeat(5000))), too_large);
    assert_eq!(refusal(&serin, format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}", "a".repeat(5000))), too_large);
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_head_may_have_so_many_lines() {
    for (limits, most) in [("headerCount: 10", 10), ("headerCount: 300", 300), ("", 100)] {
        let (upstream, serin) = limited(limits);
        let head = |lines: usize| format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(lines - 1));
        assert_eq!(client::request(serin.web(), &head(most)).status, 200, "{limits}");
        assert_eq!(upstream.last().headers("x").len(), most - 1);
        assert_eq!(refusal(&serin, head(most + 1)), (431, "headersTooLarge".to_owned()), "{limits}");
        // Trailers count as well.
        let post = format!(
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n{}\r\n",
            "x: y\r\n".repeat(most - 1)
        );
        assert_eq!(refusal(&serin, post), (431, "headersTooLarge".to_owned()), "{limits}");
        assert_eq!(upstream.requests().len(), 1);
    }
}

#[test]
fn a_large_head_passes_where_it_may() {
    let (upstream, serin) = limited("headerBytes: 1MiB, headerCount: 4096");
    assert_eq!(client::request(serin.web(), &head_of(300_000)).status, 200);
    assert_eq!(upstream.last().head.matches("\r\nx: ").count(), head_of(300_000).matches("\r\nx: ").count());
    let target = |length: usize| format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(length));
    assert_eq!(client::request(serin.web(), &target(60_000)).status, 200);
    assert_eq!(refusal(&serin, target(70_000)), (431, "headersTooLarge".to_owned()), "longer than any target may be");
}

#[test]
fn an_http_2_head_has_the_same_bounds() {
    let (upstream, serin) = limited("headerBytes: 4KiB, headerCount: 10");
    let status = |lines: usize, length: usize| {
        h2::run(async {
            let mut request = h2::get("/");
            for number in 0..lines {
                let name = http::HeaderName::try_from(format!("x-{number}")).expect("a name");
                request.headers_mut().insert(name, "v".repeat(length).parse().expect("a value"));
            }
            let mut client = h2::connect(serin.web()).await;
            client.send_request(request).await.expect("an answer").status().as_u16()
        })
    };
    assert_eq!(status(9, 10), 200);
    assert_eq!(status(11, 10), 431);
    assert_eq!(status(1, 8000), 431);
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_body_may_have_so_many_bytes() {
    let (upstream, serin) = limited("bodyBytes: 10");
    let post = |headers: &str, rest: &str| format!("POST / HTTP/1.1\r\nhost: a\r\n{headers}\r\n{rest}");
    assert_eq!(client::request(serin.web(), &post("content-length: 10\r\n", "0123456789")).status, 200);
    let chunked = "transfer-encoding: chunked\r\n";
    assert_eq!(client::request(serin.web(), &post(chunked, "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n")).status, 200);
    let too_large = (413, "bodyTooLarge".to_owned());
    assert_eq!(refusal(&serin, post("content-length: 11\r\n", "0123456789a")), too_large);
    assert_eq!(refusal(&serin, post("content-length: 100000000000\r\n", "")), too_large);
    assert_eq!(refusal(&serin, post("content-length: 11\r\nexpect: 100-continue\r\n", "")), too_large);
    for bytes in upstream.bytes() {
        assert_eq!(
            strict::requests(&bytes, strict::NO_LEAVE).1,
            Rest::Nothing,
            "nothing of these reached the upstream"
        );
    }
    assert_eq!(refusal(&serin, post(chunked, "b\r\n0123456789a\r\n0\r\n\r\n")), too_large);
    assert_eq!(refusal(&serin, post(chunked, "a\r\n0123456789\r\n1\r\na\r\n")), too_large);
    assert_eq!(upstream.requests().len(), 2, "no such body ends at the upstream");
    eventually("those connections to be closed", || (upstream.open() <= 1).then_some(()));
}

#[test]
fn an_http_2_body_has_the_same_bound() {
    let (upstream, serin) = limited("bodyBytes: 10");
    h2::run(async {
        let mut client = h2::connect(serin.web()).await;
        for (body, length, status) in
            [("0123456789", false, 200), ("0123456789a", false, 413), ("0123456789a", true, 413)]
        {
            let mut request =
                http::Request::post("http://shop.example/").body(h2::body(body, None)).expect("a request");
            if length {
                request.headers_mut().insert("content-length", body.len().into());
            }
            let got = client.send_request(request).await.expect("an answer");
            assert_eq!(got.status().as_u16(), status, "{body}");
            if status != 200 {
                assert_eq!(got.headers()["x-serin-error"], "bodyTooLarge");
            }
        }
    });
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_head_that_does_not_end_is_given_up() {
    let (upstream, serin) = limited("headerTimeout: 200ms");
    let timeout = (408, "headerTimeout".to_owned());
    for part in [
        "G",
        "P",
        "PRI * HTTP/2.0\r\n\r\nSM",
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nx: y",
        "GET / HTTP/1.1\r\nhost: a\r\n\r",
    ] {
        assert_eq!(refusal(&serin, part), timeout, "{part:?}");
    }
    // The second head on a connection is watched like the first.
    let mut client = Raw::connect(serin.web());
    assert_eq!(client.send(GET).response(false).expect("an answer").status, 200);
    assert_eq!(client.send("GET / HT").response(false).expect("an answer").status, 408);
    assert!(client.is_closed());
    // Neither does a byte now and then buy time.
    let mut client = Raw::connect(serin.web());
    let mut dripping = client.stream.try_clone().expect("another handle");
    let drip = std::thread::spawn(move || {
        let head = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}", "y".repeat(100_000));
        for byte in head.bytes() {
            if dripping.write_all(&[byte]).is_err() {
                return true;
            }
            // The pace of a client that wants to be slow.
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    });
    assert_eq!(client.response(false).expect("an answer").status, 408);
    assert!(client.is_closed());
    drop(client);
    assert!(drip.join().expect("dripped"), "the connection was closed");
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_silent_connection_is_closed() {
    let (_upstream, serin) = limited("idleTimeout: 200ms");
    assert!(Raw::connect(serin.web()).is_closed(), "nothing was said, and nothing is answered");
    let mut client = Raw::connect(serin.web());
    assert_eq!(client.send(GET).response(false).expect("an answer").status, 200);
    assert!(client.is_closed());
    let mut client = Raw::connect(serin.web());
    client.send("\r\n");
    assert!(client.is_closed());
}

#[test]
fn a_body_that_stops_coming_is_given_up() {
    let (upstream, serin) = limited("idleTimeout: 200ms");
    for part in ["content-length: 9\r\n\r\nabc", "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"] {
        let mut client = Raw::connect(serin.web());
        client.send(format!("POST / HTTP/1.1\r\nhost: a\r\n{part}")).rest();
        eventually("the upstream connection to be closed", || (upstream.open() == 0).then_some(()));
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn a_silent_http_2_connection_is_closed() {
    let (_upstream, serin) = limited("idleTimeout: 200ms");
    let mut client = Frames::connect(serin.web());
    assert!(client.await_kind(frames::GOAWAY).is_some());
    assert!(client.await_kind(frames::DATA).is_none(), "closed");
    let mut client = Frames::connect(serin.web());
    client.get(1);
    assert!(client.await_kind(frames::DATA).is_some());
    assert!(client.await_kind(frames::GOAWAY).is_some());
    assert!(client.await_kind(frames::DATA).is_none(), "closed");
}

#[test]
fn a_client_that_does_not_take_its_answer_is_given_up() {
    const LENGTH: usize = 32 * 1024 * 1024;
    let upstream = Upstream::scripted(|connection| {
        connection.request();
        connection.send("HTTP/1.1 200 OK\r\n\r\n");
        connection.send(vec![b'x'; LENGTH]);
    });
    let serin = sidecar::before_with(&upstream.url(), "limits: { idleTimeout: 300ms }", "");
    for version in ["HTTP/1.1", "HTTP/1.0"] {
        let mut client = Raw::connect(serin.web());
        client.send(format!("GET / {version}\r\nhost: a\r\n\r\n")).head().expect("a head");
        eventually("the upstream connection to be closed", || (upstream.open() == 0).then_some(()));
        assert!(client.broken_end(), "{version}: a part was ended as if it were the whole");
    }
}

#[test]
fn one_connection_too_many_is_told_so() {
    let (_upstream, serin) = limited("connections: 2");
    let mut first = Raw::connect(serin.web());
    let mut second = Raw::connect(serin.web());
    for client in [&mut first, &mut second] {
        assert_eq!(client.send(GET).response(false).expect("an answer").status, 200);
    }
    for _ in 0..3 {
        assert_eq!(refusal(&serin, ""), (503, "tooManyConnections".to_owned()));
        assert_eq!(first.send(GET).response(false).expect("an answer").status, 200);
    }
    drop(second);
    eventually("there is room again", || (client::request(serin.web(), GET).status == 200).then_some(()));
}

#[test]
fn an_http_2_connection_has_so_many_streams() {
    let upstream = Upstream::scripted(|connection| {
        connection.request();
        connection.await_close();
    });
    let serin = sidecar::before_with(&upstream.url(), "limits: { http2: { streams: 2 } }", "");
    let mut client = Frames::connect(serin.web());
    for stream in [1, 3, 5] {
        client.get(stream);
    }
    let refused = client.await_kind(frames::RESET).expect("one stream is refused");
    assert_eq!((refused.stream, refused.payload), (5, 7_u32.to_be_bytes().to_vec()), "REFUSED_STREAM");
    eventually("the others to reach the upstream", || (upstream.requests().len() == 2).then_some(()));
}

#[test]
fn streams_that_are_reset_too_fast_end_their_connection() {
    let (upstream, serin) = limited("http2: { pendingResets: 3 }");
    let mut client = Frames::connect(serin.web());
    for number in 0..2_000 {
        client.get(2 * number + 1);
        client.send(frames::RESET, 0, 2 * number + 1, &8_u32.to_be_bytes());
    }
    assert!(client.await_kind(frames::DATA).is_none(), "the connection ends");
    assert!(upstream.accepted() < 500);
    assert_eq!(client::get(serin.web(), "/", "").status, 200);
}

fn silent() -> Upstream {
    Upstream::scripted(|connection| {
        connection.request();
        connection.await_close();
    })
}

#[test]
fn an_upstream_that_takes_too_long_is_a_504() {
    let all = [
        ("", "    timeouts: { request: 200ms }"),
        ("", "    timeouts: { backendRequest: 200ms }"),
        ("", "    timeouts: { request: 0s, backendRequest: 200ms }"),
        ("", "    timeouts: { request: 30s, backendRequest: 200ms }"),
        ("upstreams: { responseIdleTimeout: 200ms }", ""),
        ("upstreams: { responseIdleTimeout: 200ms }", "    timeouts: { request: 30s }"),
    ];
    for (top, route) in all {
        let upstream = silent();
        let serin = sidecar::before_with(&upstream.url(), top, route);
        let mut client = Raw::connect(serin.web());
        let got = client.send(GET).response(false).expect("an answer");
        assert_eq!((got.status, got.header("x-serin-error")), (504, Some("timeout")), "{top}{route}");
        eventually("the upstream connection to be closed", || (upstream.open() == 0).then_some(()));
        // The client did nothing wrong.
        assert_eq!(client.send(GET).response(false).expect("an answer").status, 504);
        let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nok";
        assert_eq!(client::request(serin.web(), post).status, 504);
        let h2_status = h2::run(async {
            h2::connect(serin.web()).await.send_request(h2::get("/")).await.expect("an answer").status().as_u16()
        });
        assert_eq!(h2_status, 504);
    }
}

#[test]
fn an_answer_that_takes_too_long_is_broken_off() {
    for (top, route) in [("", "    timeouts: { request: 300ms }"), ("upstreams: { responseIdleTimeout: 300ms }", "")] {
        let upstream = Upstream::scripted(|connection| {
            connection.request();
            connection.send("HTTP/1.1 200 OK\r\n\r\nabc");
            connection.await_close();
        });
        let serin = sidecar::before_with(&upstream.url(), top, route);
        for version in ["HTTP/1.1", "HTTP/1.0"] {
            let mut client = Raw::connect(serin.web());
            client.send(format!("GET / {version}\r\nhost: a\r\n\r\n"));
            assert_eq!(client.head().expect("a head").status, 200);
            assert!(client.broken_end(), "{top}{route}: a part was ended as if it were the whole");
        }
        let ended = h2::run(async {
            let answer = h2::connect(serin.web()).await.send_request(h2::get("/")).await.expect("a head");
            h2::whole(answer).await.map(|_| ())
        });
        assert!(ended.is_err());
        eventually("the upstream connections to be closed", || (upstream.open() == 0).then_some(()));
    }
}

#[test]
fn silence_is_counted_from_the_last_sign_of_life() {
    let upstream = Upstream::scripted(|connection| {
        connection.request();
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n");
        for byte in b"abcdef" {
            // The pace of an upstream that is slow, but not silent.
            std::thread::sleep(Duration::from_millis(400));
            connection.send([*byte]);
        }
    });
    let serin = sidecar::before_with(&upstream.url(), "upstreams: { responseIdleTimeout: 1500ms }", "");
    assert_eq!(client::request(serin.web(), GET).text(), "abcdef");
}

#[test]
fn a_client_that_sends_slowly_is_no_silent_upstream() {
    let upstream = Upstream::answering(OK);
    let serin = sidecar::before_with(&upstream.url(), "upstreams: { responseIdleTimeout: 1500ms }", "");
    let mut client = Raw::connect(serin.web());
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\n");
    for byte in b"abcdef" {
        // The pace of a client that is slow, but not silent.
        std::thread::sleep(Duration::from_millis(400));
        client.send([*byte]);
    }
    assert_eq!(client.response(false).expect("an answer").text(), "ok");
    assert_eq!(upstream.last().body, b"abcdef");
}

#[test]
fn an_upstream_that_is_not_there_is_a_502() {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    for (url, kind) in [
        (format!("http://{gone}"), "connect"),
        ("unix:/nowhere/at/all.sock".to_owned(), "connect"),
        ("http://no-such-host.invalid:80".to_owned(), "noAddress"),
    ] {
        let serin = sidecar::before(&url);
        let mut client = Raw::connect(serin.web());
        for _ in 0..2 {
            let got = client.send(GET).response(false).expect("an answer");
            assert_eq!((got.status, got.header("x-serin-error")), (502, Some(kind)), "{url}");
            assert_eq!(got.header("x-serin-version"), Some("only"));
            assert_eq!(got.header("content-type"), Some("application/problem+json"));
        }
        let h2_upstream = Serin::new(&sidecar::config(&format!("upstream: \"{url}\", protocol: h2"), "", ""));
        assert_eq!(client::request(h2_upstream.web(), GET).status, 502);
    }
}

#[test]
fn an_upstream_that_speaks_another_protocol_is_a_502() {
    let upstream = Upstream::answering("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
    let serin = Serin::new(&sidecar::config(&format!("upstream: \"{}\", protocol: h2", upstream.url()), "", ""));
    let mut client = Raw::connect(serin.web());
    for _ in 0..2 {
        assert_eq!(client.send(GET).response(false).expect("an answer").status, 502);
    }
}

#[test]
fn an_address_that_is_not_there_is_passed_over_for_one_that_is() {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let upstream = Upstream::answering(OK);
    let version = format!("upstreams: [ \"http://{gone}\", \"{}\" ]", upstream.url());
    let serin = Serin::new(&sidecar::config(&version, "", ""));
    let mut client = Raw::connect(serin.web());
    for _ in 0..50 {
        client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nok");
        assert_eq!(client.response(false).expect("an answer").status, 200);
    }
}

#[test]
fn an_upstream_that_does_not_accept_is_a_504() {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    listener.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    listener.listen(0).expect("a listener");
    let address = listener.local_addr().expect("its address").as_socket().expect("an IP address");
    // Fill its queue; what does not fit waits, and so does whoever comes next.
    let mut queued = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        queued.push(stream);
        assert!(queued.len() < 100, "the queue has no end");
    }
    let serin = sidecar::before_with(&format!("http://{address}"), "upstreams: { connectTimeout: 200ms }", "");
    let got = client::request(serin.web(), GET);
    assert_eq!((got.status, got.header("x-serin-error")), (504, Some("connectTimeout")));
}
