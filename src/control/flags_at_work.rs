//! The flag file at work: it is looked at, taken up and refused for itself.

use std::sync::Arc;

use tokio::time::Instant;

use super::data_plane::DataPlane;
use super::files::{FilesError, Hash};
use super::flags::{self, FlagFile};
use super::record;
use super::run::{Control, DOUBT, SETTLE};
use crate::config::{Loaded, LoadedFlags};
use crate::ledger::Draft;
use crate::telemetry::ReloadResult;

impl<D: DataPlane> Control<D> {
    /// Looks whether the flag file says something new, for itself: what is wrong with it keeps nothing else from being in
    /// force, nor does what is wrong elsewhere keep flags.
    pub(super) async fn look_at_flags(&mut self, asked: bool) {
        let Some(file) = &self.flags else { return };
        let mut now = flags::hash_now(file.path());
        if now == file.seen && !(asked && file.is_refused()) {
            if asked {
                self.registry.control().reloaded(&file.short_name(), ReloadResult::Unchanged);
            }
            return;
        }
        let path = file.path().to_owned();
        let started = Instant::now();
        loop {
            match flags::read(&path) {
                Ok((hash, flags)) => return self.apply_flags(hash, flags).await,
                Err(error) if started.elapsed() >= DOUBT => return self.refuse_flags(&error, now).await,
                // It may be half written.
                Err(_) => tokio::time::sleep(SETTLE).await,
            }
            now = flags::hash_now(&path);
        }
    }

    async fn apply_flags(&mut self, hash: Hash, flags: LoadedFlags) {
        let Some(file) = &self.flags else { return };
        let same = hash == file.hash();
        let file = file.with_content(hash);
        let name = file.short_name();
        self.flags = Some(file);
        self.follow_files(None);
        if same {
            // It was something that was refused, and is again what is in force.
            return;
        }
        for warning in &flags.warnings {
            tracing::warn!("{warning}");
        }
        let draft = record::flags_applied(&name, &self.in_force.plan().flags, &flags.set);
        self.record_what_is_so(draft).await;
        self.publish(self.in_force.with_flags(Arc::new(flags.set)));
        for warning in self.in_force.settings().flag_uses.warnings(self.in_force.plan()) {
            tracing::warn!("{warning}");
        }
        self.registry.control().reloaded(&name, ReloadResult::Applied);
        let plan = self.in_force.plan();
        tracing::info!(generation = plan.generation, flags = plan.flags.len(), "the new flags are in force");
    }

    async fn refuse_flags(&mut self, error: &FilesError, seen: Option<Hash>) {
        let Some(file) = &mut self.flags else { return };
        file.seen = seen;
        let name = file.short_name();
        self.registry.control().reloaded(&name, ReloadResult::Refused);
        self.follow_files(None);
        tracing::error!("refused; the flags in force stay:\n{error}");
        self.record_what_is_so(record::flags_refused(&name, &error.to_string())).await;
    }

    /// The flag file for what `loaded` says, its flags in `loaded`. One that is in use already is not read anew.
    pub(super) fn flags_for(&mut self, loaded: &mut Loaded) -> Result<Option<FlagFile>, FilesError> {
        let place = FlagFile::place(loaded, &self.config);
        match &self.flags {
            Some(known) if place.as_deref() == Some(known.path()) => {
                loaded.plan.flags = Arc::clone(&self.in_force.plan().flags);
                Ok(self.flags.clone())
            }
            _ => {
                let read = FlagFile::read(loaded, &self.config);
                if read.is_err() {
                    self.wanted_flags = place.map(|place| (place.clone(), flags::hash_now(&place)));
                }
                read
            }
        }
    }

    /// Records what has to be so whether it can be recorded now or not: flags are how something is switched off.
    async fn record_what_is_so(&mut self, draft: Draft) {
        if let Err(refused) = self.record(draft, true).await {
            tracing::error!(%refused, "what became of the flag file could not be recorded");
        }
    }
}
