//! Requests that are turned away: counted, said, recorded where they would have changed something, answered.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderValue, StatusCode, header};

use super::problem::Problem;
use super::serve::Admin;
use crate::access::{Bucket, Throttle};
use crate::ledger::{Draft, What, clip};
use crate::telemetry::AuthFailure;

/// Most refusals in a minute that are said, so that nobody can fill a disk with them; all are counted.
const SAID: u32 = 60;
/// Most refusals in an hour that the ledger records: it keeps what matters for as long as there is room for it.
const RECORDED: u32 = 20;
/// Longest name that is recorded, in characters.
const MAX_NAME: usize = 200;

/// What is remembered of those who were turned away.
#[derive(Debug)]
pub struct Memory(Mutex<State>);

#[derive(Debug)]
pub(super) struct State {
    pub(super) throttle: Throttle,
    saying: Limited,
    recording: Limited,
}

/// Something that is done so often and no more.
#[derive(Debug)]
struct Limited {
    bucket: Bucket,
    left_out: u64,
}

impl Memory {
    /// Nobody was turned away yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        let saying = Limited::new(SAID, Duration::from_mins(1), now);
        let recording = Limited::new(RECORDED, Duration::from_hours(1), now);
        Self(Mutex::new(State { throttle: Throttle::new(now), saying, recording }))
    }

    /// Every change is whole before the lock is given back, so a panic elsewhere leaves nothing half done.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Limited {
    fn new(most: u32, within: Duration, now: Instant) -> Self {
        Self { bucket: Bucket::full(most, within, now), left_out: 0 }
    }

    /// Whether it is done once more, and then how often it was not before.
    fn once_more(&mut self, now: Instant) -> Option<u64> {
        if self.bucket.take(now).is_ok() {
            Some(std::mem::take(&mut self.left_out))
        } else {
            self.left_out += 1;
            None
        }
    }
}

/// A request that is turned away.
#[derive(Debug)]
pub(super) struct Refusal {
    /// How it is counted.
    pub(super) why: AuthFailure,
    /// How it is answered.
    pub(super) status: StatusCode,
    /// What the answer says; never anything of a token.
    pub(super) detail: String,
    /// When to come again.
    pub(super) retry_after: Option<Duration>,
}

/// What was asked, for the log and the ledger.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    /// Who, as far as that is known.
    pub(super) who: String,
    /// From where.
    pub(super) from: String,
    /// Method and path.
    pub(super) what: String,
    /// It would have changed something.
    pub(super) changes: bool,
}

impl Refusal {
    pub(super) fn new(why: AuthFailure, status: StatusCode, detail: impl Into<String>) -> Self {
        Self { why, status, detail: detail.into(), retry_after: None }
    }

    /// The answer to it.
    fn problem(self) -> Problem {
        let problem = Problem::new(self.status, self.detail);
        let problem = match self.retry_after {
            Some(wait) => problem.with(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1)),
            None => problem,
        };
        if self.status == StatusCode::UNAUTHORIZED {
            problem.with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"serin\""))
        } else {
            problem
        }
    }
}

impl Admin {
    /// Turns a request away.
    pub(super) fn turn_away(&self, refusal: Refusal, asked: &Asked) -> Problem {
        self.registry.admin().turned_away(refusal.why);
        let now = Instant::now();
        let said = self.memory.state().saying.once_more(now);
        if let Some(unsaid) = said {
            let (reason, Asked { who, from, what, .. }) = (refusal.why.label(), asked);
            if unsaid > 0 {
                tracing::warn!(unsaid, "more requests to the admin API were turned away than are said");
            }
            tracing::warn!(%reason, %who, %from, %what, "a request to the admin API was turned away");
        }
        let recorded = if asked.changes { self.memory.state().recording.once_more(now) } else { None };
        if let Some(unrecorded) = recorded {
            self.record(refusal.why, asked, unrecorded);
        }
        refusal.problem()
    }

    /// Has the ledger record that a change was refused; whoever asked for it does not wait for that.
    fn record(&self, why: AuthFailure, asked: &Asked, unrecorded: u64) {
        let more = if unrecorded > 0 { format!("; {unrecorded} more before were not recorded") } else { String::new() };
        let reason = format!("{} from {}{more}", why.label(), asked.from);
        let mut draft = Draft::new(clip(&asked.who, MAX_NAME), reason, What::Refusal { asked: asked.what.clone() });
        let plan = self.plan();
        let concerned = |name: &str| asked.what.contains(&format!("/services/{name}/"));
        draft.service = plan.services.iter().find(|service| concerned(&service.name)).map(|s| s.name.to_string());
        let control = self.control.clone();
        tokio::spawn(async move {
            // Not kept where it cannot be written: there, what is in force comes first.
            if let Err(error) = control.record(draft).await {
                tracing::warn!(%error, "a refusal could not be recorded");
            }
        });
    }
}
