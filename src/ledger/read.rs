//! Reading the ledger while, or after, somebody writes it.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::files::Part;
use super::memory::Memory;
use super::{Break, Verified, verify};

/// Most entries that are given at a time.
pub const MAX_PAGE: usize = 1000;
/// Most bytes of entries that are given at a time, but for the last of them.
const MAX_BYTES: usize = 8 << 20;

/// Reads a ledger. What it gives are the lines as they are written, byte for byte.
#[derive(Debug, Clone)]
pub struct Reader(From);

#[derive(Debug, Clone)]
enum From {
    Memory(Memory),
    Folder(PathBuf),
}

/// Which entries are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Only those that concern this service.
    pub service: Option<String>,
    /// Only those that belong to this rollout.
    pub rollout: Option<u64>,
    /// Those with a greater number, the first of them first. `None`: the last there are.
    pub after: Option<u64>,
    /// Most of them; at most [`MAX_PAGE`].
    pub limit: usize,
}

/// Entries in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The lines without their ends.
    pub lines: Vec<String>,
    /// What to ask for next with `after`; `None`: there are no more now.
    pub next: Option<u64>,
}

/// Why a ledger cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is none.
    #[error("there is no ledger in {path}", path = .0.display())]
    NoLedger(PathBuf),
    /// The system does not let it be read.
    #[error("{path}: cannot be read: {source}", path = .path.display())]
    System {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ReadError {
    pub(super) fn system(path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::NotFound {
            return Self::NoLedger(path.to_owned());
        }
        Self::System { path: path.to_owned(), source }
    }
}

/// As much of an entry as it takes to find it.
#[derive(Deserialize)]
struct Found {
    number: u64,
    #[serde(default)]
    service: Option<String>,
    #[serde(default)]
    rollout: Option<u64>,
}

impl Query {
    fn wants(&self, found: &Found) -> bool {
        self.service.as_ref().is_none_or(|service| found.service.as_ref() == Some(service))
            && self.rollout.is_none_or(|rollout| found.rollout == Some(rollout))
    }
}

impl Reader {
    pub(super) fn of_memory(memory: Memory) -> Self {
        Self(From::Memory(memory))
    }

    /// Reads what is in this folder, whoever writes it.
    #[must_use]
    pub fn of_folder(folder: PathBuf) -> Self {
        Self(From::Folder(folder))
    }

    /// The entries asked for. Lines that are no entries are passed over: [`Reader::verify`] is who speaks of them. May take as
    /// long as it takes to read all files.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn page(&self, query: &Query) -> Result<Page, ReadError> {
        let limit = query.limit.clamp(1, MAX_PAGE);
        match query.after {
            Some(after) => self.after(after, query, limit),
            None => self.latest(query, limit),
        }
    }

    /// The entry with this number, as it is written.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn entry(&self, number: u64) -> Result<Option<String>, ReadError> {
        let Some(after) = number.checked_sub(1) else { return Ok(None) };
        let page = self.after(after, &Query::default(), 1)?;
        // The next that there is may be a later one.
        let is_it = |line: &String| serde_json::from_str::<Found>(line).is_ok_and(|found| found.number == number);
        Ok(page.lines.into_iter().next().filter(is_it))
    }

    /// Looks whether every entry is what was written. `on_file` is told the name of each file before it is read.
    ///
    /// # Errors
    /// [`ReadError`] where that cannot be told. Within: where it is not so.
    pub fn verify(&self, on_file: impl FnMut(&str)) -> Result<Result<Verified, Break>, ReadError> {
        match &self.0 {
            From::Memory(memory) => {
                let lines: Vec<_> = memory.lines();
                Ok(verify::memory(&lines.iter().map(|line| line.as_bytes()).collect::<Vec<_>>()))
            }
            From::Folder(folder) => verify::folder(folder, on_file),
        }
    }

    fn after(&self, after: u64, query: &Query, limit: usize) -> Result<Page, ReadError> {
        let mut page = Page::default();
        let (mut bytes, mut last) = (0, after);
        self.each(after, &mut |found, line| {
            if found.number <= after || !query.wants(found) {
                return true;
            }
            if page.lines.len() == limit || bytes > MAX_BYTES {
                page.next = Some(last);
                return false;
            }
            bytes += line.len();
            last = found.number;
            page.lines.push(line.to_owned());
            true
        })?;
        Ok(page)
    }

    fn latest(&self, query: &Query, limit: usize) -> Result<Page, ReadError> {
        let parts = match &self.0 {
            From::Memory(_) => None,
            From::Folder(folder) => Some(parts(folder)?),
        };
        let mut found: VecDeque<String> = VecDeque::new();
        // From the newest file backwards, until there are enough.
        let starts = parts.map_or_else(|| vec![0], |parts| parts.iter().rev().map(|part| part.first).collect());
        let mut before = u64::MAX;
        for first in starts {
            let (mut here, mut bytes) = (VecDeque::new(), 0);
            self.each(first.saturating_sub(1), &mut |entry, line| {
                if entry.number >= before {
                    return false;
                }
                if query.wants(entry) {
                    bytes += line.len();
                    here.push_back(line.to_owned());
                    while here.len() > limit - found.len() || (bytes > MAX_BYTES && here.len() > 1) {
                        bytes -= here.pop_front().map_or(0, |line: String| line.len());
                    }
                }
                true
            })?;
            here.append(&mut found);
            found = here;
            before = first;
            if found.len() >= limit || found.iter().map(String::len).sum::<usize>() > MAX_BYTES {
                break;
            }
        }
        Ok(Page { lines: found.into(), next: None })
    }

    /// Calls `take` with the beginning and the line of each entry of the file that has the one after `after`, and of all later
    /// files, until it says false.
    fn each(&self, after: u64, take: &mut dyn FnMut(&Found, &str) -> bool) -> Result<(), ReadError> {
        let mut one = |line: &str| {
            let Ok(found) = serde_json::from_str::<Found>(line) else { return true };
            take(&found, line)
        };
        match &self.0 {
            From::Memory(memory) => {
                let lines: Vec<Arc<str>> = memory.lines();
                let _ = lines.iter().all(|line| one(line));
            }
            From::Folder(folder) => {
                let parts = parts(folder)?;
                let begin = parts.iter().rposition(|part| part.first <= after + 1).unwrap_or(0);
                for part in &parts[begin.min(parts.len())..] {
                    let mut lines = match part.lines() {
                        // Pruned since its name was read.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                        lines => lines.map_err(|error| ReadError::system(&part.path, error))?,
                    };
                    while let Some(line) = lines.next().map_err(|error| ReadError::system(&part.path, error))? {
                        if let Ok(line) = std::str::from_utf8(&line)
                            && !one(line)
                        {
                            return Ok(());
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

fn parts(folder: &Path) -> Result<Vec<Part>, ReadError> {
    let parts = Part::all(folder).map_err(|error| ReadError::system(folder, error))?;
    if parts.is_empty() { Err(ReadError::NoLedger(folder.to_owned())) } else { Ok(parts) }
}
