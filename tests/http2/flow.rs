//! Bodies through windows: small ones, shut ones, many at a time.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Frame;
use hyper::client::conn::http2::SendRequest;
use tokio::sync::mpsc;

use crate::support::frames::{self, Frames};
use crate::support::h2::{self, AnyBody, H2Upstream};
use crate::support::serin::Serin;
use crate::support::upstream::Upstream;
use crate::support::{eventually, sidecar};

fn to_h2(upstream: &H2Upstream) -> Serin {
    Serin::new(&sidecar::config(&format!("upstream: \"{}\", protocol: h2", upstream.url()), "", ""))
}

/// Bytes that tell where they stand.
fn pattern(length: usize) -> Bytes {
    (0..length).map(|at| (at / 251 + at) as u8).collect::<Vec<_>>().into()
}

/// A client whose windows are as small as this.
async fn connect(serin: &Serin, window: u32) -> SendRequest<AnyBody> {
    let stream = tokio::net::TcpStream::connect(serin.web()).await.expect("connect");
    stream.set_nodelay(true).expect("nodelay");
    h2::connect_with(stream, |builder| {
        builder.initial_stream_window_size(window).initial_connection_window_size(window);
    })
    .await
}

/// Gives back what it gets, its own windows as small as this.
fn echo(window: u32) -> H2Upstream {
    H2Upstream::answering_with(
        move |builder| {
            builder.initial_stream_window_size(window).initial_connection_window_size(window);
        },
        |request: Request<hyper::body::Incoming>| async move {
            Response::new(AnyBody::new(request.into_body().map_err(|error| -> Infallible { panic!("{error}") })))
        },
    )
}

#[test]
fn bodies_of_any_length_go_both_ways_through_windows_of_any_size() {
    for theirs in [100, 70_000, 1 << 20] {
        let upstream = echo(theirs);
        let serin = to_h2(&upstream);
        h2::run(async {
            for (window, lengths) in [
                (100, &[0, 1, 99, 100, 101, 20_000][..]),
                (65_535, &[16_384, 16_385, 300_000]),
                (1 << 20, &[2_000_000]),
            ] {
                let mut client = connect(&serin, window).await;
                // Each window's worth takes its time to go there and back.
                for length in lengths.iter().filter(|length| **length <= theirs as usize * 300) {
                    let sent = pattern(*length);
                    let (pieces, body) = mpsc::unbounded_channel();
                    for piece in sent.chunks(7_777) {
                        pieces.send(Frame::data(sent.slice_ref(piece))).expect("a body");
                    }
                    drop(pieces);
                    let request = Request::post("http://shop.example/").body(AnyBody::new(h2::Streamed(body)));
                    let answer = client.send_request(request.expect("a request")).await.expect("an answer");
                    let back = h2::whole(answer).await.expect("whole").body;
                    assert!(back == sent, "{length} bytes through a window of {window} came back otherwise");
                }
            }
        });
    }
}

#[test]
fn a_thousand_streams_are_answered_at_a_time() {
    const STREAMS: usize = 1000;
    // None is answered before all are there.
    let (there, all) = (Arc::<AtomicUsize>::default(), Arc::new(tokio::sync::Notify::new()));
    let upstream = H2Upstream::answering(move |_| {
        let (there, all) = (Arc::clone(&there), Arc::clone(&all));
        async move {
            let told = all.notified();
            if there.fetch_add(1, Ordering::SeqCst) + 1 == STREAMS {
                all.notify_waiters();
            } else {
                told.await;
            }
            Response::new(h2::body("here", None))
        }
    });
    let version = format!("upstream: \"{}\", protocol: h2", upstream.url());
    let serin = Serin::new(&sidecar::config(&version, "limits: { http2: { streams: 1000 } }", ""));
    h2::run(async {
        let client = connect(&serin, 1 << 20).await;
        let asking: Vec<_> = (0..STREAMS)
            .map(|_| {
                let mut client = client.clone();
                tokio::task::spawn_local(async move {
                    client.ready().await.expect("room");
                    let answer = client.send_request(h2::get("/")).await.expect("an answer");
                    h2::whole(answer).await.expect("whole").body
                })
            })
            .collect();
        for asked in asking {
            assert_eq!(&asked.await.expect("a task")[..], b"here");
        }
    });
}

