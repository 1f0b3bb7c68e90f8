//! Sending a request again: to the same version by the route's `retry`, then to another one by the service's `fallback`.
//!
//! Nothing of this exists for a request that has neither: [`Again`] is the price of those that do.

use std::rc::Rc;
use std::time::Instant;

use http::{HeaderName, Method, Response, request};

use super::ask::Asked;
use super::pick::Picked;
use super::record::is_grpc_unavailable;
use super::time_limit;
use crate::plan::{Fallback, Matched, Retry, Rpc, Timeouts, VersionId};
use crate::proxy::retry::{Admit, Decision, Next, Resend, Situation, Trouble, next};
use crate::proxy::view::Target;
use crate::telemetry::{Failure, FallbackResult, RetryResult, Why};
use crate::upstream::{BodyWatch, Replay, RequestBody};
use crate::wire::Incoming;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What it takes to send one request again.
#[derive(Debug)]
pub(super) struct Again {
    /// The head for the picked version, before the route's filters.
    head: Option<request::Parts>,
    /// The path prefix that matched.
    prefix: Option<Box<str>>,
    pub(super) asked: AskedOnce,
    body: Option<Replay>,
    /// Its method or a key says that it can do no harm to send it twice.
    repeatable: bool,
    /// It may have to be sent again after some of its body was.
    keeps_body: bool,
    /// It may leave HTTP, and is sent once.
    upgrades: bool,
    /// The end of the whole exchange, where there is one.
    whole: Option<Instant>,
    /// The version tried first.
    first: VersionId,
    admitted: Admit,
    /// The version that answers what the first one fails.
    fallback: Option<Fallback>,
    stage: Stage,
    resend: Rc<Resend>,
}

/// What of the question is needed for each try.
#[derive(Debug, Clone, Copy)]
pub(super) struct AskedOnce {
    pub(super) glance: super::glance::Glance,
    pub(super) names_host: bool,
}

/// Which try this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// At the first version, after so many retries.
    There(u32),
    /// At the other version.
    FellBack,
}

impl Again {
    /// What may be done if the version fails. A version that failed too often is passed over right here: then `picked`
    /// becomes the other one, and it is said in `target`'s figures. `None`: nothing.
    pub(super) fn begin(
        matched: Matched<'_>,
        fallback: Option<Fallback>,
        resend: &Rc<Resend>,
        picked: &mut Picked,
        target: &Target,
        parts: &request::Parts,
        (asked, timeouts, started, draw): (&Asked, Timeouts, Instant, u64),
    ) -> Option<Box<Self>> {
        let retries = matched.route.retry.is_some();
        if retries {
            resend.deposit(started);
        }
        let repeatable = is_repeatable(&parts.method, parts);
        let first = picked.version;
        // Whoever chose by hand wants to see that version.
        let mut fallback = fallback.filter(|fallback| fallback.to != first && picked.why != Why::Override);
        let mut admitted = Admit::Try;
        if let Some(other) = fallback {
            admitted = resend.admit(first, started, draw, repeatable);
            if admitted == Admit::AtOnce {
                target.cell.fell_back(FallbackResult::AtOnce);
                *picked = Picked { version: other.to, why: Why::Fallback };
                fallback = None;
            }
        }
        (retries || fallback.is_some()).then(|| {
            Box::new(Self {
                head: None,
                prefix: matched.prefix.map(Box::from),
                asked: AskedOnce { glance: asked.glance, names_host: asked.host_header.is_some() },
                body: None,
                repeatable,
                // gRPC calls are POST, and sent again where they were not taken up.
                keeps_body: repeatable
                    || (fallback.is_some_and(|to| to.on.grpc_unavailable) && Rpc::of_request(parts).is_some()),
                upgrades: false,
                whole: time_limit::whole(timeouts, started),
                first: picked.version,
                admitted,
                fallback,
                stage: Stage::There(0),
                resend: Rc::clone(resend),
            })
        })
    }

    /// Keeps the head as it is before the route's filters.
    pub(super) fn keep_head(&mut self, parts: &request::Parts, upgrades: bool) {
        self.head = Some(parts.clone());
        self.upgrades = upgrades;
    }

    /// Keeps the body while it is sent, up to the bound of the rule that asks for more.
    pub(super) fn keep_body(
        &mut self,
        body: Incoming,
        limit: Option<u64>,
        watch: &Rc<BodyWatch>,
        retry: Option<&Retry>,
    ) -> RequestBody {
        let most = [retry.map(|retry| retry.body_bytes), self.fallback.map(|fallback| fallback.body_bytes)];
        let most = most.into_iter().flatten().max().filter(|_| self.keeps_body).unwrap_or(0);
        self.body.insert(RequestBody::replayable(body, limit, Rc::clone(watch), most)).body()
    }

