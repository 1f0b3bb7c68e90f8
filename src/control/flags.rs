//! The flag file. It depends on no other file, so a broken one holds nothing else up, and nothing else holds it up.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::files::{FilesError, Hash, beside};
use crate::config::{self, Loaded, LoadedFlags, Source};
use crate::flags::FlagSet;

/// The flag file in use.
#[derive(Debug, Clone)]
pub struct FlagFile {
    path: PathBuf,
    /// Of the content in force.
    hash: Hash,
    /// Of what was there when it was last looked at; `None` where it could not be read.
    pub(super) seen: Option<Hash>,
}

/// The flags in force, for whoever is told of a change.
#[derive(Debug, Clone)]
pub struct FlagsInForce {
    /// The flags.
    pub set: Arc<FlagSet>,
    /// What the content of their file is known by: the same for the same content. Empty where there is no file.
    pub token: Arc<str>,
    /// Since when they are in force.
    pub since: SystemTime,
}

impl FlagsInForce {
    /// Those of `set`, in force now.
    #[must_use]
    pub fn new(set: &Arc<FlagSet>, file: Option<&FlagFile>) -> Self {
        let token = file.map(|file| file.hash.to_string()).unwrap_or_default();
        Self { set: Arc::clone(set), token: token.into(), since: SystemTime::now() }
    }
}

impl FlagFile {
    /// Reads the flag file that `loaded` names, beside `config`, and makes its flags part of the plan, and what it warns of
    /// part of the warnings. `None` where no file is named.
    ///
    /// # Errors
    /// [`FilesError`] where it cannot be read or says something wrong.
    pub fn read(loaded: &mut Loaded, config: &Path) -> Result<Option<Self>, FilesError> {
        let Some(path) = Self::place(loaded, config) else { return Ok(None) };
        let (hash, flags) = read(&path)?;
        loaded.plan.flags = Arc::new(flags.set);
        loaded.warnings.extend(flags.warnings);
        Ok(Some(Self { path, hash, seen: Some(hash) }))
    }

    /// Where the flag file is that `loaded` names.
    pub(super) fn place(loaded: &Loaded, config: &Path) -> Option<PathBuf> {
        loaded.settings.flags_file.as_ref().map(|named| beside(config, named))
    }

    /// The same file with other content in force.
    pub(super) fn with_content(&self, hash: Hash) -> Self {
        Self { path: self.path.clone(), hash, seen: Some(hash) }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The hash of the content in force.
    pub(super) fn hash(&self) -> Hash {
        self.hash
    }

    /// Whether what is there is not in force.
    pub(super) fn is_refused(&self) -> bool {
        self.seen != Some(self.hash)
    }

    /// Its name without its folder, as figures show it.
    pub(super) fn short_name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }
}

/// The flags of the file at `path`, and the hash of its content.
pub(super) fn read(path: &Path) -> Result<(Hash, LoadedFlags), FilesError> {
    let bytes = content(path).map_err(|source| FilesError::Unreadable { path: path.to_owned(), source })?;
    let name = path.display().to_string();
    let text = config::text(&name, &bytes)?;
    let flags = config::flags(Source { name: &name, text })?;
    Ok((Hash::of(&bytes), flags))
}

/// The hash of what is at `path` now.
pub(super) fn hash_now(path: &Path) -> Option<Hash> {
    content(path).ok().map(|bytes| Hash::of(&bytes))
}

fn content(path: &Path) -> io::Result<Vec<u8>> {
    let most = config::MAX_FLAG_FILE_BYTES as u64;
    let length = std::fs::metadata(path)?.len();
    if length > most {
        return Err(io::Error::other(format!("it has {length} bytes; at most {most} are read")));
    }
    std::fs::read(path)
}
