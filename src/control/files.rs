//! The files in use, read whole.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::config::{self, Errors, Loaded, Source};

/// Longest file that is read, in bytes.
const MAX_BYTES: u64 = config::MAX_BYTES as u64;

/// The SHA-256 of a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file cannot be read.
    #[error("{path}: cannot be read: {source}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The files say something wrong.
    #[error("{0}")]
    Invalid(#[from] Errors),
}

/// One file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path as the operator named it.
    pub path: PathBuf,
    /// Its content.
    pub bytes: Vec<u8>,
    /// The hash of its content.
    pub hash: Hash,
}

impl File {
    fn read(path: &Path) -> Result<Self, FilesError> {
        let unreadable = |source| FilesError::Unreadable { path: path.to_owned(), source };
        let length = std::fs::metadata(path).map_err(unreadable)?.len();
        if length > MAX_BYTES {
            return Err(unreadable(io::Error::other(format!("it has {length} bytes; at most {MAX_BYTES} are read"))));
        }
        let bytes = std::fs::read(path).map_err(unreadable)?;
        Ok(Self { path: path.to_owned(), hash: Hash::of(&bytes), bytes })
    }

    /// The file's name as messages show it.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The file's name without its folder, as figures show it.
    #[must_use]
    pub fn short_name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

    fn text(&self) -> Result<&str, Errors> {
        config::text(&self.name(), &self.bytes)
    }

    /// The weight file that this `serin.yaml` names, as far as that can be told.
    fn weights_path(&self) -> Option<PathBuf> {
        let named = config::weights_path(Source { name: &self.name(), text: self.text().ok()? })?;
        Some(beside(&self.path, &named))
    }
}

/// The files of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// `serin.yaml`.
    pub serin: File,
    /// The weight file, where `serin.yaml` names one.
    pub weights: Option<File>,
}

impl Files {
    /// Reads `serin.yaml` at `path` and the weight file it names, or `weights` in its place.
    ///
    /// # Errors
    /// [`FilesError`] where a file cannot be read or says something wrong.
    pub fn read(path: &Path, weights: Option<&Path>) -> Result<(Self, Loaded), FilesError> {
        Self::load(File::read(path)?, weights)
    }

    /// The accepted `serin.yaml` with the weight file as it is now, where that is another than the accepted one and right.
    pub(super) fn with_newer_weights(&self) -> Option<(Self, Loaded)> {
        let known = self.weights.as_ref()?;
        let newer = File::read(&known.path).ok().filter(|file| file.hash != known.hash)?;
        Self::load(self.serin.clone(), Some(&newer.path)).ok()
    }

    fn load(serin: File, weights: Option<&Path>) -> Result<(Self, Loaded), FilesError> {
        let (name, text) = (serin.name(), serin.text()?);
        let source = Source { name: &name, text };
        // Found even where the rest is wrong, so that the errors of both files are reported together.
        let weights =
            weights.map(Path::to_owned).or_else(|| serin.weights_path()).map(|file| File::read(&file)).transpose()?;
        let weights_name = weights.as_ref().map(File::name).unwrap_or_default();
        let weights_source = match &weights {
            Some(file) => Some(Source { name: &weights_name, text: file.text()? }),
            None => None,
        };
        let loaded = config::load(source, weights_source)?.at(SystemTime::now())?;
        Ok((Self { serin, weights }, loaded))
    }

    /// What is at the paths in use now, whether or not it makes sense. A `serin.yaml` that differs from this one may name
    /// another weight file: then that is the one in use. Cheap enough to be asked again and again.
    pub(super) fn seen_now(&self) -> Seen {
        let known = || self.weights.as_ref().map(|file| file.path.clone());
        let serin = File::read(&self.serin.path).ok();
        let weights = match &serin {
            Some(serin) if serin.hash != self.serin.hash => serin.weights_path().or_else(known),
            _ => known(),
        };
        Seen {
            serin: serin.map(|file| file.hash),
            weights: weights.map(|path| (File::read(&path).ok().map(|file| file.hash), path)),
        }
    }

    /// What was seen when these were read.
    pub(super) fn seen(&self) -> Seen {
        Seen {
            serin: Some(self.serin.hash),
            weights: self.weights.as_ref().map(|file| (Some(file.hash), file.path.clone())),
        }
    }

    /// `serin.yaml` and the weight file, where there is one.
    pub(super) fn each(&self) -> [Option<&File>; 2] {
        [Some(&self.serin), self.weights.as_ref()]
    }

    /// The paths in use.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.each().into_iter().flatten().map(|file| &*file.path)
    }
}

/// What was at the paths in use at one moment; a file that cannot be read has no hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    serin: Option<Hash>,
    weights: Option<(Option<Hash>, PathBuf)>,
}

impl Seen {
    /// Which of `serin.yaml` and the weight file differ.
    pub(super) fn differs_from(&self, other: &Self) -> [bool; 2] {
        [self.serin != other.serin, self.weights != other.weights]
    }

    /// The weight file that was looked at.
    pub(super) fn weights_path(&self) -> Option<&Path> {
        self.weights.as_ref().map(|(_, path)| &**path)
    }
}

/// A path that a configuration file names, seen from that file's folder.
#[must_use]
pub fn beside(file: &Path, named: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(named)
}
