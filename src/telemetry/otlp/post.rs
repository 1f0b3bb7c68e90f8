//! One POST over HTTP/1.1, blocking, on a connection of its own: a few a second at most.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::Exporting;

/// Longest wait for the collector at each step.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes read of the answer: its status line.
const STATUS_LINE: usize = 256;

/// Why spans were not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it answered {0}")]
    Refused(u16),
    #[error("its answer is not HTTP")]
    NotHttp,
}

impl PostError {
    /// Whether the same may be taken a little later; the statuses are those that OTLP names.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Io(_) => true,
            Self::Refused(status) => matches!(status, 429 | 502 | 503 | 504),
            Self::NotHttp => false,
        }
    }
}

/// Posts `body`; returns once the collector says that it has it.
pub(super) fn post(to: &Exporting, body: &[u8]) -> Result<(), PostError> {
    let mut stream = connect(&to.host, to.port)?;
    let host = if to.host.contains(':') { format!("[{}]", to.host) } else { to.host.clone() };
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: {host}:{}\r\nuser-agent: serin/{}\r\ncontent-type: application/x-protobuf\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        to.path,
        to.port,
        env!("CARGO_PKG_VERSION"),
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    match status(&mut stream)? {
        200..300 => Ok(()),
        status => Err(PostError::Refused(status)),
    }
}

fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// The status of the answer, of which nothing else matters.
fn status(stream: &mut impl Read) -> Result<u16, PostError> {
    let mut line = Vec::with_capacity(STATUS_LINE);
    let mut chunk = [0; STATUS_LINE];
    while line.len() < STATUS_LINE && !line.contains(&b'\n') {
        match stream.read(&mut chunk)? {
            0 => break,
            length => line.extend_from_slice(&chunk[..length]),
        }
    }
    let line = String::from_utf8_lossy(&line);
    let mut words = line.split(' ');
    let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
    let status = words.next().and_then(|word| word.trim_end().get(..3)?.parse().ok());
    status.filter(|_| is_http).ok_or(PostError::NotHttp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(answer: &str) -> Option<u16> {
        status(&mut answer.as_bytes()).ok()
    }

    #[test]
    fn the_status_is_read_from_the_first_line() {
        assert_eq!(read("HTTP/1.1 200 OK\r\n\r\n"), Some(200));
        assert_eq!(read("HTTP/1.0 503\r\nretry-after: 1\r\n"), Some(503));
        for bad in ["", "HTTP/1.1", "HTTP/1.1 \r\n", "200 OK\r\n", "SSH-2.0 200\r\n", "HTTP/1.1 2x0 OK\r\n"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for (status, again) in [(429, true), (503, true), (400, false), (404, false), (500, false)] {
            assert_eq!(PostError::Refused(status).is_passing(), again, "{status}");
        }
        assert!(PostError::Io(io::ErrorKind::ConnectionRefused.into()).is_passing());
    }
}
