//! Upstreams that fail in a way of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::upstream::Upstream;

/// An answer of status 503 whose body is the word.
pub const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy";

/// A URL that nobody answers at; the port is kept from others for as long as the second value lives.
pub fn dead() -> (String, socket2::Socket) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    // Bound and not listened on: connections are refused.
    socket.bind(&any.into()).expect("a port");
    let address = socket.local_addr().expect("its address").as_socket().expect("a TCP address");
    (format!("http://{address}"), socket)
}

/// Reads every request and never answers.
pub fn silent() -> Upstream {
    Upstream::scripted(|connection| while connection.request().is_some() {})
}

/// Closes every connection once a request has come.
pub fn closing() -> Upstream {
    Upstream::scripted(|connection| {
        connection.request();
    })
}

/// Sends half a head, and closes.
pub fn half_head() -> Upstream {
    Upstream::scripted(|connection| {
        connection.request();
        connection.send("HTTP/1.1 200 OK\r\ncontent-le");
    })
}

/// Gives the answers in this order, one for each request it gets on whatever connection, and the last for ever. No
/// answer at all is an empty one: the connection is closed.
pub fn in_turn(answers: Vec<String>) -> Upstream {
    let asked = Arc::<AtomicUsize>::default();
    Upstream::scripted(move |connection| {
        while connection.request().is_some() {
            let turn = asked.fetch_add(1, Ordering::SeqCst);
            let answer = &answers[turn.min(answers.len() - 1)];
            if answer.is_empty() {
                return;
            }
            connection.send(answer);
        }
    })
}

/// An answer of status 200 with this body.
pub fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}
