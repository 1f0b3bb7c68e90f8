//! Ending a connection so that the client gets to read the last answer.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::proxy::problem::Problem;
use crate::wire::Socket;
pub(super) use crate::wire::linger;

/// How long a client may take to be told why.
const PATIENCE: Duration = Duration::from_secs(1);

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
    let written = tokio::time::timeout(PATIENCE, socket.write_all(answer.as_bytes())).await;
    if matches!(written, Ok(Ok(()))) {
        linger(socket).await;
    }
}