#[test]
fn an_upload_goes_on_while_its_answer_is_not_taken() {
    const LENGTH: usize = 1_000_000;
    for over_h2 in [true, false] {
        let came = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&came);
        let h2_upstream = H2Upstream::answering(move |request| {
            let count = Arc::clone(&count);
            async move {
                let mut body = request.into_body();
                let (pieces, answer) = mpsc::unbounded_channel();
                pieces.send(Frame::data("an answer ".into())).expect("an answer");
                tokio::task::spawn_local(async move {
                    while count.load(Ordering::SeqCst) < LENGTH
                        && let Some(Ok(frame)) = body.frame().await
                    {
                        count.fetch_add(frame.data_ref().map_or(0, Bytes::len), Ordering::SeqCst);
                    }
                    pieces.send(Frame::data("that waits".into())).expect("an answer");
                });
                Response::new(AnyBody::new(h2::Streamed(answer)))
            }
        });
        let count = Arc::clone(&came);
        let h1_upstream = Upstream::scripted(move |connection| {
            connection.head();
            connection.send("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nan answer ");
            while count.load(Ordering::SeqCst) < LENGTH && connection.exactly(1000).is_some() {
                count.fetch_add(1000, Ordering::SeqCst);
            }
            connection.send("that waits");
            connection.await_close();
        });
        let serin = if over_h2 { to_h2(&h2_upstream) } else { sidecar::before(&h1_upstream.url()) };
        let mut client = Frames::connect(serin.web());
        // SETTINGS_INITIAL_WINDOW_SIZE 0: not a byte of the answer may be sent.
        client.send(frames::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
        let block = h2::block(&[
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "shop.example"),
            ("content-length", "1000000"),
        ]);
        client.send(frames::HEADERS, frames::END_HEADERS, 1, &block);
        assert_eq!(client.await_kind(frames::HEADERS).expect("an answer's head").stream, 1);
        // What serin's settings say of a connection and a stream.
        let mut may = [1_usize << 20, 1 << 18];
        let mut sent = 0;
        while sent < LENGTH {
            let length = may[0].min(may[1]).min(10_000).min(LENGTH - sent);
            if length > 0 {
                client.send(frames::DATA, 0, 1, &vec![b'x'; length]);
                (sent, may) = (sent + length, may.map(|may| may - length));
                continue;
            }
            let opened = client.await_window().expect("a window that opens");
            may[opened.0.min(1) as usize] += opened.1 as usize;
        }
        eventually("all of the upload", || (came.load(Ordering::SeqCst) >= LENGTH).then_some(()));
        client.send(frames::WINDOW_UPDATE, 0, 1, &100_u32.to_be_bytes());
        let mut answer = Vec::new();
        while answer.len() < 20 {
            answer.extend(client.await_kind(frames::DATA).expect("the answer").payload);
        }
        assert_eq!(answer, b"an answer that waits");
    }
}

#[test]
fn a_client_that_never_opens_its_window_is_given_up() {
    let upstream = Upstream::scripted(|connection| {
        connection.request();
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n");
        connection.send(vec![b'x'; 1_000_000]);
        connection.await_close();
    });
    let serin = sidecar::before_with(&upstream.url(), "limits: { idleTimeout: 300ms }", "");
    // The window of the stream, or that of the connection.
    for (window, stream) in [(0_u32, 1), (1 << 20, 1)] {
        let mut client = Frames::connect(serin.web());
        client.send(frames::SETTINGS, 0, 0, &[&[0, 4][..], &window.to_be_bytes()].concat());
        client.get(stream);
        let reset = client.await_kind(frames::RESET).expect("a reset");
        assert_eq!((reset.stream, reset.payload), (stream, 8_u32.to_be_bytes().to_vec()), "CANCEL");
        eventually("the upstream connection to be closed", || (upstream.open() == 0).then_some(()));
    }
}

#[test]
fn a_client_whose_answers_stand_still_is_told_apart_from_one_that_takes_them_slowly() {
    let upstream = Upstream::named("0123456789");
    let serin = sidecar::before_with(&upstream.url(), "limits: { idleTimeout: 1500ms }", "");
    let mut client = Frames::connect(serin.web());
    client.send(frames::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    client.get(1);
    client.await_kind(frames::HEADERS).expect("a head");
    for _ in 0..10 {
        // The pace of a client that is slow, but not still.
        std::thread::sleep(std::time::Duration::from_millis(250));
        client.send(frames::WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes());
        assert_eq!(client.next().expect("a byte").payload.len(), 1);
    }
}
