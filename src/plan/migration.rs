//! Moving a service's data from one version to another, stage by stage: who answers reads and whom writes go to. Pure.
//!
//! | stage     | reads                 | writes    | the client gets |
//! |-----------|-----------------------|-----------|-----------------|
//! | off       | old                   | old       | old             |
//! | dualWrite | old                   | old → new | old             |
//! | shadow    | old and new, compared | old → new | old             |
//! | live      | new and old, compared | new → old | new             |
//! | rampDown  | new                   | new → old | new             |
//! | complete  | new                   | new       | new             |
//!
//! The side that writes go to first is **authoritative**: its answer is the client's, and a write that it refuses is not
//! sent to the other. A stage may be given to a share of keys: those within it are in the stage, all others in the one before.
//! The key is that of the data (`migration.key`), not the client's: all requests for one thing must be in one stage.

mod entity;
mod stage;

pub use entity::{EntityKey, KeySource as EntityKeySource, MAX_ENTITY_KEY};
pub use stage::{Progress, Reads, Side, Stage};

use std::sync::Arc;

use http::{HeaderName, Method, request};

use super::{JournalRules, MigrationChecks, Share, Split, VersionId, Weight};

/// How a service's data moves from one version to another, and how far it is.
#[derive(Debug, Clone)]
pub struct Migration {
    /// What is configured of it.
    pub rules: MigrationRules,
    /// How far it is.
    pub progress: Progress,
    /// The keys that are within the share.
    within: Split,
}

/// What is configured of a migration beside its progress.
#[derive(Debug, Clone)]
pub struct MigrationRules {
    /// The version whose data is there at the beginning.
    pub from: VersionId,
    /// The version whose data is there in the end.
    pub to: VersionId,
    /// Methods of requests that write; all others read.
    pub writes: Vec<Method>,
    /// Where the key of what is read or written stands; the first source present in a request wins.
    pub key: Vec<EntityKeySource>,
    /// What becomes of writes to both sides that have no key.
    pub without_key: WithoutKey,
    /// The header that tells a write from its repetition.
    pub idempotency_key: HeaderName,
    /// Most bytes of the body of a write that goes to both sides.
    pub max_body: usize,
    /// Whether its sides agree, and what has to be shown before a stage. Nothing a worker looks at.
    pub checks: Arc<MigrationChecks>,
    /// How writes to both sides are journaled and delivered.
    pub journal: Arc<JournalRules>,
}

/// What becomes of a write to both sides that has no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutKey {
    /// It is answered 400.
    Refuse,
    /// All of them are kept in one order, as if they had one key.
    OneByOne,
}

impl Migration {
    /// A migration of the service of this name between the versions of these names, which are not the same.
    ///
    /// # Panics
    /// If they are.
    #[must_use]
    pub fn new(service: &str, names: [&Arc<str>; 2], rules: MigrationRules, progress: Progress) -> Self {
        let names = names.map(Arc::clone);
        let within = Split::new(service, 0, &names, weights(progress.share));
        // Invariant: two different names, two weights, and their sum is 100.
        let within = within.expect("a share is a split of two");
        Self { rules, progress, within }
    }

    /// The same at another point.
    #[must_use]
    pub fn with_progress(&self, progress: Progress) -> Self {
        // Two weights, and their sum is 100: this cannot fail.
        let within = self.within.with_weights(weights(progress.share)).unwrap_or_else(|_| self.within.clone());
        Self { progress, within, ..self.clone() }
    }

    /// The stage of a request for the thing of this key. What has no key is in the stage before, unless the stage is that
    /// of all keys.
    #[must_use]
    pub fn stage_of(&self, key: Option<&[u8]>) -> Stage {
        let Progress { stage, share } = self.progress;
        if share == Share::ALL || key.is_some_and(|key| self.within.pick_key(key) == VersionId::from_index(1)) {
            return stage;
        }
        stage.before().unwrap_or(stage)
    }

    /// Whether some writes go to both sides now.
    #[must_use]
    pub fn writes_both(&self) -> bool {
        let Progress { stage, share } = self.progress;
        stage.writes_both() || (share != Share::ALL && stage.before().is_some_and(Stage::writes_both))
    }

    /// Whether some reads go to both sides now.
    #[must_use]
    pub fn compares(&self) -> bool {
        let Progress { stage, share } = self.progress;
        let compared = |stage: Stage| matches!(stage.reads(), Reads::Compared(_));
        compared(stage) || (share != Share::ALL && stage.before().is_some_and(compared))
    }

    /// Whether a request writes.
    #[must_use]
    pub fn is_write(&self, method: &Method) -> bool {
        self.rules.writes.contains(method)
    }

    /// The version on a side.
    #[must_use]
    pub fn version(&self, side: Side) -> VersionId {
        match side {
            Side::From => self.rules.from,
            Side::To => self.rules.to,
        }
    }

    /// The key of what a request is for. `Ok(None)`: it names none.
    ///
    /// # Errors
    /// What stands at the place of a key cannot be one.
    pub fn entity_key<'a>(&self, parts: &'a request::Parts) -> Result<Option<EntityKey<'a>>, entity::NotAKey> {
        EntityKey::find(&self.rules.key, parts)
    }

    /// The part of all reads that `side` answers, 0 to 1, by keys.
    #[must_use]
    pub fn read_share(&self, side: Side) -> f64 {
        let Progress { stage, share } = self.progress;
        let within = f64::from(share.hundredths()) / f64::from(Share::ALL.hundredths());
        let part = |stage: Stage, part: f64| if stage.client_gets() == side { part } else { 0.0 };
        part(stage, within) + part(stage.before().unwrap_or(stage), 1.0 - within)
    }
}

/// `[outside, within]` of a share.
fn weights(share: Share) -> Vec<Weight> {
    let percent = |share: Share| f64::from(share.hundredths()) / 100.0;
    let outside = Share::from_hundredths(Share::ALL.hundredths() - share.hundredths());
    // Invariant: a percentage of two decimals is a weight.
    [outside, share].map(|share| Weight::from_f64(percent(share)).expect("a percentage is a weight")).into()
}

#[cfg(test)]
mod tests;
