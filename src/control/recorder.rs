//! The ledger on a thread of its own: control waits for the disk, and nobody waits for control.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Instant, SystemTime};

use tokio::sync::{mpsc, oneshot};

use super::force::Refused;
use crate::ledger::{AppendError, Draft, Ledger};
use crate::telemetry::Registry;

/// Where entries are handed in.
#[derive(Debug)]
pub struct Recorder {
    jobs: mpsc::UnboundedSender<Job>,
    /// Whether something waits, or the last attempt failed.
    unwell: Arc<AtomicBool>,
}

/// What became of entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Recorded {
    /// They are on the disk, with these numbers.
    Written(Range<u64>),
    /// They are not, and wait until they can be.
    Kept(String),
}

#[derive(Debug)]
enum Job {
    Append { drafts: Vec<Draft>, keep: bool, answer: oneshot::Sender<Result<Recorded, AppendError>> },
    Recover { answer: oneshot::Sender<bool> },
}

impl Recorder {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has none to give.
    pub(super) fn start(mut ledger: Ledger, registry: Arc<Registry>) -> io::Result<Self> {
        let (jobs, mut handed_in) = mpsc::unbounded_channel();
        let unwell = Arc::new(AtomicBool::new(is_unwell(&ledger)));
        let shared = Arc::clone(&unwell);
        std::thread::Builder::new().name("ledger".to_owned()).spawn(move || {
            while let Some(job) = handed_in.blocking_recv() {
                // Whoever asked may have left; what is written is written.
                match job {
                    Job::Append { drafts, keep, answer } => {
                        let done = append(&mut ledger, drafts, keep, &registry);
                        shared.store(is_unwell(&ledger), Relaxed);
                        let _ = answer.send(done);
                    }
                    Job::Recover { answer } => {
                        let well = recover(&mut ledger, &registry);
                        shared.store(is_unwell(&ledger), Relaxed);
                        let _ = answer.send(well);
                    }
                }
            }
        })?;
        Ok(Self { jobs, unwell })
    }

    /// Has entries written that take effect together; waits until they are on the disk.
    ///
    /// # Errors
    /// [`Refused`]: nothing was written.
    pub(super) async fn append(&self, drafts: Vec<Draft>) -> Result<Range<u64>, Refused> {
        match self.hand_in(drafts, false).await? {
            Recorded::Written(numbers) => Ok(numbers),
            // Invariant: what is not to be kept is not kept.
            Recorded::Kept(why) => Err(Refused::Ledger(why)),
        }
    }

    /// The same for what takes effect in any case: what cannot be written now is written later.
    ///
    /// # Errors
    /// [`Refused`] where it could not be written at any time.
    pub(super) async fn append_or_keep(&self, drafts: Vec<Draft>) -> Result<Recorded, Refused> {
        self.hand_in(drafts, true).await
    }

    /// Whether [`Recorder::recover`] has something to do.
    pub(super) fn is_unwell(&self) -> bool {
        self.unwell.load(Relaxed)
    }

    /// Tries to write what waits; whether all is well then.
    pub(super) async fn recover(&self) -> bool {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job::Recover { answer }).is_ok() && answered.await.unwrap_or(false)
    }

    async fn hand_in(&self, drafts: Vec<Draft>, keep: bool) -> Result<Recorded, Refused> {
        let gone = |()| Refused::Ledger("its thread is gone".to_owned());
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job::Append { drafts, keep, answer }).map_err(|_| gone(()))?;
        answered.await.map_err(|_| gone(()))?.map_err(Refused::from)
    }
}

impl From<AppendError> for Refused {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Storage(why) => Self::Ledger(why),
            AppendError::OutOfBounds(_) | AppendError::NoSuchEntry(..) => Self::Entry(error.to_string()),
        }
    }
}

fn is_unwell(ledger: &Ledger) -> bool {
    ledger.trouble().is_some() || ledger.waiting() > 0
}

/// Appends, and counts what became of it. `keep`: what cannot be written waits.
pub(super) fn append(
    ledger: &mut Ledger,
    drafts: Vec<Draft>,
    keep: bool,
    registry: &Registry,
) -> Result<Recorded, AppendError> {
    let (now, began) = (SystemTime::now(), Instant::now());
    let written = ledger.written();
    match ledger.append(now, &drafts) {
        Ok(numbers) => {
            registry.control().ledger_wrote(ledger.written() - written, began.elapsed());
            Ok(Recorded::Written(numbers))
        }
        Err(AppendError::Storage(why)) => {
            registry.control().ledger_failed();
            if !keep {
                return Err(AppendError::Storage(why));
            }
            ledger.append_later(now, drafts);
            registry.control().ledger_waits(ledger.waiting());
            Ok(Recorded::Kept(why))
        }
        Err(error) => Err(error),
    }
}

fn recover(ledger: &mut Ledger, registry: &Registry) -> bool {
    let (written, began) = (ledger.written(), Instant::now());
    match ledger.recover(SystemTime::now()) {
        Ok(()) => registry.control().ledger_wrote(ledger.written() - written, began.elapsed()),
        Err(_) => registry.control().ledger_failed(),
    }
    !is_unwell(ledger)
}
