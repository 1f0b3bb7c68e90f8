//! Requests at a fixed rate on keep-alive connections, a thread each, and an upstream for them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

/// Asks for as long as `goes_on` says of the time since the beginning at which the next request is due. `request` makes the
/// how-manieth one. How long each took from when it was due.
pub fn load(
    address: SocketAddr,
    (connections, rate): (u32, u32),
    goes_on: impl Fn(Duration) -> bool + Clone + Send + 'static,
    request: impl Fn(u32) -> Vec<u8> + Clone + Send + 'static,
) -> Vec<Duration> {
    let begun = Instant::now();
    let loading: Vec<_> = (0..connections)
        .map(|connection| {
            let (goes_on, request) = (goes_on.clone(), request.clone());
            spawn(move || {
                let mut socket = TcpStream::connect(address).expect("a connection");
                socket.set_nodelay(true).expect("a socket");
                let mut times = Vec::new();
                for turn in 0.. {
                    let number = turn * connections + connection;
                    let due = Duration::from_secs(1) * number / rate;
                    if !goes_on(due) {
                        break;
                    }
                    sleep((begun + due).saturating_duration_since(Instant::now()));
                    socket.write_all(&request(number)).expect("a request");
                    answer(&mut socket);
                    times.push((begun + due).elapsed());
                }
                times
            })
        })
        .collect();
    loading.into_iter().flat_map(|connection| connection.join().expect("a connection ends well")).collect()
}

/// Reads one answer of [`upstream`]'s.
fn answer(socket: &mut TcpStream) {
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    while !answer.ends_with(b"\r\n\r\nok") {
        let read = socket.read(&mut buffer).expect("an answer");
        assert!(read > 0, "the connection was closed");
        answer.extend_from_slice(&buffer[..read]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

/// Answers every request, which has a body of so many bytes, with two bytes.
pub fn upstream(body: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.expect("a connection");
            spawn(move || {
                let (mut got, mut buffer) = (Vec::new(), [0; 4096]);
                while let Ok(read @ 1..) = socket.read(&mut buffer) {
                    got.extend_from_slice(&buffer[..read]);
                    let head = got.windows(4).position(|window| window == b"\r\n\r\n");
                    if head.is_some_and(|head| got.len() >= head + 4 + body) {
                        got.clear();
                        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
                    }
                }
            });
        }
    });
    address
}
