//! Clients that speak in raw bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::PATIENCE;

/// One HTTP/1 response as it came.
#[derive(Debug, Clone, Default)]
pub struct Response {
    pub status: u16,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Trailer fields of a chunked body.
    pub trailers: Vec<(String, String)>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection that is spoken to by hand.
pub struct Raw<S = TcpStream> {
    pub stream: S,
    buffer: Vec<u8>,
}

impl Raw {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("nodelay");
        Self { stream, buffer: Vec::new() }
    }

    /// Says that nothing more will be sent.
    pub fn finish(&mut self) -> &mut Self {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        self
    }
}

impl<S: Read + Write> Raw<S> {
    /// Takes over a connection that is open already.
    pub fn over(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Sends bytes; a peer that is gone already is noticed by reading.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.stream.write_all(bytes.as_ref()).and_then(|()| self.stream.flush());
        self
    }

    /// Everything until the peer closes, or resets.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut all = std::mem::take(&mut self.buffer);
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return all,
                Ok(length) => all.extend_from_slice(&chunk[..length]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("neither data nor end within {PATIENCE:?}; so far: {:?}", String::from_utf8_lossy(&all))
                }
                Err(_) => return all,
            }
        }
    }

    /// Reads to the end; whether that was a reset instead of a proper end.
    ///
    /// # Panics
    /// If there is no end within [`PATIENCE`].
    pub fn broken_end(&mut self) -> bool {
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => {
                    assert!(
                        !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
                        "no end within {PATIENCE:?}"
                    );
                    return true;
                }
            }
        }
    }

    /// Whether the peer has closed or reset; waits for it to.
    pub fn is_closed(&mut self) -> bool {
        self.rest().is_empty()
    }

    /// The next bytes up to and with `end`; `None` where the connection ends first.
    pub fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.windows(end.len()).position(|window| window == end) {
                let rest = self.buffer.split_off(at + end.len());
                return Some(std::mem::replace(&mut self.buffer, rest));
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// The next `length` bytes; `None` where the connection ends first.
    pub fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < length {
            if !self.fill() {
                return None;
            }
        }
        let rest = self.buffer.split_off(length);
        Some(std::mem::replace(&mut self.buffer, rest))
    }

    /// The next response's head and body, by its own framing; `None` where the connection ends first. Interim responses
    /// (1xx but 101) are skipped. `head_only`: the request was HEAD.
    pub fn response(&mut self, head_only: bool) -> Option<Response> {
        let mut response = self.head()?;
        while response.status / 100 == 1 && response.status != 101 {
            response = self.head()?;
        }
        if head_only || response.status / 100 == 1 || response.status == 204 || response.status == 304 {
            return Some(response);
        }
        if response.header("transfer-encoding").is_some() {
            loop {
                let line = self.until(b"\r\n")?;
                let size = String::from_utf8_lossy(&line);
                let size = usize::from_str_radix(size.trim().split(';').next()?, 16).expect("a chunk size");
                if size == 0 {
                    response.trailers = self.fields()?;
                    return Some(response);
                }
                response.body.extend(self.exactly(size)?);
                self.exactly(2)?;
            }
        }
        match response.header("content-length").map(|length| length.parse().expect("a length")) {
            Some(length) => response.body = self.exactly(length)?,
            None => response.body = self.rest(),
        }
        Some(response)
    }

    /// The next head, interim or final.
    pub fn head(&mut self) -> Option<Response> {
        let line = String::from_utf8_lossy(&self.until(b"\r\n")?).into_owned();
        let status = line.split(' ').nth(1).and_then(|s| s.trim().parse().ok());
        let status = status.unwrap_or_else(|| panic!("not a status line: {line:?}"));
        Some(Response { status, headers: self.fields()?, ..Response::default() })
    }

    fn fields(&mut self) -> Option<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.until(b"\r\n")?;
            let line = String::from_utf8_lossy(&line[..line.len() - 2]).into_owned();
            if line.is_empty() {
                return Some(fields);
            }
            let (name, value) = line.split_once(':').expect("a header line");
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    fn fill(&mut self) -> bool {
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk) {
            Ok(0) => false,
            Ok(length) => {
                self.buffer.extend_from_slice(&chunk[..length]);
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("nothing within {PATIENCE:?}; so far: {:?}", String::from_utf8_lossy(&self.buffer))
            }
            Err(_) => false,
        }
    }
}

/// Sends raw bytes on a fresh connection and reads one response.
///
/// # Panics
/// If none comes.
pub fn request(address: SocketAddr, bytes: &str) -> Response {
    let head_only = bytes.starts_with("HEAD ");
    Raw::connect(address).send(bytes).response(head_only).expect("a response")
}

/// A plain GET with these extra header lines (each ending in CR LF).
pub fn get(address: SocketAddr, path: &str, headers: &str) -> Response {
    request(address, &format!("GET {path} HTTP/1.1\r\nhost: shop.example\r\n{headers}\r\n"))
}
