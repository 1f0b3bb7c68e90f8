//! The files in use, read whole.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::certificates::{Certificates, Stale, hash_now};
use super::force::InForce;
use crate::config::{self, Errors, Loaded, Source};
use crate::ledger::{self, Digest as Digest256};

/// Longest file that is read, in bytes.
const MAX_BYTES: u64 = config::MAX_BYTES as u64;

/// The SHA-256 of a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl From<Hash> for Digest256 {
    fn from(hash: Hash) -> Self {
        Self::from(hash.0)
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

    /// Where the files of certificates and tokens are that this `serin.yaml` names, as far as that can be told.
    fn tls_paths(&self) -> Vec<PathBuf> {
        let Ok(text) = self.text() else { return Vec::new() };
        let named = config::tls_paths(Source { name: &self.name(), text });
        named.into_iter().map(|path| beside(&self.path, &path)).collect()
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
    /// The files of certificates, keys, CAs and tokens that `serin.yaml` names.
    pub(super) certificates: Certificates,
}

impl Files {
    /// Reads `serin.yaml` at `path` and the files it names: `weights`, or its own weight file, and those of certificates.
    ///
    /// # Errors
    /// [`FilesError`] where a file cannot be read or says something wrong.
    pub fn read(path: &Path, weights: Option<&Path>) -> Result<(Self, Loaded), FilesError> {
        let serin = File::read(path)?;
        Self::read_with(serin, weights, None)
    }

    /// The same while something is in force: certificates that cannot be used now stay what they are there.
    ///
    /// # Errors
    /// [`FilesError`] where a file cannot be read or says something wrong.
    pub(super) fn read_again(path: &Path, in_force: &InForce) -> Result<(Self, Loaded), FilesError> {
        Self::read_with(File::read(path)?, None, Some(in_force))
    }

    fn read_with(
        serin: File,
        weights: Option<&Path>,
        in_force: Option<&InForce>,
    ) -> Result<(Self, Loaded), FilesError> {
        serin.text()?;
        // Found even where the rest is wrong, so that the errors of both files are reported together.
        let weights = weights.map(Path::to_owned).or_else(|| serin.weights_path());
        let weights = weights.map(|file| File::read(&file)).transpose()?;
        Self::load(serin, weights, in_force)
    }

    /// The accepted `serin.yaml` with the other files as they are now, as far as they are right and something is new: a
    /// weight file may be the way back, and a certificate must not run out because of a wrong word elsewhere.
    pub(super) fn despite_errors(&self, in_force: &InForce) -> Option<(Self, Loaded)> {
        // One that cannot be read is not one that is not named.
        let newer = self.weights.as_ref().and_then(|known| File::read(&known.path).ok()).map(Some);
        newer
            .into_iter()
            .chain([self.weights.clone()])
            .filter_map(|weights| Self::load(self.serin.clone(), weights, Some(in_force)).ok())
            .find(|(files, _)| files.seen() != self.seen())
    }

    /// Certificates that cannot be used, so that what was in force before stays.
    pub(super) fn stale(&self) -> &[Stale] {
        &self.certificates.stale
    }

    /// Whether there is anything that was not in `before` and can be used.
    pub(super) fn has_usable_news(&self, before: &Self) -> bool {
        let other = |one: Option<&File>, other: Option<&File>| one.map(|file| file.hash) != other.map(|file| file.hash);
        let certificates = self.certificates.changed_since(&before.certificates);
        other(Some(&self.serin), Some(&before.serin))
            || other(self.weights.as_ref(), before.weights.as_ref())
            || certificates.into_iter().any(|path| !self.certificates.is_stale(path))
    }

    fn load(serin: File, weights: Option<File>, in_force: Option<&InForce>) -> Result<(Self, Loaded), FilesError> {
        let (name, text) = (serin.name(), serin.text()?);
        let source = Source { name: &name, text };
        let weights_name = weights.as_ref().map(File::name).unwrap_or_default();
        let weights_source = match &weights {
            Some(file) => Some(Source { name: &weights_name, text: file.text()? }),
            None => None,
        };
        let mut loaded = config::load(source, weights_source)?.at(SystemTime::now())?;
        let certificates = Certificates::read(&mut loaded, &serin.path, in_force)?;
        Ok((Self { serin, weights, certificates }, loaded))
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
        let mut certificates = self.certificates.seen_now();
        if let Some(other) = serin.as_ref().filter(|serin| serin.hash != self.serin.hash) {
            // Those it names may be what it waits for.
            certificates.extend(other.tls_paths().into_iter().map(|place| (place.clone(), hash_now(&place))));
        }
        Seen {
            serin: serin.map(|file| file.hash),
            weights: weights.map(|path| (File::read(&path).ok().map(|file| file.hash), path)),
            certificates,
        }
    }

    /// What was seen when these were read.
    pub(super) fn seen(&self) -> Seen {
        Seen {
            serin: Some(self.serin.hash),
            weights: self.weights.as_ref().map(|file| (Some(file.hash), file.path.clone())),
            certificates: self.certificates.seen(),
        }
    }

    /// The names of those that differ from what they were in `before`; of all where none does.
    pub(super) fn changed_names(&self, before: &Self) -> String {
        let known = |file: &File| before.each().into_iter().flatten().any(|known| known == file);
        let own = self.each().into_iter().flatten().filter(|file| !known(file)).map(File::short_name);
        let certificates = self.certificates.changed_since(&before.certificates);
        let others = certificates.into_iter().map(|path| path.display().to_string());
        let names: Vec<String> = own.chain(others).collect();
        if names.is_empty() { super::record::names(self) } else { ledger::clip(&names.join(", "), 200) }
    }

    /// By name: the hashes of the files in force.
    pub(super) fn hashes(&self) -> BTreeMap<String, Digest256> {
        let own = self.each().into_iter().flatten().map(|file| (file.short_name(), file.hash.into()));
        let usable = self.certificates.seen.iter().filter(|(path, _)| !self.certificates.is_stale(path));
        let others = usable.filter_map(|(path, (_, hash))| Some((path.display().to_string(), (*hash)?.into())));
        own.chain(others).collect()
    }

    /// `serin.yaml` and the weight file, where there is one.
    pub(super) fn each(&self) -> [Option<&File>; 2] {
        [Some(&self.serin), self.weights.as_ref()]
    }

    /// The paths in use.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        let own = self.each().into_iter().flatten().map(|file| &*file.path);
        own.chain(self.certificates.seen.values().map(|(place, _)| &**place))
    }
}

/// What was at the paths in use at one moment; a file that cannot be read has no hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    serin: Option<Hash>,
    weights: Option<(Option<Hash>, PathBuf)>,
    certificates: BTreeMap<PathBuf, Option<Hash>>,
}

impl Seen {
    /// Which of `serin.yaml` and the weight file differ.
    pub(super) fn differs_from(&self, other: &Self) -> [bool; 2] {
        [self.serin != other.serin, self.weights != other.weights]
    }

    /// The files but `serin.yaml` that were looked at.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        let weights = self.weights.as_ref().map(|(_, path)| &**path);
        weights.into_iter().chain(self.certificates.keys().map(PathBuf::as_path))
    }
}

/// A path that a configuration file names, seen from that file's folder.
#[must_use]
pub fn beside(file: &Path, named: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(named)
}
