//! Closing a connection so that the peer gets to read the last answer.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Socket;

/// How long, and for how many bytes, a connection is read after the last answer: closing it with bytes unread would
/// reset it, and the client might never see what it was told.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1024 * 1024;

/// Says that nothing more comes, and waits a little for the client to have read what did.
pub async fn linger(mut socket: Socket) {
    let reading = async {
        if socket.shutdown().await.is_err() {
            return;
        }
        let mut left = LINGER_BYTES;
        let mut chunk = [0; 4096];
        while let Ok(length @ 1..) = socket.read(&mut chunk).await {
            left = left.saturating_sub(length);
            if left == 0 {
                return;
            }
        }
    };
    // Whether the client was quick enough changes nothing any more.
    let _ = tokio::time::timeout(LINGER, reading).await;
}
