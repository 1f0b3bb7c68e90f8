//! The files of a ledger: their names, their lines, the head.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Digest;
use super::bounds::MAX_LINE;

/// The file that knows the last entry.
pub(super) const HEAD: &str = "ledger.head";
/// Bytes of that file, always: it is overwritten in place, which needs no room on the disk.
const HEAD_BYTES: usize = 128;

/// One of the files with entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// The number of its first entry, by its name.
    pub(super) first: u64,
    pub(super) path: PathBuf,
}

impl Part {
    /// The file in `folder` whose first entry has this number.
    pub(super) fn new(folder: &Path, first: u64) -> Self {
        Self { first, path: folder.join(format!("ledger-{first:012}.jsonl")) }
    }

    /// All that are in `folder`, in their order.
    pub(super) fn all(folder: &Path) -> io::Result<Vec<Self>> {
        let mut parts = Vec::new();
        for file in std::fs::read_dir(folder)? {
            let name = file?.file_name();
            let first = name.to_str().and_then(|name| name.strip_prefix("ledger-")?.strip_suffix(".jsonl"));
            let first = first.filter(|digits| digits.len() >= 12 && digits.bytes().all(|byte| byte.is_ascii_digit()));
            if let Some(first) = first.and_then(|digits| digits.parse().ok()) {
                parts.push(Self::new(folder, first));
            }
        }
        parts.sort_by_key(|part| part.first);
        Ok(parts)
    }

    /// The name alone.
    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    pub(super) fn lines(&self) -> io::Result<Lines<BufReader<File>>> {
        Ok(Lines { from: BufReader::with_capacity(64 * 1024, File::open(&self.path)?), tail: 0 })
    }
}

/// The lines of a file that have their end. What comes after the last of them is its tail.
pub(super) struct Lines<R> {
    from: R,
    tail: usize,
}

impl<R: BufRead> Lines<R> {
    /// The next line without its end. `None`: there is no other.
    ///
    /// # Errors
    /// What the system says, or a line that is longer than any may be.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let most = MAX_LINE as u64 + 1;
        self.from.by_ref().take(most).read_until(b'\n', &mut line)?;
        if line.last() == Some(&b'\n') {
            line.pop();
            return Ok(Some(line));
        }
        if line.len() > MAX_LINE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a line of more than {MAX_LINE} bytes")));
        }
        self.tail = line.len();
        Ok(None)
    }

    /// Bytes after the last line, once there is no other.
    pub(super) fn tail(&self) -> usize {
        self.tail
    }
}

/// The last entry as `ledger.head` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) number: u64,
    pub(super) sha256: Digest,
}

impl Head {
    /// That of `folder`. `None`: there is none.
    ///
    /// # Errors
    /// What the system says, or that it makes no sense.
    pub(super) fn read(folder: &Path) -> io::Result<Option<Self>> {
        let mut text = String::new();
        match File::open(folder.join(HEAD)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
            Ok(file) => file.take(HEAD_BYTES as u64 + 1).read_to_string(&mut text)?,
        };
        if text.is_empty() {
            // Its first writing did not reach the disk before the power went.
            return Ok(None);
        }
        serde_json::from_str(&text).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Overwrites it in `file`. Not synced: it is never ahead of the entries, and being behind does no harm.
    pub(super) fn write(self, file: &File) -> io::Result<()> {
        // Invariant: a number and a hash are JSON.
        let mut text = serde_json::to_vec(&self).unwrap_or_default();
        text.resize(HEAD_BYTES - 1, b' ');
        text.push(b'\n');
        file.write_all_at(&text, 0)
    }
}
