//! Whether a ledger is what was written.

use std::fmt;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files::{Head, Lines, Part};
use super::{Digest, Entry, ReadError, What};

/// What a look at all entries found where nothing is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Entries that were looked at.
    pub entries: u64,
    /// Files they are in.
    pub files: usize,
    /// The number of the first; above 1 where older ones were pruned. 0: there are none.
    pub first: u64,
    /// The number of the last.
    pub last: u64,
    /// The hash of the last: keep it elsewhere to know later that nothing before it was written anew.
    pub sha256: Digest,
    /// What is worth knowing all the same.
    pub notes: Vec<String>,
}

/// Where a ledger is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Break {
    /// The file; empty for a ledger in memory.
    pub file: String,
    /// The line in it, from 1; 0: the file as a whole.
    pub line: u64,
    /// The entry that is, or was to be, there.
    pub number: u64,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, number, problem } = self;
        match line {
            0 => write!(f, "{file}: entry {number}: {problem}"),
            line => write!(f, "{file}:{line}: entry {number}: {problem}"),
        }
    }
}

/// Looks at every entry in `folder`. `on_file` is told the name of each file before it is read.
pub(super) fn folder(folder: &Path, mut on_file: impl FnMut(&str)) -> Result<Result<Verified, Break>, ReadError> {
    let failed = |error| ReadError::system(folder, error);
    // First, so that entries written meanwhile are beyond it.
    let head = match Head::read(folder) {
        Ok(head) => head,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            let problem = format!("it makes no sense: {error}");
            return Ok(Err(Break { file: "ledger.head".to_owned(), line: 0, number: 0, problem }));
        }
        Err(error) => return Err(failed(error)),
    };
    let parts = Part::all(folder).map_err(failed)?;
    if parts.is_empty() && head.is_none() {
        return Err(ReadError::NoLedger(folder.to_owned()));
    }
    let mut chain = Chain { head, ..Chain::default() };
    for part in &parts {
        on_file(&part.name());
        let mut lines = part.lines().map_err(|error| ReadError::system(&part.path, error))?;
        match chain.file(part, &mut lines) {
            Ok(Ok(())) => {}
            Ok(Err(broken)) => return Ok(Err(broken)),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let number = chain.expected(part.first);
                return Ok(Err(Break { file: part.name(), line: chain.line + 1, number, problem: error.to_string() }));
            }
            Err(error) => return Err(ReadError::system(&part.path, error)),
        }
    }
    Ok(chain.finish(parts.len()))
}

/// Looks at every entry of a ledger in memory.
pub(super) fn memory(lines: &[impl AsRef<[u8]>]) -> Result<Verified, Break> {
    let mut chain = Chain::default();
    for line in lines {
        chain.take("", line.as_ref(), 1)?;
    }
    if chain.first > 1 {
        chain.notes.push(format!("in memory: entries before {} were let go", chain.first));
        chain.pruned = None;
        chain.first_before = None;
    }
    chain.finish(0)
}

/// The chain as far as it was followed.
#[derive(Default)]
struct Chain {
    head: Option<Head>,
    first: u64,
    /// What the first entry says of the one before it, where that is not there.
    first_before: Option<Digest>,
    entries: u64,
    /// The last entry, with its place.
    last: Option<(Head, String, u64)>,
    /// What is said to have been removed: the furthest, and all that are said.
    pruned: Option<u64>,
    pruned_hashes: Vec<(u64, Digest)>,
    /// Entries that wait for the last of those that take effect with them.
    with: Option<u64>,
    /// Lines of the present file so far.
    line: u64,
    notes: Vec<String>,
}

impl Chain {
    fn expected(&self, first: u64) -> u64 {
        self.last.as_ref().map_or(first, |(last, ..)| last.number + 1)
    }

    fn file<R: io::BufRead>(&mut self, part: &Part, lines: &mut Lines<R>) -> io::Result<Result<(), Break>> {
        let name = part.name();
        self.line = 0;
        let expected = self.expected(part.first);
        if expected != part.first {
            let problem = if part.first > expected {
                format!("entries {expected} to {} are gone", part.first - 1)
            } else {
                "its name says that it begins with an entry that another file has".to_owned()
            };
            return Ok(Err(Break { file: name, line: 0, number: part.first.min(expected), problem }));
        }
        while let Some(text) = lines.next()? {
            if let Err(broken) = self.take(&name, &text, part.first) {
                return Ok(Err(broken));
            }
        }
        if lines.tail() > 0 {
            let number = self.expected(part.first);
            let (tail, line) = (lines.tail(), self.line + 1);
            if self.head.is_some_and(|head| head.number >= number) {
                let problem = format!("it was cut: {tail} bytes and no line end, and ledger.head knows it whole");
                return Ok(Err(Break { file: name, line, number, problem }));
            }
            self.notes.push(format!(
                "{name}: {tail} bytes after the last entry are being written, or were torn by a crash; then the next start \
                 cuts them off"
            ));
        }
        Ok(Ok(()))
    }

