//! Finding out where a ledger ends, whatever happened to it since.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::append::Store;
use super::disk::Folder;
use super::files::{Head, Part};
use super::folder::Lock;
use super::{Digest, Draft, Entry, Ledger, OpenError, Settings, State, Time, clip};

impl Ledger {
    /// The ledger in `folder`, which is made where it is missing and then belongs to this process alone.
    ///
    /// What a crash left behind the last whole entry is cut off by the first writing; entries that take effect together count only if
    /// all are there. That, and whatever else is found wrong in the last file, is written down as notes with the first
    /// entry. A ledger that is there and cannot be written opens all the same, in trouble.
    ///
    /// # Errors
    /// [`OpenError`] where another process has the folder, or it cannot be made or read, or nothing can be written into an empty one.
    pub fn open(folder: &Path, settings: Settings, now: SystemTime) -> Result<Self, OpenError> {
        let lock = Lock::take(folder)?;
        let parts = Part::all(folder).map_err(OpenError::system(folder, "cannot be read"))?;
        let mut notes = Vec::new();
        let head = Head::read(folder).unwrap_or_else(|error| {
            notes.push(format!("ledger.head makes no sense: {error}"));
            None
        });
        let ending = Ending::find(&parts, head)?;
        notes.extend(ending.notes);
        let next = ending.last.map_or(1, |last| last.number + 1);
        let part = match (&ending.part, next) {
            (Some(part), _) => part.clone(),
            (None, next) => Part::new(folder, next),
        };
        let path = folder.to_owned();
        let length = ending.length;
        let folder = Folder { path, settings, part, length, ragged: true, open: None, _lock: lock };
        let mut ledger = Self {
            store: Store::Folder(folder),
            next,
            last: ending.last.map_or(Digest::NONE, |last| last.sha256),
            state: ending.state,
            waiting: VecDeque::new(),
            dropped: 0,
            trouble: None,
            listener: None,
        };
        ledger.probe(Time::from(now))?;
        if !notes.is_empty() {
            ledger.append_later(now, notes.iter().map(|note| Draft::note(clip(note, 4000))).collect());
        }
        Ok(ledger)
    }

    /// Whether the file can be opened for writing: then trouble is known before the first change asks.
    fn probe(&mut self, now: Time) -> Result<(), OpenError> {
        let is_new = self.is_new();
        let Store::Folder(folder) = &mut self.store else { return Ok(()) };
        if let Err(error) = folder.open_file() {
            if is_new {
                return Err(OpenError::system(&folder.path, "cannot be written")(error));
            }
            self.trouble = Some((now, error.to_string()));
        }
        Ok(())
    }
}

/// Where a ledger ends.
struct Ending {
    last: Option<Head>,
    state: State,
    /// The file to go on with; `None`: one for the next entry.
    part: Option<Part>,
    /// Bytes of it that are entries.
    length: u64,
    notes: Vec<String>,
}

impl Ending {
    fn find(parts: &[Part], head: Option<Head>) -> Result<Self, OpenError> {
        let mut notes = Vec::new();
        for part in parts.iter().rev() {
            let mut tail = Tail::default();
            tail.read(part).map_err(OpenError::system(&part.path, "cannot be read"))?;
            tail.cut(head, part, &mut notes);
            if let Some(last) = tail.last() {
                if let Some(head) = head.filter(|head| head.number > last.number) {
                    let (from, through) = (last.number + 1, head.number);
                    notes.push(format!(
                        "entries {from} to {through} are gone from the end: ledger.head knows {through}"
                    ));
                }
                let length = tail.lines.iter().map(|line| line.bytes).sum();
                // Behind it there may be a file without any entry, which begins with the next number: that one is gone on with.
                let next = parts.iter().rfind(|other| other.first == last.number + 1);
                let (part, length) = next.map_or((part, length), |next| (next, 0));
                return Ok(Self { last: Some(last), state: tail.state(), part: Some(part.clone()), length, notes });
            }
        }
        Ok(Self { last: None, state: State::default(), part: None, length: 0, notes })
    }
}

/// The lines of one file, as far as they matter for what comes next.
#[derive(Default)]
struct Tail {
    lines: Vec<Line>,
    /// What is wrong before the end, as far as that can be told.
    broken: Option<String>,
    /// Bytes after the last line end.
    torn: usize,
}

struct Line {
    number: u64,
    sha256: Digest,
    bytes: u64,
    /// `None`: it is no entry.
    entry: Option<Entry>,
}

impl Tail {
    fn read(&mut self, part: &Part) -> io::Result<()> {
        let mut lines = part.lines()?;
        while let Some(text) = lines.next()? {
            let entry: Option<Entry> = serde_json::from_slice(&text).ok();
            let expected = self.lines.last().map_or(part.first, |last| last.number + 1);
            let number = entry.as_ref().map_or(expected, |entry| entry.number);
            let chained = self.lines.last().is_none_or(|last| entry.as_ref().is_some_and(|e| e.before == last.sha256));
            if (number != expected || !chained || entry.is_none()) && self.broken.is_none() {
                let name = part.name();
                self.broken =
                    Some(format!("the chain is broken at entry {expected} (line {} of {name})", self.lines.len() + 1));
            }
            self.lines.push(Line { number, sha256: Digest::of(&text), bytes: text.len() as u64 + 1, entry });
        }
        self.torn = lines.tail();
        Ok(())
    }

    /// Leaves out what was never acknowledged: a line without its end, one that reached the disk in part, entries of
    /// which those that take effect with them are missing. `head` tells these from what was changed afterwards.
    fn cut(&mut self, head: Option<Head>, part: &Part, notes: &mut Vec<String>) {
        let acknowledged = |number: u64| head.is_some_and(|head| head.number >= number);
        if self.torn > 0 {
            let (torn, name) = (self.torn, part.name());
            notes.push(format!("the last line of {name} was torn: {torn} bytes after the last entry were cut off"));
        }
        if let Some(last) = self.lines.pop_if(|last| last.entry.is_none() && !acknowledged(last.number)) {
            let (bytes, name) = (last.bytes, part.name());
            notes.push(format!("the last line of {name} was torn: {bytes} bytes that are no entry were cut off"));
            if self.lines.iter().all(|line| line.entry.is_some()) {
                self.broken = None;
            }
        }
        let together = self.lines.last().and_then(|last| Some((last.number, last.entry.as_ref()?.with?)));
        if let Some((last, with)) = together
            && with > last
            && !acknowledged(last)
        {
            let belongs = |line: &Line| line.entry.as_ref().is_some_and(|entry| entry.with == Some(with));
            while self.lines.last().is_some_and(belongs) {
                self.lines.pop();
            }
            let first = self.lines.last().map_or(part.first, |last| last.number + 1);
            notes.push(format!(
                "entries {first} to {last} were cut off: they were to take effect together with entry {with}, which was not \
                 written"
            ));
        }
        notes.extend(self.broken.take().filter(|_| !self.lines.is_empty()));
    }

    fn last(&self) -> Option<Head> {
        self.lines.last().map(|last| Head { number: last.number, sha256: last.sha256 })
    }

    /// What is in force by these entries. The first of a file holds all that was so before.
    fn state(&self) -> State {
        let mut state = State::default();
        for entry in self.lines.iter().filter_map(|line| line.entry.as_ref()) {
            state.take(entry);
        }
        state
    }
}
