//! What the ledger says of a change. Pure: no file, no clock.

use std::collections::BTreeMap;

use super::files::Files;
use super::force::{Change, InForce};
use super::stages::StageChange;
use crate::flags::{self, FlagSet};
use crate::ledger::{Digest, Draft, FileResult, Point, Source, State, Weights, What, clip};
use crate::plan::Plan;

/// Longest description of what is wrong with a file, in characters.
const MAX_PROBLEM: usize = 4000;
/// Most lines of what changed about flags, and most characters of one.
const MAX_DIFF: usize = 200;
const MAX_LINE: usize = 400;
/// Most characters of the names of files.
pub(super) const MAX_NAME: usize = 200;

/// What was so before files were read: by service what they said of its weights, and those in force.
pub(super) struct Before {
    said: BTreeMap<String, Weights>,
    weights: BTreeMap<String, Weights>,
    /// The same of migrations.
    stages_said: BTreeMap<String, Point>,
    stages: BTreeMap<String, Point>,
}

impl Before {
    /// By what is in force.
    pub(super) fn of(in_force: &InForce) -> Self {
        let services = || in_force.plan().services.iter();
        Self {
            said: services().map(|service| (service.name.to_string(), in_force.said(service))).collect(),
            weights: services().map(|service| (service.name.to_string(), Weights::in_force(service))).collect(),
            stages_said: in_force.file_stages.iter().map(|(name, said)| (name.to_string(), said.clone())).collect(),
            stages: stages(in_force.plan()),
        }
    }

    /// By the ledger.
    pub(super) fn of_ledger(state: &State) -> Self {
        Self {
            said: state.said.clone(),
            weights: state.weights.clone(),
            stages_said: state.migrations_said.clone(),
            stages: state.migrations.clone(),
        }
    }

    /// An entry for each service of which the files say something else: the last change wins, and this is one.
    fn changes(&self, after: &InForce, actor: &str, reason: &str) -> Vec<Draft> {
        let draft = |service: &str, to: Option<Weights>| {
            let what = What::Weights { source: Source::File, from: self.weights.get(service).cloned(), to };
            Draft::new(actor, reason, what).of_service(service)
        };
        let services = &after.plan().services;
        let changed = services.iter().filter(|service| self.said.get(&*service.name) != Some(&after.said(service)));
        let gone = self.said.keys().filter(|name| after.plan().service_named(name).is_none());
        changed
            .map(|service| draft(&service.name, Some(Weights::in_force(service))))
            .chain(gone.map(|name| draft(name, None)))
            .chain(self.moves(after, actor, reason))
            .collect()
    }

    /// An entry for each service of whose migration the files say something else.
    fn moves(&self, after: &InForce, actor: &str, reason: &str) -> Vec<Draft> {
        let draft = |service: &str, to: Option<Point>| {
            let from = self.stages.get(service).cloned();
            let what = What::Migration { source: Source::File, from, to, forced: false };
            Draft::new(actor, reason, what).of_service(service)
        };
        let said = &after.file_stages;
        let now = stages(after.plan());
        let changed = said.iter().filter(|(name, said)| self.stages_said.get(&***name) != Some(said));
        let gone = self.stages_said.keys().filter(|name| !said.contains_key(name.as_str()));
        changed
            .map(|(name, _)| draft(name, now.get(&**name).cloned()))
            .chain(gone.map(|name| draft(name, None)))
            .collect()
    }
}

/// By service: where its migration is.
fn stages(plan: &Plan) -> BTreeMap<String, Point> {
    plan.services.iter().filter_map(|service| Some((service.name.to_string(), Point::of(service)?))).collect()
}

/// The entries of files that were read and make `after`.
pub(super) fn files_applied(before: &Before, after: &InForce, files: &Files, actor: &str, reason: &str) -> Vec<Draft> {
    let mut drafts = before.changes(after, actor, reason);
    if drafts.is_empty() {
        drafts.push(Draft::new(actor, reason, What::Files { result: FileResult::Applied, problem: None }));
    }
    in_force(drafts, after, files)
}

/// The entry of files that are refused.
pub(super) fn files_refused(actor: &str, problem: &str) -> Draft {
    let problem = Some(clip(problem, MAX_PROBLEM));
    Draft::new(actor, "", What::Files { result: FileResult::Refused, problem })
}

