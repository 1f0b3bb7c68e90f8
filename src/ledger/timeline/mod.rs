//! What happened in one rollout, put together from the entries that concern it: for a review after an incident.

mod markdown;
#[cfg(test)]
mod tests;

use std::time::SystemTime;

use serde::Serialize;
use serde_json::Value;

use super::{Count, Entry, Figures, Time, Weights, What};

/// What happened in one rollout.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeline {
    /// Its number.
    pub rollout: u64,
    /// Whose it is.
    pub service: String,
    /// The version that everything goes back to; empty where no entry says so.
    pub from: String,
    /// The version that was widened.
    pub to: String,
    /// Where it stands by its last entry: `baking`, `rolledBack`, `completed` and so on; `removed`: its plan was taken away.
    pub state: String,
    /// Hash of its plan.
    pub plan_hash: Option<String>,
    /// The plan, as it was written down when it started.
    pub plan: Option<Value>,
    /// Its first entry.
    pub began: Time,
    /// Its last entry.
    pub last: Time,
    /// Who started it, and why.
    pub started: Option<Said>,
    /// How the version was withdrawn, where it was; the last time, if several.
    pub withdrawal: Option<Withdrawal>,
    /// Whether the service was seen to be as before after that.
    pub validation: Option<Validation>,
    /// What was counted in the run.
    pub counted: Option<Counted>,
    /// The verdict that decided; else the last there is.
    pub verdict: Option<Judged>,
    /// Who agreed.
    pub approvals: Vec<Said>,
    /// The weights over time.
    pub weights: Vec<Weighed>,
    /// Everything that happened, with what happened to the service meanwhile, but for how long steps have been baking.
    pub moments: Vec<Moment>,
}

/// An entry that matters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Said {
    /// Its number.
    pub entry: u64,
    /// When.
    pub time: Time,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// How the version was withdrawn.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Withdrawal {
    /// The entry.
    #[serde(flatten)]
    pub said: Said,
    /// When its first failure in the run was seen.
    pub first_failure: Option<Time>,
    /// Seconds from there to the withdrawal.
    pub seconds_since_first_failure: Option<f64>,
    /// The same in the step that it was withdrawn from.
    pub first_failure_of_step: Option<Time>,
    /// Seconds from there to the withdrawal.
    pub seconds_since_first_failure_of_step: Option<f64>,
}

/// Whether the service was as before.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Validation {
    /// The entry.
    #[serde(flatten)]
    pub said: Said,
    /// Whether it was seen to be.
    pub well: bool,
    /// Seconds from the withdrawal to this.
    pub seconds_since_withdrawal: Option<f64>,
}

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counted {
    /// Of the version that everything goes back to.
    pub from: Count,
    /// Of the version that was widened.
    pub to: Count,
    /// How often counting began anew, with a process that took the run up: what came between the last entry before and the
    /// restart is missing.
    pub restarts: usize,
}

/// A verdict and its entry.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// The entry.
    pub entry: u64,
    /// What the judge said, as it is written.
    pub verdict: Value,
}

/// Weights from a time on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Weighed {
    /// The entry.
    pub entry: u64,
    /// When.
    pub time: Time,
    /// Who.
    pub actor: String,
    /// The weights of all versions; `None`: the service is gone.
    pub weights: Option<Weights>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moment {
    /// The entry.
    #[serde(flatten)]
    pub said: Said,
    /// What, in a word: what was decided, else the kind of the entry.
    pub what: String,
    /// Whether it belongs to the rollout, and not only to its service.
    pub own: bool,
    /// It was written after it took effect.
    pub late: bool,
}

impl Timeline {
    /// That of `rollout`, by entries in their order: all that belong to it, and others about its service. `None`: none belongs to it.
    #[must_use]
    pub fn of(rollout: u64, entries: &[Entry]) -> Option<Self> {
        let own: Vec<&Entry> = entries.iter().filter(|entry| entry.draft.about.rollout == Some(rollout)).collect();
        let (first, last) = (*own.first()?, *own.last()?);
        let service = own.iter().find_map(|entry| entry.draft.service.clone())?;
        let removed = own.last().is_some_and(|entry| word(entry) == "removed");
        let state =
            own.iter().rev().find_map(|entry| entry.draft.about.state.as_ref().filter(|state| state.is_object()));
        let text = |key: &str| state.and_then(|state| state[key].as_str()).unwrap_or_default().to_owned();
        let plan = own.iter().find_map(|entry| match &entry.draft.what {
            What::Event { event, fields } if event == "plan" => fields.get("plan").cloned(),
            _ => None,
        });
        let concerned: Vec<&Entry> = entries
            .iter()
            .filter(|entry| (first.number..=last.number).contains(&entry.number))
            .filter(|entry| entry.draft.service.as_ref() == Some(&service))
            .collect();
        let withdrawal = own.iter().rev().find(|entry| is_withdrawal(entry)).map(|entry| withdrawal(entry, &own));
        Some(Self {
            rollout,
            from: text("from"),
            to: text("to"),
            state: if removed { "removed" } else { state.and_then(phase).unwrap_or("unknown") }.to_owned(),
            plan_hash: state.and_then(|state| state["plan"].as_str()).map(str::to_owned),
            plan,
            began: first.time,
            last: last.time,
            started: own
                .iter()
                .find(|entry| word(entry) == "started" || word(entry) == "awaitingApproval")
                .map(|entry| said(entry)),
            validation: own.iter().rev().find_map(|entry| validation(entry, withdrawal.as_ref())),
            verdict: judged(&own, withdrawal.as_ref()),
            withdrawal,
            counted: counted(&own),
            approvals: own
                .iter()
                .filter(|entry| matches!(entry.draft.what, What::Approval { .. }))
                .map(|entry| said(entry))
                .collect(),
            weights: concerned.iter().filter_map(|entry| weighed(entry)).collect(),
            moments: concerned
                .iter()
                .filter(|entry| word(entry) != "progress" && word(entry) != "plan")
                .map(|entry| Moment {
                    said: said(entry),
                    what: word(entry).to_owned(),
                    own: entry.draft.about.rollout == Some(rollout),
                    late: entry.late,
                })
                .collect(),
            service,
        })
    }
}

