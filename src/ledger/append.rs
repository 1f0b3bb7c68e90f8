//! Writing entries: each on the disk before anybody acts on it.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::time::SystemTime;

use super::bounds::{MAX_LINE, OutOfBounds};
use super::disk::Folder;
use super::files::Part;
use super::memory::Memory;
use super::{Dependency, Digest, Draft, Entry, Reader, State, Time, What};

/// What stands in the genesis of a ledger that is written as this one is.
pub(super) const FORMAT: u32 = 1;
/// Most batches that wait for a disk that cannot be written.
const MAX_WAITING: usize = 1000;

/// The one who writes.
///
/// Where writing fails, nothing of what was to be written stays, nothing that was written before is lost, and every further call
/// tries again.
#[derive(Debug)]
pub struct Ledger {
    pub(super) store: Store,
    /// The number of the next entry.
    pub(super) next: u64,
    /// The hash of the last one.
    pub(super) last: Digest,
    pub(super) state: State,
    /// What took effect without being written, oldest first.
    pub(super) waiting: VecDeque<(Time, Vec<Draft>)>,
    /// Batches that did not find room among those.
    pub(super) dropped: u64,
    /// Since when and why nothing can be written.
    pub(super) trouble: Option<(Time, String)>,
    /// Who is told of what is written.
    pub(super) listener: Option<Listener>,
}

/// Who is told of each line that is written.
pub(super) struct Listener(Box<dyn Fn(&str) + Send>);

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

#[derive(Debug)]
pub(super) enum Store {
    Memory(Memory),
    Folder(Folder),
}

/// Why nothing was appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Something is too long.
    #[error("{0}")]
    OutOfBounds(#[from] OutOfBounds),
    /// It depends on an entry that is not there.
    #[error("there is no entry {0} to depend on; the last is {1}")]
    NoSuchEntry(u64, u64),
    /// The disk does not take it.
    #[error("the ledger cannot be written: {0}")]
    Storage(String),
}