    /// What comes after a try that met this trouble; says in the figures what became of it. `target`: of the first version.
    pub(super) fn settle(
        &mut self,
        trouble: Option<Trouble>,
        retry: Option<&Retry>,
        unsent: bool,
        target: &Target,
        draw: f64,
    ) -> Next {
        let now = Instant::now();
        let retry = retry.filter(|_| self.stage != Stage::FellBack);
        let fallback = self.fallback.filter(|_| self.stage != Stage::FellBack);
        self.count(trouble, retry, target);
        let Some(trouble) = trouble else {
            self.report(None, fallback, now);
            return Next::Answer;
        };
        let not_taken_up = matches!(trouble, Trouble::Answered { grpc_unavailable: true, .. });
        let is_whole = self.body.as_ref().is_none_or(Replay::is_whole);
        let situation = Situation {
            trouble,
            retry,
            fallback: fallback.map(|fallback| fallback.on),
            retries: if let Stage::There(retries) = self.stage { retries } else { 0 },
            safe: !self.upgrades && is_whole && (self.repeatable || unsent || not_taken_up),
            time_left: self.whole.map(|whole| whole.saturating_duration_since(now)),
        };
        let Decision { next, unsafe_retry, unsafe_fallback, over_budget } =
            next(&situation, || self.resend.withdraw(now), draw);
        if unsafe_retry {
            target.cell.retried(RetryResult::NotReplayable);
        }
        if over_budget {
            target.cell.retried(RetryResult::BudgetExhausted);
        }
        if unsafe_fallback {
            target.cell.fell_back(FallbackResult::NotReplayable);
        }
        if !matches!(next, Next::Retry { .. }) {
            self.report(Some(trouble), fallback, now);
        }
        match next {
            Next::Answer => return next,
            Next::Retry { .. } => self.stage = Stage::There(situation.retries + 1),
            Next::FallBack => self.stage = Stage::FellBack,
        }
        if let Some(body) = &self.body {
            body.stop();
        }
        next
    }

    /// Counts how a try went that was not the first.
    fn count(&self, trouble: Option<Trouble>, retry: Option<&Retry>, target: &Target) {
        let no_answer = matches!(trouble, Some(Trouble::Failed(_)));
        match self.stage {
            Stage::There(0) => {}
            Stage::There(_) => {
                let again = retry.zip(trouble).is_some_and(|(retry, trouble)| trouble.is_worth_a_retry(retry));
                target.cell.retried(if again || no_answer { RetryResult::Failure } else { RetryResult::Success });
            }
            Stage::FellBack => {
                let again = self.fallback.zip(trouble).is_some_and(|(rule, trouble)| trouble.is_answered_for(rule.on));
                target.cell.fell_back(if again || no_answer {
                    FallbackResult::Failure
                } else {
                    FallbackResult::Success
                });
            }
        }
    }

    /// Says how the first version did, once it is not tried any more. `fallback`: unless another one is asked already.
    fn report(&self, trouble: Option<Trouble>, fallback: Option<Fallback>, now: Instant) {
        let Some(fallback) = fallback else { return };
        if trouble.is_some_and(|trouble| trouble.is_answered_for(fallback.on)) {
            self.resend.failed(self.first, now, self.admitted);
        } else if !is_clients_own(trouble) {
            self.resend.well(self.first, self.admitted);
        }
    }

    /// The version that answers now.
    pub(super) fn fallback_version(&self) -> Option<VersionId> {
        self.fallback.map(|fallback| fallback.to)
    }

    /// The version tried first.
    pub(super) fn first(&self) -> VersionId {
        self.first
    }

    /// The end of the whole exchange, where there is one.
    pub(super) fn whole(&self) -> Option<Instant> {
        self.whole
    }

    /// The head as it was kept; for the last time where no try can follow.
    pub(super) fn head(&mut self) -> Option<request::Parts> {
        if self.stage == Stage::FellBack { self.head.take() } else { self.head.clone() }
    }

    /// The body from its beginning.
    pub(super) fn body(&self) -> RequestBody {
        self.body.as_ref().map(Replay::body).unwrap_or_default()
    }

    /// The path prefix that matched.
    pub(super) fn prefix(&self) -> Option<&str> {
        self.prefix.as_deref()
    }
}

/// Whether it can do no harm to send a request twice (RFC 9110, section 9.2.2, and the `Idempotency-Key` draft).
fn is_repeatable(method: &Method, parts: &request::Parts) -> bool {
    method.is_idempotent() || parts.headers.get(IDEMPOTENCY_KEY).is_some_and(|key| !key.is_empty())
}

/// What went wrong with a try that was sent.
pub(super) fn trouble(sent: Result<&Response<()>, Failure>) -> Option<Trouble> {
    match sent {
        Err(failure) => Some(Trouble::Failed(failure)),
        Ok(response) => {
            let status = response.status().as_u16();
            let grpc_unavailable = is_grpc_unavailable(response.headers());
            (status >= 400 || grpc_unavailable).then_some(Trouble::Answered { status, grpc_unavailable })
        }
    }
}

/// A failure that says nothing about the version.
fn is_clients_own(trouble: Option<Trouble>) -> bool {
    matches!(trouble, Some(Trouble::Failed(Failure::ClientGone | Failure::BodyTooLarge | Failure::Internal)))
}
