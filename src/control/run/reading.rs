//! Files that may have changed: read, taken or refused.

use tokio::time::Instant;

use super::{Control, DOUBT, SETTLE};
use crate::config::{Errors, Loaded, Settings};
use crate::control::data_plane::DataPlane;
use crate::control::files::{Files, Seen};
use crate::control::flags::{self, FlagFile};
use crate::control::record::{self, Before};
use crate::ledger::{self, Draft};
use crate::telemetry::ReloadResult;

/// Why the files are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// They may have changed.
    Noticed,
    /// Somebody wants to know even if not.
    Asked,
    /// What they say was held back only because it could not be recorded.
    Again,
}

impl<D: DataPlane> Control<D> {
    /// Looks whether the files say something new.
    pub(super) async fn look(&mut self, why: Look) {
        self.look_at_flags(why == Look::Asked).await;
        if let Some((path, seen)) = &self.wanted_flags
            && flags::hash_now(path) != *seen
        {
            // What was refused for its sake may be right now.
            (self.wanted_flags, self.refused) = (None, None);
        }
        let mut now = self.files.seen_now();
        if now == self.files.seen() && !(self.held_back && why != Look::Noticed) {
            self.refused = None;
            if why == Look::Asked {
                self.count(ReloadResult::Unchanged, [true, true]);
                tracing::info!("the files say what is in force already");
            }
            return;
        }
        if why == Look::Noticed && self.refused.as_ref() == Some(&now) {
            return;
        }
        let started = Instant::now();
        loop {
            match Files::read_again(&self.config, &self.in_force) {
                Ok((files, loaded)) if files.stale().is_empty() || started.elapsed() >= DOUBT => {
                    return self.apply(files, loaded).await;
                }
                Err(error) if started.elapsed() >= DOUBT => {
                    // Where serin.yaml is what is wrong, weights hold all the same: they may be the way back.
                    if let Some((files, loaded)) = self.files.despite_errors(&self.in_force) {
                        self.apply(files, loaded).await;
                    }
                    return self.refuse(&error.to_string(), now).await;
                }
                // It may be half written; or a certificate is there already and its key not yet.
                _ => tokio::time::sleep(SETTLE).await,
            }
            // What is refused in the end is what was there then.
            now = self.files.seen_now();
        }
    }

    pub(super) async fn apply(&mut self, files: Files, mut loaded: Loaded) {
        let flags = match self.flags_for(&mut loaded) {
            Ok(flags) => flags,
            Err(error) => return self.refuse(&error.to_string(), files.seen()).await,
        };
        loaded.warnings.extend(loaded.settings.flag_uses.warnings(&loaded.plan));
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let changed = files.seen().differs_from(&self.files.seen());
        if !files.has_usable_news(&self.files) && !self.held_back {
            // What is in force stays, and this is not looked at again before something changes.
            self.report_certificates(&files).await;
            self.files = files;
            self.follow_files(None);
            self.refused = None;
            return;
        }
        let next = self.with_drills(self.in_force.with_files(loaded));
        if let Err(lacking) = self.may_move(&next) {
            return self.refuse(&lacking, files.seen()).await;
        }
        let open = |plane: &mut D| {
            plane.keep_journal(next.plan())?;
            plane.open(&next.settings().listeners)
        };
        if let Err(error) = open(&mut self.data_plane) {
            return self.refuse(&error, files.seen()).await;
        }
        let (before, actor) = (Before::of(&self.in_force), files.changed_names(&self.files));
        let moved = self.in_force.moved_by_files(&next);
        let drafts = record::files_applied(&before, &next, &files, &actor, "edited");
        if let Err(refused) = self.record_before(&next, drafts).await {
            self.data_plane.close_others(&self.in_force.settings().listeners);
            self.held_back = true;
            return self.refuse(&refused.to_string(), files.seen()).await;
        }
        self.held_back = false;
        self.courses.leave_to_plans(&moved);
        self.warn_of_restart(next.settings());
        self.report_certificates(&files).await;
        (self.files, self.flags, self.wanted_flags) = (files, flags, None);
        self.follow_files(None);
        self.refused = None;
        self.data_plane.secure(&next.settings().listeners);
        self.data_plane.admit(next.settings().admin.as_ref());
        self.publish(next);
        self.data_plane.close_others(&self.in_force.settings().listeners);
        self.count(ReloadResult::Applied, changed);
        tracing::info!(generation = self.in_force.plan().generation, "the files' new content is in force");
        self.follow_rollouts(&actor).await;
    }