impl Ledger {
    /// A ledger that ends with the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            store: Store::Memory(Memory::default()),
            next: 1,
            last: Digest::NONE,
            state: State::default(),
            waiting: VecDeque::new(),
            dropped: 0,
            trouble: None,
            listener: None,
        }
    }

    /// Has `listener` told of every entry from now on, by its line, once it is on the disk. Whoever waits for the entry waits for
    /// that, too: it must not take long.
    pub fn listen(&mut self, listener: impl Fn(&str) + Send + 'static) {
        self.listener = Some(Listener(Box::new(listener)));
    }

    /// What is in force by the entries so far.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// How many entries there are, with those that are no longer kept.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.next - 1
    }

    /// Whether it has no entry yet.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.next == 1
    }

    /// Why nothing could be written the last time; `None` where it could.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_ref().map(|(_, why)| &**why)
    }

    /// Batches that took effect and wait to be written.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// For whoever reads while this writes.
    #[must_use]
    pub fn reader(&self) -> Reader {
        match &self.store {
            Store::Memory(memory) => Reader::of_memory(memory.clone()),
            Store::Folder(folder) => Reader::of_folder(folder.path.clone()),
        }
    }

    /// Appends entries that take effect together, and before them whatever still waits. On return they are on the disk.
    /// Gives their numbers.
    ///
    /// # Errors
    /// [`AppendError`]: nothing was appended.
    pub fn append(&mut self, now: SystemTime, drafts: &[Draft]) -> Result<Range<u64>, AppendError> {
        self.check(drafts)?;
        self.write(Time::from(now), drafts)?;
        Ok(self.next - drafts.len() as u64..self.next)
    }

    /// Keeps entries of what takes effect although it cannot be written, until it can.
    pub fn append_later(&mut self, now: SystemTime, drafts: Vec<Draft>) {
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push_back((Time::from(now), drafts));
        } else {
            self.dropped += 1;
        }
    }

    /// Tries to write what waits, and that there was trouble. Where there was none, this does nothing.
    ///
    /// # Errors
    /// [`AppendError::Storage`]: the trouble goes on.
    pub fn recover(&mut self, now: SystemTime) -> Result<(), AppendError> {
        if self.trouble.is_none() && self.waiting.is_empty() {
            return Ok(());
        }
        self.write(Time::from(now), &[])
    }

    fn check(&self, drafts: &[Draft]) -> Result<(), AppendError> {
        for draft in drafts {
            draft.check()?;
            for dependency in &draft.about.depends_on {
                if let Dependency::Entry(number) = dependency
                    && *number >= self.next
                {
                    return Err(AppendError::NoSuchEntry(*number, self.next - 1));
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, now: Time, drafts: &[Draft]) -> Result<(), AppendError> {
        let mut draft = self.compose(now, drafts, false)?;
        let done = match &mut self.store {
            Store::Memory(memory) => {
                memory.push(draft.lines.iter().cloned());
                Ok(())
            }
            Store::Folder(folder) => {
                if folder.is_full(draft.bytes()) {
                    draft = self.compose(now, drafts, true)?;
                }
                // Borrowed anew, as composing needs the whole.
                match &mut self.store {
                    Store::Folder(folder) => folder.write(&draft),
                    Store::Memory(_) => Ok(()),
                }
            }
        };
        if let Err(error) = done {
            let why = error.to_string();
            let since = self.trouble.take().map_or(now, |(since, _)| since);
            self.trouble = Some((since, why.clone()));
            return Err(AppendError::Storage(why));
        }
        (self.next, self.last, self.state) = (draft.next, draft.last, draft.state);
        self.waiting.clear();
        (self.dropped, self.trouble) = (0, None);
        if let Some(Listener(listener)) = &self.listener {
            draft.lines.iter().for_each(|line| listener(line));
        }
        Ok(())
    }

    /// The lines of everything that is to be written now. `rotate`: into a file of their own.
    fn compose(&self, now: Time, drafts: &[Draft], rotate: bool) -> Result<Written, AppendError> {
        let mut written = Written {
            first: self.next,
            next: self.next,
            last: self.last,
            state: self.state.clone(),
            lines: Vec::new(),
            rotate,
            prune: Vec::new(),
        };
        let begins = rotate || matches!(&self.store, Store::Folder(folder) if folder.length == 0);
        if self.next == 1 {
            let what = What::Genesis { format: FORMAT };
            written.batch(now, &[Draft::new("serin", "a new ledger", what)], false)?;
        } else if begins && let Store::Folder(folder) = &self.store {
            let (parts, pruned) = folder.to_prune();
            written.prune = parts;
            let what = What::Rotated { state: Box::new(self.state.clone()), pruned };
            written.batch(now, &[Draft::new("serin", "", what)], false)?;
        }
        for (time, drafts) in &self.waiting {
            written.batch(*time, drafts, self.trouble.is_some())?;
        }
        if let Some((since, why)) = &self.trouble {
            let dropped = match self.dropped {
                0 => String::new(),
                dropped => format!("; {dropped} changes that took effect meanwhile are not recorded"),
            };
            let note = format!("the ledger could not be written since {since}: {why}{dropped}");
            written.batch(now, &[Draft::note(super::clip(&note, 4000))], false)?;
        }
        written.batch(now, drafts, false)?;
        Ok(written)
    }
}

/// Lines on their way to the disk, and what is so once they are there.
pub(super) struct Written {
    pub(super) first: u64,
    pub(super) next: u64,
    pub(super) last: Digest,
    state: State,
    pub(super) lines: Vec<String>,
    pub(super) rotate: bool,
    pub(super) prune: Vec<Part>,
}

impl Written {
    fn batch(&mut self, time: Time, drafts: &[Draft], late: bool) -> Result<(), AppendError> {
        let with = (drafts.len() > 1).then(|| self.next + drafts.len() as u64 - 1);
        for draft in drafts {
            let entry = Entry { number: self.next, time, draft: draft.clone(), late, with, before: self.last };
            let line = serde_json::to_string(&entry).map_err(|error| AppendError::Storage(error.to_string()))?;
            if line.len() > MAX_LINE {
                return Err(OutOfBounds::line(line.len()).into());
            }
            self.state.take(&entry);
            self.last = Digest::of(line.as_bytes());
            self.next += 1;
            self.lines.push(line);
        }
        Ok(())
    }

    pub(super) fn bytes(&self) -> u64 {
        self.lines.iter().map(|line| line.len() as u64 + 1).sum()
    }
}
