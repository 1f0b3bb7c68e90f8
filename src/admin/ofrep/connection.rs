//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;

use http::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::answer::answer;
use super::body::Body;
use super::evaluate::failure;
use super::pace::{Pace, PacedIo};
use super::serve::Server;
use crate::telemetry::OfrepKind;
use crate::wire::{PlainIo, Socket, linger};

/// Most bytes of a head.
const HEAD: usize = 16 * 1024;
/// Most header lines.
const HEADERS: usize = 64;

/// Answers the requests of a connection until it ends, the client takes too long, or the server closes.
pub(super) async fn serve(server: &Rc<Server>, socket: Socket) {
    let pace = Rc::new(Pace::new());
    let service = service_fn(|request| {
        let (server, pace) = (Rc::clone(server), Rc::clone(&pace));
        let answering = async move { Ok::<_, Infallible>(answer(&server, &pace, request).await) };
        // Boxed, as the connection is to give its socket back and must not be pinned for that.
        Box::pin(answering) as Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>>>>
    });
    let io = PacedIo::new(PlainIo::new(socket, Vec::new()), Rc::clone(&pace));
    let mut builder = http1::Builder::new();
    // The pace bounds heads in time. A client that has shut down its sending side still gets its answer.
    builder.half_close(true).max_buf_size(HEAD).max_headers(HEADERS).header_read_timeout(None);
    let mut connection = builder.serve_connection(io, service);
    let mut closing = server.closing();
    let mut told = false;
    let mut look = interval_at(Instant::now() + server.patience.look, server.patience.look);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            ended = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)) => {
                if ended.is_err() {
                    return;
                }
                break;
            }
            _ = closing.wait_for(|closing| *closing), if !told => {
                told = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
            _ = look.tick() => {
                if pace.is_overdue(&server.patience, Instant::now()) {
                    return;
                }
            }
        }
    }
    let mut socket = connection.into_parts().io.into_inner().into_socket();
    if pace.is_unread() {
        linger(socket).await;
    } else {
        // A peer that is gone already need not be told.
        let _ = socket.shutdown().await;
    }
}

/// Answers that there are too many connections, and closes.
pub(super) async fn refuse(server: &Rc<Server>, mut socket: Socket) {
    server.cell.answered(OfrepKind::Other, 429);
    let body = failure(None, "GENERAL", "There are too many connections.");
    let head = format!(
        "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\nretry-after: 1\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    let answer = [head.as_bytes(), &body].concat();
    let written = tokio::time::timeout(server.patience.taking, socket.write_all(&answer)).await;
    if matches!(written, Ok(Ok(()))) {
        linger(socket).await;
    }
}