    pub(super) async fn refuse(&mut self, error: &str, seen: Seen) {
        self.count(ReloadResult::Refused, seen.differs_from(&self.files.seen()));
        // The one that is wrong is where the next change will be, also where it is not in force yet.
        self.follow_files(Some(&seen));
        self.refused = Some(seen);
        let generation = self.in_force.plan().generation;
        // In the message and not as a field, which would stand at the end of many lines.
        tracing::error!("refused; generation {generation} stays in force:\n{error}");
        self.record_refused(record::files_refused(&record::names(&self.files), error)).await;
    }

    pub(in crate::control) async fn record_refused(&mut self, draft: Draft) {
        if let Err(refused) = self.record(draft, true).await {
            tracing::error!(%refused, "that files were refused could not be recorded");
        }
    }

    /// Watches the files in use, and those of what was `seen`.
    pub(in crate::control) fn follow_files(&mut self, seen: Option<&Seen>) {
        let flags = self.flags.iter().map(FlagFile::path);
        let wanted = self.wanted_flags.iter().map(|(path, _)| &**path);
        let seen = seen.into_iter().flat_map(Seen::paths);
        self.watch.follow(self.files.paths().chain(flags).chain(wanted).chain(seen));
    }

    /// Counts the files of certificates and tokens that changed, and says what is wrong with them.
    pub(super) async fn report_certificates(&mut self, files: &Files) {
        let changed = files.certificates.changed_since(&self.files.certificates);
        let mut refused = Vec::new();
        for path in &changed {
            let stale = files.certificates.is_stale(path);
            let result = if stale { ReloadResult::Refused } else { ReloadResult::Applied };
            self.registry.control().reloaded(&path.display().to_string(), result);
        }
        for stale in files.stale().iter().filter(|stale| stale.files.iter().any(|file| changed.contains(&file))) {
            let problems = Errors(stale.problems.clone());
            refused.push((
                stale.files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>(),
                problems.to_string(),
            ));
            let verb = if ["certificate", "secret"].contains(&stale.what) { "stays" } else { "stay" };
            tracing::error!("refused; the {} in force {verb}:\n{problems}", stale.what);
        }
        for (files, problem) in refused {
            self.record_refused(record::files_refused(&ledger::clip(&files.join(", "), record::MAX_NAME), &problem))
                .await;
        }
    }

    pub(super) fn warn_of_restart(&self, next: &Settings) {
        let now = self.in_force.settings();
        let address = |settings: &Settings| settings.admin.as_ref().map(|admin| admin.address.clone());
        let fixed = [
            ("workers", now.workers != next.workers),
            ("admin.address", address(now) != address(next)),
            ("ofrep", now.ofrep != next.ofrep),
            ("accessLog", now.access_log != next.access_log),
            ("tracing", now.tracing != next.tracing),
            ("stateDir", now.state_dir != next.state_dir),
            ("ledger", now.ledger != next.ledger),
        ];
        for (key, _) in fixed.iter().filter(|(_, differs)| *differs) {
            tracing::warn!(key, "this key takes effect at the next start only");
        }
    }

    pub(super) fn count(&self, result: ReloadResult, which: [bool; 2]) {
        for (file, _) in self.files.each().into_iter().zip(which).filter(|(_, changed)| *changed) {
            if let Some(file) = file {
                self.registry.control().reloaded(&file.short_name(), result);
            }
        }
    }
}
