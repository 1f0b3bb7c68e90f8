//! After a 101: bytes both ways, until both sides have ended.

use std::future::poll_fn;
use std::io;
use std::pin::pin;

use tokio::io::AsyncWriteExt;

use super::worker::Open;
use crate::upstream::{Lease, Upgraded};
use crate::wire::Socket;

/// An upgrade that the upstream has agreed to and the client is being told of.
#[derive(Debug)]
pub(super) struct PendingTunnel {
    lease: Lease,
}

impl PendingTunnel {
    pub(super) fn new(lease: Lease) -> Self {
        Self { lease }
    }

    /// Relays until both sides have ended or one has failed. `early`: what the client sent after its request already.
    pub(super) async fn run(self, open: &Open, mut client: Socket, early: &[u8]) {
        let Some(upgraded) = self.lease.into_upgraded() else { return };
        let Upgraded { socket: mut upstream, read, .. } = upgraded;
        let relay = async {
            upstream.write_all(early).await?;
            client.write_all(&read).await?;
            tokio::io::copy_bidirectional(&mut client, &mut upstream).await
        };
        let mut relay = pin!(relay);
        let ended: io::Result<_> = poll_fn(|cx| {
            open.register(cx.waker());
            relay.as_mut().poll(cx)
        })
        .await;
        if let Err(error) = ended {
            tracing::trace!(%error, "a tunnel broke");
        }
    }
}
