//! The folder of the state, and who has it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How large a ledger grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Bytes after which another file is begun; one entry may reach beyond.
    pub max_file_size: u64,
    /// Most files; older ones are removed, which an entry says.
    pub keep: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_file_size: 4 << 20, keep: 256 }
    }
}

/// Why there is no ledger.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the folder.
    #[error("{folder} is in use by another serin{pid}", folder = .folder.display(), pid = in_brackets(.pid.as_deref()))]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The process, as far as known.
        pid: Option<String>,
    },
    /// The system does not let it be.
    #[error("{path}: {what}: {source}", path = .path.display())]
    System {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, as what came of it.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

fn in_brackets(pid: Option<&str>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

impl OpenError {
    pub(super) fn system(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::System { path, what, source }
    }
}

/// The file by which a process has a folder for itself.
const LOCK: &str = "serin.lock";
/// Bytes of a process's number, filled up with spaces: overwritten in place, which needs no room on the disk.
const PID_BYTES: usize = 12;

/// The folder for this process alone, for as long as this lives.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "closing it gives the lock back")] Option<File>);

impl Lock {
    /// Makes the folder where it is missing (mode 0700), and has it.
    pub(super) fn take(folder: &Path) -> Result<Self, OpenError> {
        let created = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        created.map_err(OpenError::system(folder, "cannot be created"))?;
        let path = folder.join(LOCK);
        let (file, writable) = match writing().open(&path) {
            Ok(file) => (file, true),
            Err(error) => match File::open(&path) {
                Ok(file) => (file, false),
                // Where nothing can be written, no other process can write either.
                Err(_) if is_read_only(&error) => return Ok(Self(None)),
                Err(_) => return Err(OpenError::system(&path, "cannot be opened")(error)),
            },
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse { folder: folder.to_owned(), pid: pid_in(&file) });
            }
            Err(TryLockError::Error(error)) => return Err(OpenError::system(&path, "cannot be locked")(error)),
        }
        if writable {
            // For whoever is refused: without it the message is shorter, and that is all.
            let _ = file.write_all_at(format!("{:<PID_BYTES$}", std::process::id()).as_bytes(), 0);
        }
        Ok(Self(Some(file)))
    }
}

fn pid_in(file: &File) -> Option<String> {
    let mut text = String::new();
    file.take(PID_BYTES as u64).read_to_string(&mut text).ok()?;
    let pid = text.trim();
    (!pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit())).then(|| pid.to_owned())
}

pub(super) fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

/// A file of this folder for writing and reading, made where it is missing (mode 0600).
pub(super) fn writing() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options
}

/// Has the disk know that a file was made in `folder` or removed from it.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
