//! Telling a client that has only stopped sending from one that has left.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use crate::proxy::client::Client;
use crate::wire::http1::{INVITATION, Inbound};

/// Silence within a response after which a client that has stopped sending counts as gone.
const GONE_AFTER: Duration = Duration::from_secs(1);

/// What is known of whether the client is still there.
#[derive(Default)]
pub(super) struct Departure {
    /// It may be sent an interim response: it speaks HTTP/1.1.
    pub(super) may_probe: bool,
    /// Since it has stopped sending.
    hang_up: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Departure {
    /// Whether the client will send no more.
    pub(super) fn is_finished(&self) -> bool {
        self.hang_up.is_some()
    }

    /// Resolves when the client has left.
    ///
    /// One that sends no more while it waits for a response may have left, or only shut down its sending side (`nc -N`):
    /// the two look the same until something is sent to it. An interim response is something any HTTP/1.1 client takes in
    /// its stride (RFC 9110, section 15.2); one that has left answers it with a reset. `answering`: a response has begun,
    /// so the client is being sent something anyway.
    pub(super) fn poll_gone(
        &mut self,
        inbound: &mut Inbound,
        client: &Client,
        answering: bool,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        if self.hang_up.is_none() {
            let finished = ready!(inbound.poll_finished(cx));
            let Ok(hang_up) = finished.and_then(|()| inbound.socket.hung_up()) else { return Poll::Ready(()) };
            self.hang_up = Some(Box::pin(hang_up));
            client.active_at.set(Instant::now());
            if !answering && self.may_probe && probe(inbound).is_err() {
                return Poll::Ready(());
            }
        }
        match &mut self.hang_up {
            Some(hang_up) => hang_up.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }

    /// When a client that has stopped sending counts as gone. `idle`: a response has begun, and it is not the client that
    /// holds it up.
    pub(super) fn due(&self, client: &Client, idle: bool) -> Option<Instant> {
        (idle && self.is_finished()).then(|| client.active_at.get() + GONE_AFTER)
    }
}

fn probe(inbound: &mut Inbound) -> io::Result<()> {
    match inbound.socket.try_write(INVITATION) {
        Ok(written) if written == INVITATION.len() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Ok(_) => Err(io::ErrorKind::WriteZero.into()),
        Err(error) => Err(error),
    }
}
