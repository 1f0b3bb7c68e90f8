//! The thread that alone writes the store: as much at once as there is, each time the last is on the disk.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::book::{Book, Millis};
use super::store::Store;

/// How long what nobody waits for may wait for company.
pub(super) const LINGER: Duration = Duration::from_millis(50);
/// How long after a failure the store is tried again.
pub(super) const AGAIN: Duration = Duration::from_secs(1);

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// There was nothing to do.
    Nothing,
    /// Something was written, which took this long.
    Wrote(Duration),
    /// Nothing could be written.
    Failed,
}

/// Writes what there is to write, or the store anew where it failed.
pub(super) fn step(book: &Mutex<Book>, store: &mut dyn Store, now: impl Fn() -> Millis) -> Step {
    let mut locked = lock(book);
    if locked.is_disk_gone() {
        let ops = locked.image();
        drop(locked);
        let done = store.rewrite(&ops);
        lock(book).rewritten(done.as_ref().map_err(|error| &*error.0).copied());
        return if done.is_ok() { Step::Wrote(Duration::ZERO) } else { Step::Failed };
    }
    if !locked.has_work() {
        return Step::Nothing;
    }
    let batch = locked.batch();
    drop(locked);
    let began = Instant::now();
    match store.commit(&batch.ops) {
        Ok(()) => {
            let took = began.elapsed();
            lock(book).committed(&batch, now());
            Step::Wrote(took)
        }
        Err(error) => {
            lock(book).failed(batch, &error.0, now());
            Step::Failed
        }
    }
}

/// Every change of the book is whole before the lock is given back, so a panic elsewhere leaves nothing half done.
pub(super) fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}