/// The entry of flags that were read and take the place of `old`: what changed about each, a line each.
pub(super) fn flags_applied(file: &str, old: &FlagSet, new: &FlagSet) -> Draft {
    let changed = flags::diff(old, new);
    let lines = changed.iter().flat_map(|change| {
        let key = &change.key;
        change.lines.iter().map(move |line| clip(&format!("{key}: {line}"), MAX_LINE))
    });
    let mut diff: Vec<String> = lines.collect();
    if diff.len() > MAX_DIFF {
        let more = diff.len() - (MAX_DIFF - 1);
        diff.truncate(MAX_DIFF - 1);
        diff.push(format!("and {more} more lines"));
    }
    Draft::new(clip(file, MAX_NAME), "edited", What::Flags { result: FileResult::Applied, diff, problem: None })
}

/// The entry of flags that are refused.
pub(super) fn flags_refused(file: &str, problem: &str) -> Draft {
    let problem = Some(clip(problem, MAX_PROBLEM));
    Draft::new(clip(file, MAX_NAME), "", What::Flags { result: FileResult::Refused, diff: Vec::new(), problem })
}

/// The entries of a process that begins to work.
pub(super) fn started(before: &Before, after: &InForce, files: &Files, is_new: bool) -> Vec<Draft> {
    let reason = if is_new { "as the files say" } else { "the files changed while serin was not running" };
    let mut drafts = before.changes(after, &names(files), reason);
    let version = env!("CARGO_PKG_VERSION").to_owned();
    drafts.push(Draft::new("serin", "", What::Started { version }));
    in_force(drafts, after, files)
}

/// The entry of a change of weights that makes `after`.
pub(super) fn weights(change: &Change, before: &InForce, after: &InForce, files: &Files) -> Draft {
    let of = |in_force: &InForce| in_force.plan().service_named(&change.service).map(|(_, s)| Weights::in_force(s));
    let what = What::Weights { source: change.source, from: of(before), to: of(after) };
    let mut draft = Draft::new(&change.actor, &change.reason, what).of_service(&change.service);
    draft.about.clone_from(&change.about);
    with_hashes(draft, after.plan(), files)
}

/// The entry of a migration that is moved, which makes `after`.
pub(super) fn stage(change: &StageChange, before: &InForce, after: &InForce, files: &Files) -> Draft {
    let of = |in_force: &InForce| stages(in_force.plan()).remove(&change.service);
    let what = What::Migration { source: change.source, from: of(before), to: of(after), forced: change.force };
    let mut draft = Draft::new(&change.actor, &change.reason, what).of_service(&change.service);
    draft.about.clone_from(&change.about);
    with_hashes(draft, after.plan(), files)
}

/// Hash of what a plan is made from: `serin.yaml`, the weights in force and how far migrations are. The same for the same plan, however it came to be.
pub(super) fn plan_hash(plan: &Plan, files: &Files) -> Digest {
    let weights: BTreeMap<&str, Weights> =
        plan.services.iter().map(|service| (&*service.name, Weights::in_force(service))).collect();
    let serin = Digest::from(files.serin.hash);
    let stages = stages(plan);
    // Invariant: names and numbers are JSON.
    let text = if stages.is_empty() {
        serde_json::to_vec(&(serin, weights))
    } else {
        serde_json::to_vec(&(serin, weights, stages))
    };
    Digest::of(&text.unwrap_or_default())
}

/// An entry with the hashes of what is in force from it on.
pub(super) fn with_hashes(draft: Draft, plan: &Plan, files: &Files) -> Draft {
    Draft { plan: Some(plan_hash(plan, files)), files: files.hashes(), ..draft }
}

fn in_force(drafts: Vec<Draft>, after: &InForce, files: &Files) -> Vec<Draft> {
    drafts.into_iter().map(|draft| with_hashes(draft, after.plan(), files)).collect()
}

/// The files' names, for who changed them is not known.
pub(super) fn names(files: &Files) -> String {
    let names: Vec<String> = files.each().into_iter().flatten().map(super::files::File::short_name).collect();
    clip(&names.join(", "), MAX_NAME)
}