    fn take(&mut self, file: &str, text: &[u8], first: u64) -> Result<(), Break> {
        self.line += 1;
        let expected = if self.last.is_none() && file.is_empty() { None } else { Some(self.expected(first)) };
        let broken =
            |number: u64, line: u64, problem: String| Err(Break { file: file.to_owned(), line, number, problem });
        let at = expected.unwrap_or(first);
        let entry: Entry = match serde_json::from_slice(text) {
            Ok(entry) => entry,
            Err(error) => return broken(at, self.line, format!("it is no entry: {error}")),
        };
        if let Some(expected) = expected.filter(|expected| *expected != entry.number) {
            return broken(expected, self.line, format!("its number is {}", entry.number));
        }
        match &self.last {
            Some((last, file, line)) if entry.before != last.sha256 => {
                let (number, sha256, before) = (last.number, last.sha256, entry.before);
                let problem = format!(
                    "its SHA-256 is {sha256}, and the entry after it follows {before}: one of the two was changed"
                );
                return Err(Break { file: file.clone(), line: *line, number, problem });
            }
            None if entry.number == 1 && entry.before != Digest::NONE => {
                return broken(1, self.line, "it follows another entry, but it is the first".to_owned());
            }
            None => {
                self.first = entry.number;
                self.first_before = (entry.number > 1).then_some(entry.before);
            }
            Some(_) => {}
        }
        if let Some(with) = self.with
            && entry.with != Some(with)
        {
            let problem = format!("entry {with}, with which those before take effect, is missing");
            return broken(entry.number, self.line, problem);
        }
        self.with = entry.with.filter(|with| *with > entry.number);
        if let What::Rotated { pruned: Some(pruned), .. } = &entry.draft.what {
            self.pruned = self.pruned.max(Some(pruned.through));
            self.pruned_hashes.push((pruned.through, pruned.sha256));
        }
        let sha256 = Digest::of(text);
        if let Some(head) = self.head.filter(|head| head.number == entry.number && head.sha256 != sha256) {
            let problem = format!("it is not what ledger.head has: its SHA-256 is {sha256}, not {}", head.sha256);
            return broken(entry.number, self.line, problem);
        }
        self.entries += 1;
        self.last = Some((Head { number: entry.number, sha256 }, file.to_owned(), self.line));
        Ok(())
    }

    fn finish(mut self, files: usize) -> Result<Verified, Break> {
        let last = self.last.as_ref().map_or(0, |(last, ..)| last.number);
        let file = self.last.as_ref().map_or_else(String::new, |(_, file, _)| file.clone());
        if let Some(head) = self.head.filter(|head| head.number > last) {
            let problem = format!("entries {} to {} are gone from the end, by ledger.head", last + 1, head.number);
            return Err(Break { file, line: 0, number: last + 1, problem });
        }
        if let Some(before) = self.first_before {
            let missing = self.first - 1;
            let stated = self.pruned.is_some_and(|through| through >= missing);
            let hash = self.pruned_hashes.iter().find(|(through, _)| *through == missing);
            if !stated || hash.is_some_and(|(_, hash)| *hash != before) {
                let problem = format!("entries 1 to {missing} are gone, and no entry says that they were pruned");
                return Err(Break { file, line: 0, number: 1, problem });
            }
            self.notes.push(format!("entries 1 to {missing} were pruned, as the ledger says"));
        }
        if let Some(with) = self.with {
            self.notes.push(format!(
                "the last entries take effect only with entry {with}, which is being written, or was torn by a crash; then the \
                 next start cuts them off"
            ));
        }
        if self.head.is_none() && files > 0 {
            self.notes.push("there is no ledger.head: entries removed from the end would not be seen".to_owned());
        }
        let sha256 = self.last.map_or(Digest::NONE, |(last, ..)| last.sha256);
        Ok(Verified { entries: self.entries, files, first: self.first, last, sha256, notes: self.notes })
    }
}
