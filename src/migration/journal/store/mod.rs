//! Where the journal outlives the process.

mod codec_state;
mod folder;
mod tables;

use std::sync::Arc;

use redb::{Database, StorageBackend};

use super::book::Millis;
use super::{Why, Write};

pub(super) use folder::{Folder, NAME};

/// One change of what is stored.
#[derive(Debug, Clone)]
pub(super) enum Op {
    /// A write, journaled at that time; begun, as long as nothing else is said of it.
    Put(u64, Millis, Arc<Write>),
    /// How far it got.
    State(u64, Stored),
    /// It is no more.
    Remove(u64),
    /// A key of a service is to be reconciled.
    Mark(Arc<str>, Arc<str>, Mark),
    /// It is not.
    Unmark(Arc<str>, Arc<str>),
    /// All keys of a service are to be reconciled.
    MarkAll(Arc<str>),
    /// They are not.
    UnmarkAll(Arc<str>),
}

/// How far a write got, as the store says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stored {
    /// What the authoritative side made of it is not known.
    Begun,
    /// It has it.
    Applied,
    /// And the other side does not take it.
    Dead { tries: u32, why: Arc<str> },
}

/// Why and since when a key is to be reconciled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) why: Why,
    pub(super) at: Millis,
}

/// All that a store has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Loaded {
    /// By number.
    pub(super) writes: Vec<(u64, Millis, Arc<Write>, Stored)>,
    pub(super) marks: Vec<(Arc<str>, Arc<str>, Mark)>,
    /// Services of which all keys are to be reconciled.
    pub(super) all: Vec<Arc<str>>,
}

/// Why a store cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct StoreError(pub(super) String);

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        Self(error.into().to_string())
    }
}

/// Takes changes so that they outlive the process, all of a call or none.
pub(super) trait Store: Send {
    /// Makes changes, which are on the disk on return.
    ///
    /// # Errors
    /// Nobody knows whether they are made. Only [`Self::rewrite`] goes on from there.
    fn commit(&mut self, ops: &[Op]) -> Result<(), StoreError>;

    /// Puts these in the place of everything there is.
    ///
    /// # Errors
    /// What was there is there still.
    fn rewrite(&mut self, ops: &[Op]) -> Result<(), StoreError>;
}

/// A place for databases: the one in use, and a fresh one that is to take its place.
pub(super) trait Disk: Send {
    /// The bytes of a database.
    type Bytes: StorageBackend;

    /// The one in use; empty where there is none yet.
    ///
    /// # Errors
    /// As the system says.
    fn current(&self) -> std::io::Result<Self::Bytes>;

    /// An empty one.
    ///
    /// # Errors
    /// As the system says.
    fn fresh(&self) -> std::io::Result<Self::Bytes>;

    /// Puts the fresh one in the place of the current one, for good on return.
    ///
    /// # Errors
    /// As the system says; which of them will be found is not known.
    fn install(&self) -> std::io::Result<()>;
}

/// A store in redb's format, on a disk.
#[derive(Debug)]
pub(super) struct Redb<D> {
    disk: D,
    /// `None` after something failed.
    open: Option<Database>,
}

/// redb keeps pages in memory; the book has everything already.
const CACHE: usize = 4 << 20;

impl<D: Disk> Redb<D> {
    /// Opens the one in use, or begins one. Gives what is in it.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn open(disk: D) -> Result<(Self, Loaded), StoreError> {
        let bytes = disk.current().map_err(|error| StoreError(error.to_string()))?;
        let (database, loaded) = guarded(|| {
            let database = database(bytes)?;
            tables::begin(&database)?;
            let loaded = tables::load(&database)?;
            Ok((database, loaded))
        })?;
        Ok((Self { disk, open: Some(database) }, loaded))
    }
}

impl<D: Disk> Store for Redb<D> {
    fn commit(&mut self, ops: &[Op]) -> Result<(), StoreError> {
        let Some(database) = self.open.take() else { return Err(StoreError("it is not open".to_owned())) };
        // Where this fails, the database is closed: redb takes nothing after an error anyway.
        self.open = Some(guarded(move || {
            tables::apply(&database, ops)?;
            Ok(database)
        })?);
        Ok(())
    }

    fn rewrite(&mut self, ops: &[Op]) -> Result<(), StoreError> {
        self.open = None;
        let said = |error: std::io::Error| StoreError(error.to_string());
        let bytes = self.disk.fresh().map_err(said)?;
        let fresh = guarded(move || {
            let database = database(bytes)?;
            tables::begin(&database)?;
            tables::apply(&database, ops)?;
            Ok(database)
        })?;
        self.disk.install().map_err(said)?;
        self.open = Some(fresh);
        Ok(())
    }
}

fn database(bytes: impl StorageBackend) -> Result<Database, StoreError> {
    Ok(redb::Builder::new().set_cache_size(CACHE).create_with_backend(bytes)?)
}

/// Does something with a database. redb promises no error, and may panic, where its file was changed by somebody else.
fn guarded<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    // What `work` has is dropped with it, so nobody sees anything half done.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(StoreError("its file is damaged".to_owned())))
}

#[cfg(test)]
mod tests;
