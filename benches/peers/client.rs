//! A client for questions, not for load: one keep-alive HTTP/1.1 connection that notices when it is closed.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::Fallible;

/// One connection.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects to a port of this machine.
    pub(crate) fn connect(port: u16) -> std::io::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(1024) })
    }

    /// Asks for `path`; the body of a 200. Anything else, a closed connection too, is an error.
    pub(crate) fn get(&mut self, path: &str) -> Fallible<String> {
        write!(self.stream, "GET {path} HTTP/1.1\r\nhost: peers.test\r\n\r\n")?;
        self.buffer.clear();
        let head = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            self.fill()?;
        };
        let text = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase();
        if !text.starts_with("http/1.1 200 ") {
            return Err(format!("answered: {}", text.lines().next().unwrap_or_default()).into());
        }
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")).ok_or("no content-length")?;
        let end = head + length.trim().parse::<usize>()?;
        while self.buffer.len() < end {
            self.fill()?;
        }
        Ok(String::from_utf8_lossy(&self.buffer[head..end]).into_owned())
    }

    fn fill(&mut self) -> std::io::Result<()> {
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk)? {
            0 => Err(std::io::Error::new(ErrorKind::UnexpectedEof, "the connection was closed")),
            read => {
                self.buffer.extend_from_slice(&chunk[..read]);
                Ok(())
            }
        }
    }
}
