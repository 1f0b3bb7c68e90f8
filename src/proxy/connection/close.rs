//! Ending a connection so that the client gets to read the last answer.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::proxy::problem::Problem;
use crate::wire::Socket;

/// How long, and for how many bytes, a connection is read after the last answer: closing it with bytes unread would
/// reset it, and the client might never see what it was told.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1024 * 1024;

/// Answers with `problem` and closes.
pub(super) async fn refuse(mut socket: Socket, problem: &Problem) {
    let body = problem.body();
    let answer = format!(
        "HTTP/1.1 {}\r\nx-serin-error: {}\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        problem.status,
        problem.kind,
        Problem::CONTENT_TYPE,
        body.len(),
    );
    let written = tokio::time::timeout(LINGER, socket.write_all(answer.as_bytes())).await;
    if matches!(written, Ok(Ok(()))) {
        linger(socket).await;
    }
}

/// Says that nothing more comes, and waits a little for the client to have read what did.
pub(super) async fn linger(mut socket: Socket) {
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