/// What was decided, as far as the entry says so; else its kind.
fn word(entry: &Entry) -> &str {
    match (&entry.draft.about.decision, &entry.draft.what) {
        (Some(decision), _) => decision,
        (None, What::Event { event, .. }) => event,
        (None, what) => what.kind(),
    }
}

fn phase(state: &Value) -> Option<&str> {
    state["phase"]["state"].as_str()
}

fn said(entry: &Entry) -> Said {
    let draft = &entry.draft;
    Said { entry: entry.number, time: entry.time, actor: draft.actor.clone(), reason: draft.reason.clone() }
}

fn weighed(entry: &Entry) -> Option<Weighed> {
    let What::Weights { to, .. } = &entry.draft.what else { return None };
    Some(Weighed { entry: entry.number, time: entry.time, actor: entry.draft.actor.clone(), weights: to.clone() })
}

/// Whether everything was taken from the version by it. Entries of earlier versions say so by the state they left alone.
fn is_withdrawal(entry: &Entry) -> bool {
    let is_weights = matches!(entry.draft.what, What::Weights { .. });
    is_weights
        && match &entry.draft.about.decision {
            Some(decision) => decision == "rolledBack" || decision == "aborted",
            None => entry.draft.about.state.as_ref().and_then(phase) == Some("validating"),
        }
}

fn withdrawal(entry: &Entry, own: &[&Entry]) -> Withdrawal {
    let figures = own.iter().filter_map(|entry| entry.draft.about.figures.as_ref());
    let first_failure = figures.filter_map(|figures| figures.first_failure).min();
    let first_failure_of_step = entry.draft.about.figures.as_ref().and_then(|figures| figures.first_failure_of_step);
    Withdrawal {
        said: said(entry),
        first_failure,
        seconds_since_first_failure: first_failure.map(|first| seconds(first, entry.time)),
        first_failure_of_step,
        seconds_since_first_failure_of_step: first_failure_of_step.map(|first| seconds(first, entry.time)),
    }
}

fn validation(entry: &Entry, withdrawal: Option<&Withdrawal>) -> Option<Validation> {
    let well = match word(entry) {
        "validated" => true,
        "notValidated" => false,
        _ => return None,
    };
    let seconds_since_withdrawal = withdrawal.map(|withdrawal| seconds(withdrawal.said.time, entry.time));
    Some(Validation { said: said(entry), well, seconds_since_withdrawal })
}

fn judged(own: &[&Entry], withdrawal: Option<&Withdrawal>) -> Option<Judged> {
    let judged = |entry: &&&Entry| entry.draft.about.verdict.is_some();
    let decided = own.iter().filter(judged).find(|entry| withdrawal.is_some_and(|w| w.said.entry == entry.number));
    let entry = decided.or_else(|| own.iter().rev().find(judged))?;
    Some(Judged { entry: entry.number, verdict: entry.draft.about.verdict.clone()? })
}

/// The last figures of each process that counted, together.
fn counted(own: &[&Entry]) -> Option<Counted> {
    let mut lasts: Vec<&Figures> = Vec::new();
    for figures in own.iter().filter_map(|entry| entry.draft.about.figures.as_ref()) {
        match lasts.iter_mut().find(|last| last.since == figures.since) {
            Some(last) => *last = figures,
            None => lasts.push(figures),
        }
    }
    let sum = |of: fn(&Figures) -> Count| lasts.iter().fold(Count::default(), |sum, figures| sum.plus(of(figures)));
    let restarts = lasts.len().checked_sub(1)?;
    Some(Counted { from: sum(|figures| figures.run.from), to: sum(|figures| figures.run.to), restarts })
}

fn seconds(from: Time, to: Time) -> f64 {
    let (from, to) = (SystemTime::from(from), SystemTime::from(to));
    to.duration_since(from).map_or(0.0, |passed| passed.as_secs_f64())
}
