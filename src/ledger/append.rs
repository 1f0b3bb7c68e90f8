//! Writing entries: each on the disk before anybody acts on it.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::time::SystemTime;

use super::bounds::{MAX_LINE, OutOfBounds};
use super::files::{HEAD, Head, Part};
use super::folder::{Lock, Settings, sync_folder, writing};
use super::memory::Memory;
use super::{Dependency, Digest, Draft, Entry, Pruned, Reader, State, Time, What};

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
}

#[derive(Debug)]
pub(super) enum Store {
    Memory(Memory),
    Folder(Folder),
}

/// The folder with the file that is written to.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) settings: Settings,
    pub(super) part: Part,
    /// Bytes of `part` that are entries; what is behind them is not.
    pub(super) length: u64,
    /// Whether there may be something behind them, to be cut off by the next writing.
    pub(super) ragged: bool,
    /// `None`: not opened, or not since something failed.
    pub(super) open: Option<Open>,
    pub(super) _lock: Lock,
}

#[derive(Debug)]
pub(super) struct Open {
    file: File,
    head: File,
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
        }
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
    pub fn append(&mut self, now: SystemTime, drafts: Vec<Draft>) -> Result<Range<u64>, AppendError> {
        self.check(&drafts)?;
        let count = drafts.len() as u64;
        self.write(Time::from(now), Some(drafts))?;
        Ok(self.next - count..self.next)
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
        self.write(Time::from(now), None)
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

    fn write(&mut self, now: Time, drafts: Option<Vec<Draft>>) -> Result<(), AppendError> {
        let mut draft = self.compose(now, drafts.as_deref(), false)?;
        let done = match &mut self.store {
            Store::Memory(memory) => {
                memory.push(draft.lines.drain(..));
                Ok(())
            }
            Store::Folder(folder) => {
                if folder.is_full(draft.bytes()) {
                    draft = self.compose(now, drafts.as_deref(), true)?;
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
        Ok(())
    }

    /// The lines of everything that is to be written now. `rotate`: into a file of their own.
    fn compose(&self, now: Time, drafts: Option<&[Draft]>, rotate: bool) -> Result<Written, AppendError> {
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
        written.batch(now, drafts.unwrap_or_default(), false)?;
        Ok(written)
    }
}

/// Lines on their way to the disk, and what is so once they are there.
struct Written {
    first: u64,
    next: u64,
    last: Digest,
    state: State,
    lines: Vec<String>,
    rotate: bool,
    prune: Vec<Part>,
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

    fn bytes(&self) -> u64 {
        self.lines.iter().map(|line| line.len() as u64 + 1).sum()
    }
}

impl Folder {
    fn is_full(&self, more: u64) -> bool {
        self.length > 0 && self.length + more > self.settings.max_file_size
    }

    /// Files that are too many once another is begun, and what is to be said of them.
    fn to_prune(&self) -> (Vec<Part>, Option<Pruned>) {
        let mut parts = Part::all(&self.path).unwrap_or_default();
        // Not one that was begun in vain.
        let own = |part: &Part| part.first == self.part.first && self.length > 0;
        parts.retain(|part| part.first < self.part.first || own(part));
        let many = parts.len().saturating_sub(self.settings.keep - 1);
        parts.truncate(many);
        let pruned = parts.last().and_then(last_of);
        // What cannot be stated is not removed.
        if pruned.is_some() { (parts, pruned) } else { (Vec::new(), None) }
    }

    /// Opens the file for writing, where it is not open.
    pub(super) fn open_file(&mut self) -> io::Result<()> {
        if self.open.is_none() {
            self.open = Some(self.reopen()?);
        }
        Ok(())
    }

    fn write(&mut self, written: &Written) -> io::Result<()> {
        let done = self.try_write(written);
        if done.is_err() {
            // What is written next goes over whatever of this got there.
            self.ragged = true;
            if let Some(open) = self.open.take() {
                let _ = open.file.set_len(self.length);
            }
        }
        done
    }

    fn try_write(&mut self, written: &Written) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(usize::try_from(written.bytes()).unwrap_or_default());
        for line in &written.lines {
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        if written.rotate {
            if self.ragged {
                self.opened()?.file.sync_all()?;
            }
            let part = Part::new(&self.path, written.first);
            let file = writing().open(&part.path)?;
            // A former try may have left its beginning there.
            file.set_len(0)?;
            file.write_all_at(&bytes, 0)?;
            file.sync_all()?;
            sync_folder(&self.path)?;
            let head = writing().open(self.path.join(HEAD))?;
            (self.part, self.length, self.ragged, self.open) = (part, 0, false, Some(Open { file, head }));
        } else {
            let length = self.length;
            let file = &self.opened()?.file;
            file.write_all_at(&bytes, length)?;
            file.sync_data()?;
        }
        self.length += bytes.len() as u64;
        let Some(open) = &self.open else { return Ok(()) };
        // The entries are on the disk: that the head is behind does no harm.
        let _ = Head { number: written.next - 1, sha256: written.last }.write(&open.head);
        for part in &written.prune {
            let _ = std::fs::remove_file(&part.path);
        }
        Ok(())
    }

    /// The file, whole up to where the next entry goes, and still the one that others find by its name.
    fn opened(&mut self) -> io::Result<&Open> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.reopen()?,
        };
        let (ours, found) = (open.file.metadata()?, std::fs::metadata(&self.part.path)?);
        if (ours.dev(), ours.ino()) != (found.dev(), found.ino()) {
            return Err(io::Error::other(format!("{} is another file than before", self.part.path.display())));
        }
        if self.ragged && found.len() > self.length {
            open.file.set_len(self.length)?;
        } else if found.len() != self.length {
            let (name, found, length) = (self.part.name(), found.len(), self.length);
            return Err(io::Error::other(format!("{name} has {found} bytes, not the {length} that were written")));
        }
        self.ragged = false;
        Ok(self.open.insert(open))
    }

    fn reopen(&self) -> io::Result<Open> {
        let is_new = self.length == 0;
        let file = match writing().create(is_new).open(&self.part.path) {
            Ok(file) => file,
            Err(error) => {
                return Err(io::Error::new(error.kind(), format!("{}: {error}", self.part.path.display())));
            }
        };
        let head = writing().open(self.path.join(HEAD))?;
        if is_new {
            sync_folder(&self.path)?;
        }
        Ok(Open { file, head })
    }
}

/// The last entry of a file, and its hash.
fn last_of(part: &Part) -> Option<Pruned> {
    let mut lines = part.lines().ok()?;
    let mut last = None;
    while let Some(line) = lines.next().ok()? {
        last = Some(line);
    }
    let last = last?;
    let entry: Entry = serde_json::from_slice(&last).ok()?;
    Some(Pruned { through: entry.number, sha256: Digest::of(&last) })
}
