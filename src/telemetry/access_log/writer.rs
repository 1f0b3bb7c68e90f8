//! The thread behind the queue.

use std::io::{self, ErrorKind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

use super::output::Output;
use super::{Format, Message, Shared};

/// Bytes of formatted lines that are written in one go.
const BATCH: usize = 64 * 1024;

/// After emptying the queue the thread lets it fill for this long. A worker that sends to a sleeping receiver pays for
/// waking it, a few microseconds; this way that happens a hundred times a second at most, not once a request.
const GATHER: Duration = Duration::from_millis(10);

pub(super) struct Writer {
    output: Box<dyn Output>,
    format: Format,
    queue: Receiver<Message>,
    shared: Arc<Shared>,
    /// Whole lines not yet written.
    batch: Vec<u8>,
    /// The last write ended inside a line. Opening again does not change that: it may be the same file, and an empty line
    /// at the start of another does less harm than two lines in one.
    torn: bool,
    /// The last write failed, which has been said.
    failing: bool,
}

impl Writer {
    pub(super) fn new(output: Box<dyn Output>, format: Format, queue: Receiver<Message>, shared: Arc<Shared>) -> Self {
        Self { output, format, queue, shared, batch: Vec::new(), torn: false, failing: false }
    }

    /// Writes until the owner ends the log, and then what is queued.
    pub(super) fn run(mut self) {
        while let Ok(first) = self.queue.recv() {
            self.take(first);
            while let Ok(next) = self.queue.try_recv() {
                self.take(next);
            }
            self.write_out();
            if self.shared.ending.load(Ordering::SeqCst) {
                // Senders see `ending` too, so what is queued between the emptying above and here is all that is left.
                while let Ok(next) = self.queue.try_recv() {
                    self.take(next);
                }
                self.write_out();
                return;
            }
            thread::park_timeout(GATHER);
        }
    }

    fn take(&mut self, message: Message) {
        if let Message::Line(entry) = message {
            entry.write(self.format, &mut self.batch);
        }
        if self.batch.len() >= BATCH {
            self.write_out();
        }
    }

    /// Writes the batch, then opens the output again if the owner asked for that.
    fn write_out(&mut self) {
        if !self.batch.is_empty() {
            match self.write_batch() {
                Ok(()) if self.failing => {
                    self.failing = false;
                    tracing::info!("the access log can be written again");
                }
                Ok(()) => {}
                Err(error) => {
                    if !self.failing {
                        tracing::warn!(%error, "the access log cannot be written; lines are lost until it can");
                    }
                    self.failing = true;
                }
            }
            self.batch.clear();
        }
        let asked = self.shared.reopen.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(answer) = asked {
            // Who asked may have lost patience.
            let _ = answer.try_send(self.output.reopen());
        }
    }

    /// Writes all of the batch or counts the lines that were not written whole.
    fn write_batch(&mut self) -> io::Result<()> {
        let mut written = 0;
        let result = self.mend().and_then(|()| {
            while written < self.batch.len() {
                written += write_some(&mut *self.output, &self.batch[written..])?;
            }
            self.output.flush()
        });
        let lost = memchr::memchr_iter(b'\n', &self.batch[written..]).count();
        self.shared.lost.fetch_add(lost as u64, Ordering::Relaxed);
        if let Some(last) = written.checked_sub(1) {
            self.torn = self.batch[last] != b'\n';
        }
        result
    }

    /// Ends a line that was written in part, so that it does not spoil the next.
    fn mend(&mut self) -> io::Result<()> {
        if self.torn {
            write_some(&mut *self.output, b"\n")?;
            self.torn = false;
        }
        Ok(())
    }
}

/// Writes at least one byte.
fn write_some(output: &mut dyn Output, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match output.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
