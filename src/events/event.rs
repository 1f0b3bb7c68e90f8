//! What an event says.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::ledger::{Draft, Entry, FileResult, Source, Time, What};

/// Longest entry, in bytes, that an event has whole: one that holds the state of a large configuration is asked for.
const MAX_ENTRY: usize = 64 * 1024;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What kind of thing.
    pub kind: Kind,
    /// Its entry in the ledger, where it has one.
    pub number: Option<u64>,
    /// Whom it concerns. `None`: no service in particular.
    pub service: Option<Arc<str>>,
    /// Whether a service has other weights by it.
    pub changes_weights: bool,
    /// `{"type":…,"timestamp":…,"data":…}`, on one line.
    pub json: Arc<str>,
}

macro_rules! kinds {
    ($($(#[doc = $about:literal])+ $name:ident => $word:literal,)+) => {
        /// What kind of thing happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind { $($(#[doc = $about])+ $name,)+ }

        impl Kind {
            /// Every kind, in order.
            pub const ALL: &[Self] = &[$(Self::$name,)+];
            /// The word of each, in the same order.
            pub const WORDS: &[&str] = &[$($word,)+];

            /// How it is written.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self { $(Self::$name => concat!($($about),+).trim_ascii(),)+ }
            }
        }
    };
}

kinds! {
    /// A step of a rollout began: it was started, went on, was resumed, or approved.
    Step => "step",
    /// A version was withdrawn, by the machine or by a person.
    Rollback => "rollback",
    /// After a withdrawal, whether the service was seen to be as before.
    Validation => "validation",
    /// People must agree before the next step.
    Approval => "approval",
    /// Somebody agreed.
    Approved => "approved",
    /// A rollout moves no further until somebody says so.
    Paused => "paused",
    /// All steps of a rollout are done.
    Completed => "completed",
    /// Anything else about a rollout: its plan, how long a step has been baking, a plan that takes its place.
    Rollout => "rollout",
    /// What is said of a new version beside the old one is another than before. It has no entry in the ledger.
    Verdict => "verdict",
    /// Somebody changed weights: by the file or the admin API.
    Weights => "weights",
    /// The migration of a service is in another stage, or in it for another share of keys.
    Migration => "migration",
    /// Files were read and are in force.
    Files => "files",
    /// Flag definitions were read and are in force.
    Flags => "flags",
    /// Files, of whatever kind, were refused; what was in force stays.
    FilesRefused => "filesRefused",
    /// Requests are hurt on purpose from now on, or no longer.
    Drill => "drill",
    /// Somebody was refused for want of credentials, or of the right to do it.
    Refusal => "refusal",
    /// Any other entry of the ledger: a start, a note, another file.
    Ledger => "ledger",
}

impl Kind {
    /// The kind that is written so.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.word() == word)
    }

    /// What an entry is.
    fn of_entry(draft: &Draft) -> Self {
        match &draft.what {
            What::Weights { source: Source::Rollout, .. } => Self::of_step(draft),
            What::Weights { .. } => Self::Weights,
            What::Migration { .. } => Self::Migration,
            What::Files { result: FileResult::Applied, .. } => Self::Files,
            What::Flags { result: FileResult::Applied, .. } => Self::Flags,
            What::Files { .. } | What::Flags { .. } => Self::FilesRefused,
            What::Event { event, .. } if event.starts_with("drill") => Self::Drill,
            What::Event { event, .. } => match Self::of_decision(event) {
                // Who agreed has an entry of its own.
                Some(Self::Step) if event == "approved" => Self::Rollout,
                Some(kind) => kind,
                None if draft.about.rollout.is_some() => Self::Rollout,
                None => Self::Ledger,
            },
            What::Approval { .. } => Self::Approved,
            What::Refusal { .. } => Self::Refusal,
            What::Genesis { .. } | What::Started { .. } | What::Note { .. } | What::Rotated { .. } | What::Unknown => {
                Self::Ledger
            }
        }
    }

    /// What weights are that a rollout changed.
    fn of_step(draft: &Draft) -> Self {
        if let Some(decision) = &draft.about.decision {
            let other = if decision.starts_with("drill") { Self::Drill } else { Self::Rollout };
            return Self::of_decision(decision).unwrap_or(other);
        }
        // Entries of earlier versions do not say what was decided.
        let phase = draft.about.state.as_ref().and_then(|state| state["phase"]["state"].as_str());
        match phase {
            Some("validating" | "rolledBack" | "aborted") => Self::Rollback,
            Some("replacing") => Self::Rollout,
            _ => Self::Step,
        }
    }

    /// What a decision of a rollout is, by its word.
    fn of_decision(word: &str) -> Option<Self> {
        Some(match word {
            "started" | "advanced" | "resumed" | "approved" => Self::Step,
            "rolledBack" | "aborted" => Self::Rollback,
            "validated" | "notValidated" => Self::Validation,
            "awaitingApproval" => Self::Approval,
            "paused" => Self::Paused,
            "completed" => Self::Completed,
            "replaced" | "notStarted" | "progress" | "plan" | "removed" => Self::Rollout,
            _ => return None,
        })
    }
}

