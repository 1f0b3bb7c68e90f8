//! The bytes of an HTTP/1 client connection: every request's framing is checked before hyper sees it, and a client that
//! has only stopped sending is told from one that has left.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use hyper::rt::ReadBufCursor;
use tokio::io::AsyncWrite;

use super::client::Client;
use crate::wire::{HeadLimits, RequestScanner, Socket, Stopped, drain_rewind, poll_read_inspected};

/// A client connection, as hyper's server reads and writes it.
pub(super) struct ClientIo {
    socket: Socket,
    watch: Watch,
    /// Bytes read and checked before hyper was there.
    rewind: Vec<u8>,
    hang_up: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

/// Follows what the client sends.
struct Watch {
    client: Rc<Client>,
    scanner: RequestScanner,
    /// What follows the last whole request and is none itself. After an upgrade it need not be.
    held_back: Vec<u8>,
}

impl ClientIo {
    /// Takes over a socket from which `first` was read already.
    pub(super) fn new(socket: Socket, client: Rc<Client>, limits: HeadLimits, mut first: Vec<u8>) -> Self {
        let mut watch = Watch { client, scanner: RequestScanner::new(limits), held_back: Vec::new() };
        // Invariant: an error is a fault in the body of a request that was passed on before, and there is none yet.
        let pass = watch.inspect(&first).unwrap_or(0);
        first.truncate(pass);
        Self { socket, watch, rewind: first, hang_up: None }
    }

    /// The socket, and what was read from it and not passed on.
    pub(super) fn into_parts(self) -> (Socket, Vec<u8>) {
        let mut unread = self.rewind;
        unread.extend(self.watch.held_back);
        (self.socket, unread)
    }

    fn poll_more(&mut self, cx: &mut Context<'_>, cursor: &mut ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if drain_rewind(&mut self.rewind, cursor) {
            return Poll::Ready(Ok(()));
        }
        if self.watch.client.fault.get().is_some() {
            // The connection's loop answers once what came before is answered.
            return Poll::Pending;
        }
        if self.watch.client.finished_sending.get() {
            return self.poll_finished(cx);
        }
        let watch = &mut self.watch;
        let mut ended = false;
        let passed = ready!(poll_read_inspected(&mut self.socket, cx, cursor, |bytes| {
            ended = bytes.is_empty();
            watch.inspect(bytes)
        }))?;
        match passed {
            0 if ended => self.poll_finished(cx),
            0 => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    }

    /// The client will send no more. Between requests that is the end. While it waits for a response it may have left,
    /// or only shut down its sending side (`nc -N`): the two look the same until something is sent to it. An interim
    /// response is something any HTTP/1.1 client takes in its stride (RFC 9110, section 15.2); one that has left
    /// answers it with a reset.
    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let client = &self.watch.client;
        // A body that has not ended by now never will.
        if client.in_flight.get() == 0 || self.watch.scanner.is_in_body() {
            return Poll::Ready(Ok(()));
        }
        if self.hang_up.is_none() {
            client.finished_sending.set(true);
            client.active_at.set(Instant::now());
            self.hang_up = Some(Box::pin(self.socket.hung_up()?));
            if !client.answering.get() && !client.write_blocked.get() && !self.watch.scanner.is_http10() {
                let probe = b"HTTP/1.1 100 Continue\r\n\r\n";
                match self.socket.try_write(probe) {
                    Ok(written) if written == probe.len() => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Ok(_) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
        }
        if let Some(hang_up) = &mut self.hang_up {
            ready!(hang_up.as_mut().poll(cx));
        }
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }

    fn wrote(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let client = &self.watch.client;
        let blocked = written.is_pending();
        // A client that is slow, or has stopped sending, is timed from the last moment it took something.
        if client.write_blocked.replace(blocked) != blocked || client.finished_sending.get() {
            client.active_at.set(Instant::now());
        }
        written
    }
}

impl Watch {
    /// Looks at what the client sent; says how much of it hyper may have.
    fn inspect(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let pass = match self.scanner.scan(bytes) {
            Ok(()) => bytes.len(),
            Err(Stopped { fault, in_body: true, .. }) => {
                self.client.body_fault.set(Some(fault));
                return Err(io::Error::new(io::ErrorKind::InvalidData, fault));
            }
            Err(Stopped { fault, clean, .. }) => {
                self.client.fault.set(Some(fault));
                self.held_back = bytes[clean..].to_vec();
                clean
            }
        };
        let client = &self.client;
        if self.scanner.is_in_head() {
            if client.head_began.get().is_none() {
                client.head_began.set(Some(Instant::now()));
            }
        } else {
            client.head_began.set(None);
        }
        let in_body = self.scanner.is_in_body();
        client.in_body.set(in_body);
        if in_body {
            client.active_at.set(Instant::now());
        }
        Ok(pass)
    }
}

impl hyper::rt::Read for ClientIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut cursor: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = this.poll_more(cx, &mut cursor);
        this.watch.client.read_blocked.set(read.is_pending());
        read
    }
}

impl hyper::rt::Write for ClientIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !this.watch.client.answer_due.get() {
            // hyper refuses a request by itself, in few words; the connection's loop says more.
            return Poll::Ready(Ok(buf.len()));
        }
        let written = Pin::new(&mut this.socket).poll_write(cx, buf);
        this.wrote(written)
    }

    /// hyper flushes once all it had is written: the moment a complete response has reached the socket.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watch.client.delivered();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

impl fmt::Debug for ClientIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIo").field("socket", &self.socket).finish_non_exhaustive()
    }
}
