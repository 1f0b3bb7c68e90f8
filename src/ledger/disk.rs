//! The folder as it is written to: whole lines at the end, on the disk before anybody hears of it.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use super::append::Written;
use super::files::{HEAD, Head, Part};
use super::folder::{Lock, Settings, sync_folder, writing};
use super::{Digest, Entry, Pruned};

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

impl Folder {
    pub(super) fn is_full(&self, more: u64) -> bool {
        self.length > 0 && self.length + more > self.settings.max_file_size
    }

    /// Files that are too many once another is begun, and what is to be said of them.
    pub(super) fn to_prune(&self) -> (Vec<Part>, Option<Pruned>) {
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

    pub(super) fn write(&mut self, written: &Written) -> io::Result<()> {
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