impl Event {
    /// What an entry of the ledger says, by its line; `None` where that is no entry.
    #[must_use]
    pub fn of_entry(line: &str) -> Option<Self> {
        let entry: Entry = serde_json::from_str(line).ok()?;
        let kind = Kind::of_entry(&entry.draft);
        let data = if line.len() <= MAX_ENTRY { line.to_owned() } else { shortened(&entry).to_string() };
        Some(Self {
            kind,
            number: Some(entry.number),
            changes_weights: matches!(entry.draft.what, What::Weights { .. }),
            json: written(kind, entry.time, &data),
            service: entry.draft.service.map(Into::into),
        })
    }

    /// Something that has no entry in the ledger. `data`: an object; it is given the service, too.
    #[must_use]
    pub fn without_entry(kind: Kind, service: &str, now: SystemTime, mut data: Value) -> Self {
        data["service"] = json!(service);
        let json = written(kind, Time::from(now), &data.to_string());
        Self { kind, number: None, service: Some(service.into()), changes_weights: false, json }
    }
}

fn written(kind: Kind, time: Time, data: &str) -> Arc<str> {
    format!("{{\"type\":\"{}\",\"timestamp\":\"{time}\",\"data\":{data}}}", kind.word()).into()
}

/// An entry that is too long, without what makes it so.
fn shortened(entry: &Entry) -> Value {
    let draft = &entry.draft;
    json!({
        "number": entry.number,
        "time": entry.time,
        "kind": draft.what.kind(),
        "service": draft.service,
        "actor": draft.actor,
        "reason": draft.reason,
        "rollout": draft.about.rollout,
        "shortened": true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{About, Digest};

    fn line(draft: Draft) -> String {
        let entry = Entry {
            number: 7,
            time: Time::from(SystemTime::UNIX_EPOCH),
            draft,
            late: false,
            with: None,
            before: Digest::NONE,
        };
        serde_json::to_string(&entry).unwrap()
    }

    fn kind(draft: Draft) -> Kind {
        Event::of_entry(&line(draft)).unwrap().kind
    }

    fn event(word: &str, rollout: Option<u64>) -> Draft {
        let what = What::Event { event: word.to_owned(), fields: serde_json::Map::new() };
        Draft { about: About { rollout, ..About::default() }, ..Draft::new("rollout", "", what) }
    }

    fn weights(source: Source, decision: Option<&str>, phase: Option<&str>) -> Draft {
        let about = About {
            rollout: Some(1),
            decision: decision.map(str::to_owned),
            state: phase.map(|phase| json!({ "phase": { "state": phase } })),
            ..About::default()
        };
        Draft { about, ..Draft::new("rollout", "", What::Weights { source, from: None, to: None }) }
    }

    #[test]
    fn an_entry_is_told_by_what_was_decided() {
        assert_eq!(kind(weights(Source::Rollout, Some("advanced"), Some("baking"))), Kind::Step);
        assert_eq!(kind(weights(Source::Rollout, Some("rolledBack"), Some("validating"))), Kind::Rollback);
        assert_eq!(kind(weights(Source::Rollout, Some("replaced"), Some("replacing"))), Kind::Rollout);
        assert_eq!(kind(weights(Source::Rollout, Some("drillRolledBack"), None)), Kind::Drill);
        assert_eq!(kind(weights(Source::File, None, None)), Kind::Weights);
        assert_eq!(kind(event("awaitingApproval", Some(1))), Kind::Approval);
        assert_eq!(kind(event("notValidated", Some(1))), Kind::Validation);
        assert_eq!(kind(event("approved", Some(1))), Kind::Rollout);
        assert_eq!(kind(event("drillEnded", None)), Kind::Drill);
        assert_eq!(kind(event("something", Some(1))), Kind::Rollout);
        assert_eq!(kind(event("something", None)), Kind::Ledger);
    }

    #[test]
    fn entries_of_earlier_versions_are_told_by_the_state_they_left() {
        assert_eq!(kind(weights(Source::Rollout, None, Some("validating"))), Kind::Rollback);
        assert_eq!(kind(weights(Source::Rollout, None, Some("baking"))), Kind::Step);
        assert_eq!(kind(weights(Source::Rollout, None, None)), Kind::Step);
    }

    #[test]
    fn the_entry_is_passed_on_as_it_is_written_unless_it_is_too_long() {
        let short = line(Draft::new("ada", "why", What::Note { note: "a\nb".to_owned() }));
        let told = Event::of_entry(&short).unwrap();
        assert!(told.json.ends_with(&format!("\"data\":{short}}}")) && !told.json.contains('\n'), "{}", told.json);
        let long = line(Draft::new("ada", "why", What::Note { note: "x".repeat(MAX_ENTRY) }));
        let told: Value = serde_json::from_str(&Event::of_entry(&long).unwrap().json).unwrap();
        assert_eq!(told["data"]["shortened"], true);
        assert_eq!(told["data"]["number"], 7);
        assert_eq!(Event::of_entry("{}"), None);
    }

    #[test]
    fn every_kind_has_a_word_of_its_own() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of_word(kind.word()), Some(*kind));
            assert!(kind.about().ends_with('.') && !kind.about().starts_with(' '));
        }
        assert_eq!(Kind::of_word("nothing"), None);
    }
}
