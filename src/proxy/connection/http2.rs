//! Serving HTTP/2 with prior knowledge.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use hyper::server::conn::http2;

use super::{Connection, DRAIN_GRACE};
use crate::proxy::exchange::Exchanges;
use crate::upstream::LocalExecutor;
use crate::wire::{PlainIo, Socket};

const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Most bytes of responses kept for one stream before the client has taken them.
const SEND_BUFFER: usize = 128 * 1024;

/// Serves a connection to its end.
pub(super) async fn serve(connection: Connection, socket: Socket, first: Vec<u8>) {
    let Connection { worker, client, open, deadline, limits } = connection;
    client.is_h2.set(true);
    let mut builder = http2::Builder::new(LocalExecutor);
    builder
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_concurrent_streams(limits.h2_streams)
        .max_pending_accept_reset_streams(limits.h2_pending_resets)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX));
    let exchanges = Exchanges::new(Rc::clone(&worker), Rc::clone(&client));
    let mut conn = pin!(builder.serve_connection(PlainIo::new(socket, first), exchanges));
    let mut leaving: Option<Instant> = None;
    poll_fn(|cx| {
        open.register(cx.waker());
        if let Poll::Ready(ended) = conn.as_mut().poll(cx) {
            if let Err(error) = ended {
                tracing::trace!(%error, "a client connection ended");
            }
            return Poll::Ready(());
        }
        let unused = client.in_flight.get() == 0;
        let now = Instant::now();
        if leaving.is_none() {
            let silent = unused && client.active_at.get() + limits.idle_timeout <= now;
            if silent || worker.draining_since().is_some() {
                // The client is told which of its streams are still answered; it opens no more.
                conn.as_mut().graceful_shutdown();
                leaving = Some(now);
                cx.waker().wake_by_ref();
            }
        }
        let due = match leaving {
            Some(since) => since + DRAIN_GRACE,
            None => client.active_at.get() + limits.idle_timeout,
        };
        deadline.set(unused.then_some(due));
        // A client that does not close after being told to is closed.
        if deadline.poll_passed(cx) && leaving.is_some() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
