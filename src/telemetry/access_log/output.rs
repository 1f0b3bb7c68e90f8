//! What lines are written to.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Target;

/// Something to write to that can be opened again.
pub(super) trait Output: Write + Send {
    /// Opens it again under its name; the old one stays in use where that fails.
    fn reopen(&mut self) -> io::Result<()>;
}

/// Opens the target.
pub(super) fn open(target: Target) -> io::Result<Box<dyn Output>> {
    Ok(match target {
        Target::Stdout => Box::new(Stdout),
        Target::File(path) => Box::new(LogFile { file: append_to(&path)?, path }),
    })
}

/// Standard output, shared with whatever else writes there, a batch of whole lines at a time.
struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

impl Output for Stdout {
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct LogFile {
    file: File,
    path: PathBuf,
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Output for LogFile {
    fn reopen(&mut self) -> io::Result<()> {
        self.file = append_to(&self.path)?;
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}
