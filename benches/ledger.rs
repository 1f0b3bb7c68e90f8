//! Whether recording changes, each on the disk before it takes effect, is felt by the traffic beside it.
//!
//!     cargo bench --bench ledger
//!
//! One upstream in this process, serin with two workers and a `stateDir` on this disk, requests at a fixed rate on 16
//! connections, each timed from the moment it was due. Windows without changes and windows with a hundred of them follow each
//! other, until a thousand are made.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

const CHANGES: usize = 1000;
const WINDOWS: usize = 10;
const QUIET: Duration = Duration::from_secs(3);
const CONNECTIONS: u32 = 16;
const RATE: u32 = 2000;

fn main() {
    let serin = Serin::start(upstream());
    load(serin.web, &Arc::default(), Some(QUIET));
    let (mut without, mut with) = (Vec::new(), Vec::new());
    let mut changes = Vec::new();
    for window in 0..WINDOWS {
        without.extend(load(serin.web, &Arc::default(), Some(QUIET)));
        let over = Arc::<AtomicBool>::default();
        let (stop, web) = (Arc::clone(&over), serin.web);
        let loading = spawn(move || load(web, &stop, None));
        for change in 0..CHANGES / WINDOWS {
            let began = Instant::now();
            serin.put((window * 7 + change) % 100);
            changes.push(began.elapsed());
            // So that a window with changes is about as long as one without.
            sleep((QUIET / (CHANGES / WINDOWS) as u32).saturating_sub(began.elapsed()));
        }
        over.store(true, Relaxed);
        with.extend(loading.join().expect("the load ends well"));
    }
    println!("{:>16} {:>9} {:>9} {:>9} {:>9}", "", "count", "p50 ms", "p99 ms", "p99.9 ms");
    for (name, times) in
        [("without changes", &mut without), ("with changes", &mut with), ("a change itself", &mut changes)]
    {
        times.sort_unstable();
        let at = |order: f64| times[((times.len() - 1) as f64 * order) as usize].as_secs_f64() * 1e3;
        println!("{name:>16} {:>9} {:>9.3} {:>9.3} {:>9.3}", times.len(), at(0.5), at(0.99), at(0.999));
    }
}

/// Requests at the fixed rate, for so long or until told; how long each took from when it was due.
fn load(address: SocketAddr, over: &Arc<AtomicBool>, length: Option<Duration>) -> Vec<Duration> {
    let begun = Instant::now();
    let connections = (0..CONNECTIONS).map(|connection| {
        let over = Arc::clone(over);
        spawn(move || {
            let mut socket = TcpStream::connect(address).expect("a connection");
            socket.set_nodelay(true).expect("a socket");
            let mut times = Vec::new();
            let mut buffer = [0; 4096];
            for turn in 0.. {
                let due = begun + Duration::from_secs(1) * (turn * CONNECTIONS + connection) / RATE;
                if over.load(Relaxed) || length.is_some_and(|length| due - begun > length) {
                    break;
                }
                sleep(due.saturating_duration_since(Instant::now()));
                let request = format!("GET / HTTP/1.1\r\nhost: shop\r\nx-user-id: {turn}-{connection}\r\n\r\n");
                socket.write_all(request.as_bytes()).expect("a request");
                let mut answer = Vec::new();
                while !answer.ends_with(b"\r\n\r\nok") {
                    let read = socket.read(&mut buffer).expect("an answer");
                    assert!(read > 0, "the connection was closed");
                    answer.extend_from_slice(&buffer[..read]);
                }
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
                let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
                while let Ok(read @ 1..) = socket.read(&mut buffer) {
                    head.extend_from_slice(&buffer[..read]);
                    if head.ends_with(b"\r\n\r\n") {
                        head.clear();
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
    folder: tempfile::TempDir,
    changes: AtomicUsize,
}

impl Serin {
    fn start(upstream: SocketAddr) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on a real disk");
        let path = folder.path().join("serin.yaml");
        let text = format!(
            "listeners: [ {{ name: web, address: 127.0.0.1:0 }} ]\nadmin: {{ address: 127.0.0.1:0, open: true }}\nworkers: 2\n\
             stateDir: state\nservices:\n  shop:\n    sticky: [ {{ header: x-user-id }} ]\n    versions: {{ old: {{ \
             upstream: \"http://{upstream}\" }}, new: {{ upstream: \"http://{upstream}\" }} }}\n\
             routes: [ {{ service: shop }} ]\n"
        );
        std::fs::write(&path, text).expect("serin.yaml");
        let mut child = Command::new(env!("CARGO_BIN_EXE_serin"))
            .args(["run", "--config"])
            .arg(&path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let mut address = || {
            let line = lines.next().and_then(Result::ok).expect("a line for each listener");
            line.rsplit(' ').next().and_then(|address| address.parse().ok()).expect("an address")
        };
        Self { web: address(), admin: address(), child, folder, changes: AtomicUsize::new(0) }
    }

    fn put(&self, new: usize) {
        self.changes.fetch_add(1, Relaxed);
        let body = format!(r#"{{"weights":{{"old":{},"new":{new}}},"reason":"a bench"}}"#, 100 - new);
        let mut socket = TcpStream::connect(self.admin).expect("the admin address");
        let head = "PUT /api/v1/services/shop/weights HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length:";
        write!(socket, "{head} {}\r\n\r\n{body}", body.len()).expect("a request");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

impl Drop for Serin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let verify = Command::new(env!("CARGO_BIN_EXE_serin"))
            .args(["ledger", "verify", "--state-dir"])
            .arg(self.folder.path().join("state"))
            .output();
        let said = verify.map(|verify| String::from_utf8_lossy(&verify.stdout).into_owned());
        println!("{} changes; {}", self.changes.load(Relaxed), said.unwrap_or_default().trim());
    }
}
