//! What TLS costs serin in memory: large bodies, and many connections that wait.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::Fallible;
use crate::report::Reading;
use crate::setup::{Bench, Proxy};

/// The name in the certificate.
const NAME: &str = "localhost";
/// Bytes of a large body.
const LARGE: u64 = 1 << 30;
/// Connections that wait.
const IDLE: usize = 5_000;
/// How much is read or written at once.
const PIECE: usize = 256 * 1024;

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// A GiB each way on one connection each, then 5,000 connections that have each made one request and wait; `quick`: a tenth
/// of both.
pub(crate) fn tls(bench: &Bench, quick: bool) -> Fallible<Vec<Reading>> {
    let (large, idle) = if quick { (LARGE / 10, IDLE / 10) } else { (LARGE, IDLE) };
    let proxy = bench.start_tls(upstream(large)?)?;
    let config = trusting(CertificateDer::from_pem_file(bench.certificate())?)?;
    let mut readings = bodies(&proxy, &config, large)?;
    readings.extend(waiting(&proxy, &config, idle)?);
    Ok(readings)
}

fn trusting(certificate: CertificateDer<'static>) -> Fallible<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13])?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

fn connect(proxy: &Proxy, config: &Arc<ClientConfig>) -> Fallible<Tls> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port))?;
    stream.set_nodelay(true)?;
    let session = ClientConnection::new(Arc::clone(config), ServerName::try_from(NAME)?)?;
    Ok(StreamOwned::new(session, stream))
}

/// Sends the head of a request; with a body of `length` where that is not 0.
fn ask(client: &mut Tls, method: &str, path: &str, length: u64) -> Fallible<()> {
    Ok(write!(client, "{method} {path} HTTP/1.1\r\nhost: {NAME}\r\ncontent-length: {length}\r\n\r\n")?)
}

/// Reads the head of a 200, and whatever of its body came with it; gives how much that was.
fn head(client: &mut Tls) -> Fallible<u64> {
    let (mut head, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            let fine = head.starts_with(b"HTTP/1.1 200");
            return if fine { Ok((head.len() - end - 4) as u64) } else { Err("not answered 200".into()) };
        }
        match client.read(&mut chunk)? {
            0 => return Err("the connection was closed".into()),
            length => head.extend_from_slice(&chunk[..length]),
        }
    }
}

fn bodies(proxy: &Proxy, config: &Arc<ClientConfig>, large: u64) -> Fallible<Vec<Reading>> {
    // Once before, so that what is taken once is not taken for growth.
    let mut client = connect(proxy, config)?;
    ask(&mut client, "GET", "/small", 0)?;
    head(&mut client)?;
    let before = proxy.process.resident()?;
    let (mut most, mut piece) = (before, vec![0; PIECE]);
    let mut look = |done: u64| -> Fallible<()> {
        if done.is_multiple_of(64) {
            most = most.max(proxy.process.resident()?);
        }
        Ok(())
    };
    let started = Instant::now();
    let mut client = connect(proxy, config)?;
    ask(&mut client, "GET", "/large", 0)?;
    let (mut left, mut reads) = (large - head(&mut client)?, 0);
    while left > 0 {
        let length = client.read(&mut piece)? as u64;
        if length == 0 {
            return Err("the body ended early".into());
        }
        left = left.saturating_sub(length);
        reads += 1;
        look(reads)?;
    }
    let down = started.elapsed();
    let started = Instant::now();
    let mut client = connect(proxy, config)?;
    ask(&mut client, "POST", "/", large)?;
    let mut left = large;
    while left > 0 {
        let length = left.min(PIECE as u64);
        client.write_all(&piece[..length as usize])?;
        left -= length;
        look(left / PIECE as u64)?;
    }
    head(&mut client)?;
    let up = started.elapsed();
    let mebibytes = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
    let rate = |took: std::time::Duration| mebibytes(large) / took.as_secs_f64();
    Ok(vec![
        Reading::new("RSS growth, large bodies through TLS", "MiB", mebibytes(most.saturating_sub(before))),
        Reading::new("large body to the client", "MiB/s", rate(down)),
        Reading::new("large body from the client", "MiB/s", rate(up)),
    ])
}

fn waiting(proxy: &Proxy, config: &Arc<ClientConfig>, idle: usize) -> Fallible<Vec<Reading>> {
    let before = proxy.process.resident()?;
    let mut connections = Vec::with_capacity(idle);
    for _ in 0..idle {
        let mut client = connect(proxy, config)?;
        ask(&mut client, "GET", "/small", 0)?;
        head(&mut client)?;
        connections.push(client);
    }
    let full = proxy.process.resident()?;
    let each = full.saturating_sub(before) as f64 / 1024.0 / idle as f64;
    Ok(vec![
        Reading::new(format!("RSS with {idle} open TLS connections"), "MiB", full as f64 / 1024.0 / 1024.0),
        Reading::new("memory per TLS connection", "KiB", each),
    ])
}

/// An upstream that gives a large body at `/large`, an empty one elsewhere, and takes any; its port.
fn upstream(large: u64) -> Fallible<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // A connection that breaks is the client's to notice.
            std::thread::spawn(move || answer(stream, large));
        }
    });
    Ok(port)
}

fn answer(mut stream: TcpStream, large: u64) -> std::io::Result<()> {
    let piece = vec![b'x'; PIECE];
    let (mut buffer, mut chunk) = (Vec::new(), vec![0; PIECE]);
    loop {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            match stream.read(&mut chunk)? {
                0 => return Ok(()),
                length => buffer.extend_from_slice(&chunk[..length]),
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
        let mut left = length.unwrap_or(0_u64).saturating_sub((buffer.len() - end) as u64);
        buffer.clear();
        while left > 0 {
            match stream.read(&mut chunk)? as u64 {
                0 => return Ok(()),
                length => left = left.saturating_sub(length),
            }
        }
        let mut left = if head.starts_with("get /large") { large } else { 0 };
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {left}\r\n\r\n")?;
        while left > 0 {
            let length = left.min(PIECE as u64);
            stream.write_all(&piece[..length as usize])?;
            left -= length;
        }
    }
}
