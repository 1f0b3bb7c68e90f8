//! Upstreams that record every byte they get and answer as they are told.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::{PATIENCE, eventually, net};

/// A request as it reached the upstream.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// The request line and header lines, as they came, with the blank line.
    pub head: String,
    pub body: Vec<u8>,
}

impl Recorded {
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers(name).into_iter().next()
    }

    pub fn headers(&self, name: &str) -> Vec<String> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).collect()
    }

    pub fn request_line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }
}

/// What all connections of an upstream have seen.
#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Recorded>>,
    bytes: Mutex<Vec<Vec<u8>>>,
    accepted: AtomicUsize,
    open: AtomicUsize,
}

/// An upstream on a port of its own.
pub struct Upstream {
    pub address: SocketAddr,
    seen: Arc<Seen>,
}

/// One connection to an upstream, in the hands of its script.
pub struct Connection {
    pub stream: TcpStream,
    seen: Arc<Seen>,
    index: usize,
    buffer: Vec<u8>,
}

impl Upstream {
    /// Each connection is handed to `script`, on a thread of its own; when that returns the connection is closed.
    pub fn scripted(script: impl Fn(&mut Connection) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let seen = Arc::<Seen>::default();
        let script = Arc::new(script);
        let all = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, script) = (Arc::clone(&all), Arc::clone(&script));
                std::thread::spawn(move || {
                    let _ = stream.set_nodelay(true);
                    seen.open.fetch_add(1, Ordering::SeqCst);
                    let index = {
                        let mut bytes = seen.bytes.lock().expect("no one panics with it");
                        bytes.push(Vec::new());
                        bytes.len() - 1
                    };
                    seen.accepted.fetch_add(1, Ordering::SeqCst);
                    let mut connection = Connection { stream, seen: Arc::clone(&seen), index, buffer: Vec::new() };
                    script(&mut connection);
                    drop(connection);
                    seen.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, seen }
    }

    /// Answers every request with these raw bytes, on connections that stay open.
    pub fn answering(response: impl Into<Vec<u8>>) -> Self {
        let response = response.into();
        Self::scripted(move |connection| {
            while connection.request().is_some() {
                connection.send(&response);
            }
        })
    }

    /// Answers every request with 200 and this body.
    pub fn named(body: &str) -> Self {
        Self::answering(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    }

    /// Its address as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests read so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.seen.requests.lock().expect("no one panics with it").clone()
    }

    /// The last request, once there is one.
    pub fn last(&self) -> Recorded {
        eventually("a request at the upstream", || self.requests().pop())
    }

    /// Every byte of every connection so far, by connection.
    pub fn bytes(&self) -> Vec<Vec<u8>> {
        self.seen.bytes.lock().expect("no one panics with it").clone()
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.seen.accepted.load(Ordering::SeqCst)
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.seen.open.load(Ordering::SeqCst)
    }
}

impl Connection {
    /// Reads a request whole; `None` at the end of the connection.
    pub fn request(&mut self) -> Option<Recorded> {
        let head = self.head()?;
        let mut request = Recorded { head, body: Vec::new() };
        if request.header("transfer-encoding").is_some() {
            while let Some(chunk) = self.chunk()? {
                request.body.extend(chunk);
            }
        } else if let Some(length) = request.header("content-length") {
            request.body = self.exactly(length.parse().ok()?)?;
        }
        self.seen.requests.lock().expect("no one panics with it").push(request.clone());
        Some(request)
    }

    /// Reads a request's head only; it is not among [`Upstream::requests`].
    pub fn head(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let rest = self.buffer.split_off(at + 4);
                let head = std::mem::replace(&mut self.buffer, rest);
                return Some(String::from_utf8_lossy(&head).into_owned());
            }
            self.fill()?;
        }
    }

    #[expect(clippy::option_option, reason = "no more bytes, no more chunks, or a chunk")]
    fn chunk(&mut self) -> Option<Option<Vec<u8>>> {
        let line = self.line()?;
        let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            while !self.line()?.is_empty() {}
            return Some(None);
        }
        let data = self.exactly(size)?;
        self.exactly(2)?;
        Some(Some(data))
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|window| window == b"\r\n") {
                let rest = self.buffer.split_off(at + 2);
                let line = std::mem::replace(&mut self.buffer, rest);
                return Some(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            self.fill()?;
        }
    }

    pub fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < length {
            self.fill()?;
        }
        let rest = self.buffer.split_off(length);
        Some(std::mem::replace(&mut self.buffer, rest))
    }

    fn fill(&mut self) -> Option<()> {
        let mut chunk = [0; 16 * 1024];
        let length = self.stream.read(&mut chunk).ok().filter(|length| *length > 0)?;
        self.buffer.extend_from_slice(&chunk[..length]);
        self.seen.bytes.lock().expect("no one panics with it")[self.index].extend_from_slice(&chunk[..length]);
        Some(())
    }

    /// Reads the body that follows the head just read, by either framing and without keeping it; `progress` is told how
    /// many bytes of it were read.
    pub fn drain_body(&mut self, progress: impl Fn(usize)) {
        let seen = self.seen.bytes.lock().expect("no one panics with it")[self.index].clone();
        let head = String::from_utf8_lossy(&seen).to_ascii_lowercase();
        let mut total = 0;
        let mut take = |connection: &mut Self, mut left: usize| {
            while left > 0 {
                let piece = left.min(connection.buffer.len().max(1));
                let Some(data) = connection.exactly(piece) else { return };
                left -= data.len();
                total += data.len();
                progress(total);
            }
        };
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
        if let Some(length) = length {
            return take(self, length);
        }
        while let Some(line) = self.line() {
            let size = usize::from_str_radix(&line, 16).expect("a chunk size");
            take(self, size);
            self.exactly(2);
            if size == 0 {
                return;
            }
        }
    }

    /// What was read and not yet taken.
    pub fn take_buffered(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    /// Sends raw bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Waits until the other side's system has everything that was sent.
    pub fn await_arrival(&self) {
        let (Ok(local), Ok(remote)) = (self.stream.local_addr(), self.stream.peer_addr()) else { return };
        eventually("the bytes to arrive", || net::has_arrived(local, remote).then_some(()));
    }

    /// Waits until the other side has closed or reset the connection; whether it did in time.
    pub fn await_close(&mut self) -> bool {
        let _ = self.stream.set_read_timeout(Some(PATIENCE));
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => {
                    return !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
                }
            }
        }
    }
}
