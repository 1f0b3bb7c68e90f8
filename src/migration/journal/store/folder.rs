//! Databases in a folder.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;

use super::Disk;

/// The journal's file in the folder of the state.
pub(in crate::migration::journal) const NAME: &str = "journal.redb";
const FRESH: &str = "journal.redb.new";

/// A folder with a database.
#[derive(Debug)]
pub(in crate::migration::journal) struct Folder(PathBuf);

impl Folder {
    pub(in crate::migration::journal) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    fn open(&self, name: &str, empty: bool) -> io::Result<FileBackend> {
        // Writes carry what clients sent, credentials included: nobody else may read them.
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(empty).mode(0o600).open(self.0.join(name))?;
        FileBackend::new(file).map_err(|error| io::Error::other(error.to_string()))
    }
}

impl Disk for Folder {
    type Bytes = FileBackend;

    fn current(&self) -> io::Result<FileBackend> {
        let bytes = self.open(NAME, false)?;
        File::open(&self.0)?.sync_all()?;
        Ok(bytes)
    }

    fn fresh(&self) -> io::Result<FileBackend> {
        self.open(FRESH, true)
    }

    fn install(&self) -> io::Result<()> {
        std::fs::rename(self.0.join(FRESH), self.0.join(NAME))?;
        File::open(&self.0)?.sync_all()
    }
}
