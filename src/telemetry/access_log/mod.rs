//! A line per request, written by a thread of its own.
//!
//! Workers hand plain [`Entry`] values to a bounded queue and never wait: where the queue is full the line is dropped
//! and the worker counts it. Everything slow (formatting, writing, a full disk, a stuck pipe) happens in the thread.

mod entry;
mod output;
mod time;
mod writer;

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use entry::Entry;
use output::Output;
pub use time::Rfc3339;
use writer::Writer;

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// Appended to this file, which is created where it is missing.
    File(PathBuf),
}

/// What a line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A JSON object, see [`Entry`] for its members.
    Json,
    /// Words for a person, see [`Entry`] for their order.
    Text,
}

/// Lines that may wait for the thread: a burst of 10 ms at 400,000 requests a second, about a megabyte.
const QUEUE: usize = 4096;

/// How long the owner waits for a thread that cannot write (a stuck pipe) before it gives up on it.
const PATIENCE: Duration = Duration::from_secs(2);

/// A running access log. Dropping it writes what is queued, then ends the thread; it waits two seconds at most for that.
#[derive(Debug)]
pub struct AccessLog {
    sender: AccessLogSender,
    thread: JoinHandle<()>,
    /// Disconnected when the thread has ended.
    ended: Receiver<Infallible>,
}

/// A worker's end of the queue.
#[derive(Debug, Clone)]
pub struct AccessLogSender {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
}

/// What goes through the queue.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "lines are the rule, and a box would cost an allocation for each")]
enum Message {
    Line(Entry),
    /// Look at what the owner wants.
    Wake,
}

/// What the owner wants of the thread, and what the thread tells it.
#[derive(Debug, Default)]
struct Shared {
    ending: AtomicBool,
    reopen: Mutex<Option<SyncSender<io::Result<()>>>>,
    lost: Arc<AtomicU64>,
}

impl AccessLog {
    /// Opens the target and starts the thread.
    ///
    /// # Errors
    /// If the file cannot be opened for appending, or the system has no thread left.
    pub fn open(target: Target, format: Format) -> io::Result<Self> {
        Self::start(output::open(target)?, format, QUEUE)
    }

    fn start(output: Box<dyn Output>, format: Format, capacity: usize) -> io::Result<Self> {
        let (queue, entries) = sync_channel(capacity);
        let (alive, ended) = sync_channel(0);
        let shared = Arc::new(Shared::default());
        let writer = Writer::new(output, format, entries, Arc::clone(&shared));
        let thread = thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            let _alive = alive;
            writer.run();
        })?;
        Ok(Self { sender: AccessLogSender { queue, shared }, thread, ended })
    }

    /// An end of the queue for a worker to keep.
    #[must_use]
    pub fn sender(&self) -> AccessLogSender {
        self.sender.clone()
    }

    /// How many queued lines could not be written so far, a count that goes on growing.
    #[must_use]
    pub fn lost(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.sender.shared.lost)
    }

    /// Opens the file again under its name, after a log rotation moved it away. Returns when that is done; lines queued
    /// meanwhile may still go to the old file. Standard output stays as it is.
    ///
    /// # Errors
    /// If the file cannot be opened (the old one then stays in use), or if the thread does not come to it within two
    /// seconds because it cannot write.
    pub fn reopen(&self) -> io::Result<()> {
        let (answer, answered) = sync_channel(1);
        *self.sender.shared.reopen.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        self.wake();
        answered.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Makes the thread look at [`Shared`]. A full queue needs no message: the thread looks whenever it has emptied it.
    fn wake(&self) {
        let _ = self.sender.queue.try_send(Message::Wake);
        self.thread.thread().unpark();
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.sender.shared.ending.store(true, Ordering::SeqCst);
        self.wake();
        if let Err(RecvTimeoutError::Timeout) = self.ended.recv_timeout(PATIENCE) {
            tracing::warn!("the access log cannot be written; its last lines are lost");
        }
    }
}

impl AccessLogSender {
    /// Queues a line. Never blocks: `false` if it was dropped, because the queue is full or the log has ended.
    #[must_use = "a dropped line is to be counted"]
    pub fn send(&self, entry: Entry) -> bool {
        !self.shared.ending.load(Ordering::Relaxed) && self.queue.try_send(Message::Line(entry)).is_ok()
    }
}

#[cfg(test)]
mod tests;
