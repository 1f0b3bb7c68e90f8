//! What is in force by the entries so far.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Approval, Digest, Entry, Point, Source, Weights, What};

/// What is in force at the end of a ledger: a fold over its entries.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    /// By service: the weights in force.
    pub weights: BTreeMap<String, Weights>,
    /// By service: what the files said of its weights when they were last heard. Where they still say so, they have
    /// nothing new to say, and the weights in force stay whoever gave them.
    pub said: BTreeMap<String, Weights>,
    /// By service: how far its migration is.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub migrations: BTreeMap<String, Point>,
    /// By service: what the files said of that when they were last heard, to the same end as `said`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub migrations_said: BTreeMap<String, Point>,
    /// Services whose migration somebody moved by hand: its plan waits until they let it go on.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub migrations_by_hand: BTreeSet<String>,
    /// By name: hashes of the files in force.
    pub files: BTreeMap<String, Digest>,
    /// By service: where its rollout stands.
    pub rollouts: BTreeMap<String, Value>,
    /// The greatest number of a rollout so far.
    pub last_rollout: u64,
    /// By service: who agreed to its last rollout that anybody agreed to.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub approvals: BTreeMap<String, Agreed>,
}

/// Who agreed to a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Agreed {
    /// The rollout.
    pub rollout: u64,
    /// Who, by which entries.
    pub by: Vec<Approval>,
}

impl Agreed {
    /// Takes note of one more; those to another rollout count no longer.
    pub fn take(&mut self, rollout: u64, approval: Approval) {
        if self.rollout != rollout {
            *self = Self { rollout, by: Vec::new() };
        }
        self.by.push(approval);
    }
}

impl State {
    /// Takes up the next entry.
    pub fn take(&mut self, entry: &Entry) {
        let draft = &entry.draft;
        if let What::Rotated { state, .. } = &draft.what {
            // What it says is what was so far; from here on nobody needs the entries before.
            self.clone_from(state);
        }
        if !draft.files.is_empty() && !matches!(draft.what, What::Files { result: super::FileResult::Refused, .. }) {
            self.files.clone_from(&draft.files);
        }
        if let Some(rollout) = draft.about.rollout {
            self.last_rollout = self.last_rollout.max(rollout);
        }
        let Some(service) = &draft.service else { return };
        match &draft.about.state {
            None => {}
            Some(Value::Null) => {
                self.rollouts.remove(service);
            }
            Some(state) => {
                self.rollouts.insert(service.clone(), state.clone());
            }
        }
        if let (What::Approval { .. }, Some(rollout)) = (&draft.what, draft.about.rollout) {
            let approval = Approval { actor: draft.actor.clone(), entry: entry.number };
            self.approvals.entry(service.clone()).or_default().take(rollout, approval);
        }
        match &draft.what {
            What::Weights { source, to, .. } => {
                set(&mut self.weights, service, to.as_ref());
                if *source == Source::File {
                    set(&mut self.said, service, to.as_ref());
                }
            }
            What::Migration { source, to, .. } => {
                set(&mut self.migrations, service, to.as_ref());
                if *source == Source::Admin {
                    self.migrations_by_hand.insert(service.clone());
                } else {
                    self.migrations_by_hand.remove(service);
                }
                if *source == Source::File {
                    set(&mut self.migrations_said, service, to.as_ref());
                }
            }
            _ => {}
        }
    }
}

fn set<T: Clone>(map: &mut BTreeMap<String, T>, service: &str, value: Option<&T>) {
    match value {
        Some(value) => {
            map.insert(service.to_owned(), value.clone());
        }
        None => {
            map.remove(service);
        }
    }
}
