//! What a write pays for being journaled: `cargo bench --bench journal`, or in a debug build
//! `cargo bench --profile dev --bench journal`.
//!
//! Two services in one serin have the same two versions; one of them is under migration at dualWrite, so that its writes are on
//! the disk before they are sent. Both get PUTs at a fixed rate over keep-alive connections, each timed from the moment it was
//! due, in windows that follow each other. The state is on the disk that `target/` is on.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

const WINDOWS: usize = 8;
const LENGTH: Duration = Duration::from_secs(3);
const CONNECTIONS: u32 = 32;
const KEYS: u32 = 1000;

fn main() {
    let rate = std::env::var("RATE").ok().and_then(|rate| rate.parse().ok()).unwrap_or(1000);
    let serin = Serin::start(upstream(), upstream());
    for service in ["plain", "moving"] {
        load(serin.web, service, rate);
    }
    let (mut plain, mut moving) = (Vec::new(), Vec::new());
    for _ in 0..WINDOWS {
        plain.extend(load(serin.web, "plain", rate));
        moving.extend(load(serin.web, "moving", rate));
    }
    println!("{rate} writes a second");
    println!("{:>12} {:>9} {:>9} {:>9} {:>9}", "", "count", "p50 ms", "p99 ms", "p99.9 ms");
    for (name, times) in [("plain", &mut plain), ("journaled", &mut moving)] {
        times.sort_unstable();
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|order| at(times, order));
        println!("{name:>12} {:>9} {p50:>9.3} {p99:>9.3} {p999:>9.3}", times.len());
    }
    println!("added p50: {:.3} ms", at(&moving, 0.5) - at(&plain, 0.5));
    let mut metrics = serin.metrics();
    for _ in 0..200 {
        if metrics.lines().filter(|line| line.starts_with("serin_journal_entries{")).all(|line| line.ends_with(" 0")) {
            break;
        }
        sleep(Duration::from_millis(50));
        metrics = serin.metrics();
    }
    for line in metrics.lines().filter(|line| line.starts_with("serin_journal_")) {
        if !line.contains("_bucket") && !line.ends_with(" 0") {
            println!("{line}");
        }
    }
}

fn at(times: &[Duration], order: f64) -> f64 {
    times[((times.len() - 1) as f64 * order) as usize].as_secs_f64() * 1e3
}

/// Writes at a fixed rate; how long each took from when it was due.
fn load(address: SocketAddr, service: &'static str, rate: u32) -> Vec<Duration> {
    let begun = Instant::now();
    let connections = (0..CONNECTIONS).map(|connection| {
        spawn(move || {
            let mut socket = TcpStream::connect(address).expect("a connection");
            socket.set_nodelay(true).expect("a socket");
            let mut times = Vec::new();
            let mut buffer = [0; 4096];
            for turn in 0.. {
                let number = turn * CONNECTIONS + connection;
                let due = begun + Duration::from_secs(1) * number / rate;
                if due - begun > LENGTH {
                    break;
                }
                sleep(due.saturating_duration_since(Instant::now()));
                let key = number % KEYS;
                let body = [b'x'; 100];
                let head =
                    format!("PUT /items/{key} HTTP/1.1\r\nhost: {service}\r\ncontent-length: {}\r\n\r\n", body.len());
                socket.write_all(&[head.as_bytes(), &body].concat()).expect("a request");
                let mut answer = Vec::new();
                while !answer.ends_with(b"\r\n\r\nok") {
                    let read = socket.read(&mut buffer).expect("an answer");
                    assert!(read > 0, "the connection was closed");
                    answer.extend_from_slice(&buffer[..read]);
                }
                assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
                times.push(due.elapsed());
            }
            times
        })
    });
    let connections: Vec<_> = connections.collect();
    connections.into_iter().flat_map(|connection| connection.join().expect("a connection ends well")).collect()
}

/// Answers every request with two bytes.
fn upstream() -> SocketAddr {
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
                    if head.is_some_and(|head| got.len() >= head + 4 + 100) {
                        got.clear();
                        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
                    }
                }
            });
        }
    });
    address
}

/// A running serin; killed when dropped.
struct Serin {
    child: Child,
    web: SocketAddr,
    admin: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Serin {
    fn start(old: SocketAddr, new: SocketAddr) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on a real disk");
        let path = folder.path().join("serin.yaml");
        let versions =
            format!("versions: {{ old: {{ upstream: \"http://{old}\" }}, new: {{ upstream: \"http://{new}\" }} }}");
        let text = format!(
            "listeners: [ {{ name: web, address: 127.0.0.1:0 }} ]\nadmin: {{ address: 127.0.0.1:0, open: true }}\nworkers: 2\n\
             stateDir: state\nservices:\n  plain:\n    {versions}\n  moving:\n    {versions}\n    migration: {{ stage: \
             dualWrite, from: old, to: new, key: [ {{ pathSegment: 2 }} ], idempotent: [ old, new ] }}\nroutes:\n  - {{ \
             hostnames: [ plain ], service: plain }}\n  - {{ hostnames: [ moving ], service: moving }}\n"
        );
        std::fs::write(&path, text).expect("serin.yaml");
        let mut child = Command::new(env!("CARGO_BIN_EXE_serin"))
            .args(["run", "--config"])
            .arg(&path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let mut address = || {
            let line = lines.next().and_then(Result::ok).expect("a line for each listener");
            line.rsplit(' ').next().and_then(|address| address.parse().ok()).expect("an address")
        };
        Self { web: address(), admin: address(), child, _folder: folder }
    }

    fn metrics(&self) -> String {
        let mut socket = TcpStream::connect(self.admin).expect("the admin address");
        socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").expect("a request");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        answer
    }
}

impl Drop for Serin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
