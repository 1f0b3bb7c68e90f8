//! Requests that are turned away: counted, said, answered.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderValue, StatusCode, header};

use super::problem::Problem;
use super::serve::Admin;
use crate::access::{Bucket, Throttle};
use crate::telemetry::AuthFailure;

/// Most refusals in a minute that are said, so that nobody can fill a disk with them; all are counted.
const SAID: u32 = 60;

/// What is remembered of those who were turned away.
#[derive(Debug)]
pub struct Memory(Mutex<State>);

#[derive(Debug)]
pub(super) struct State {
    pub(super) throttle: Throttle,
    saying: Bucket,
    unsaid: u64,
}

impl Memory {
    /// Nobody was turned away yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        let saying = Bucket::full(SAID, Duration::from_secs(60), now);
        Self(Mutex::new(State { throttle: Throttle::new(now), saying, unsaid: 0 }))
    }

    /// Every change is whole before the lock is given back, so a panic elsewhere leaves nothing half done.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether one more is said, and then how many were not before.
    fn say(&mut self, now: Instant) -> Option<u64> {
        if self.saying.take(now).is_ok() {
            Some(std::mem::take(&mut self.unsaid))
        } else {
            self.unsaid += 1;
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

/// What was asked, for the log.
#[derive(Debug, Clone)]
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
        if let Some(unsaid) = self.memory.state().say(Instant::now()) {
            let (reason, Asked { who, from, what, .. }) = (refusal.why.label(), asked);
            if unsaid > 0 {
                tracing::warn!(unsaid, "more requests to the admin API were turned away than are said");
            }
            tracing::warn!(%reason, %who, %from, %what, "a request to the admin API was turned away");
        }
        refusal.problem()
    }
}
