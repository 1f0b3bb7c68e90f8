//! The figures one worker writes. Everybody else only reads them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use crate::stats::Histogram;

use super::in_flight::InFlight;
use super::{
    Began, Failure, FallbackResult, Outcome, Refusal, RetryResult, Shed, TokenResult, VersionSnapshot, Why,
    WorkerSnapshot,
};

/// One worker's figures for one version of a service. **Written by that worker only**: its counters are loaded and
/// stored, not added to atomically, which is what makes them nearly free.
#[derive(Debug)]
#[repr(align(64))] // no cache line is shared with another worker's cell
pub struct VersionCell {
    /// What times are counted from.
    epoch: Instant,
    in_flight: Gauge,
    /// There from the first request on.
    in_flight_since: OnceLock<Box<InFlight>>,
    picks: [Counter; Why::ALL.len()],
    /// Requests are counted by their durations; a histogram exists from its outcome's first use.
    outcomes: [OnceLock<Box<Histogram>>; Outcome::COUNT],
    first_byte: Histogram,
    upstream_failures: [Counter; Failure::ALL.len()],
    retries: [Counter; RetryResult::ALL.len()],
    fallbacks: [Counter; FallbackResult::ALL.len()],
    fallback_open: Gauge,
    connections_open: Gauge,
    connections_idle: Gauge,
    shed: [Counter; Shed::ALL.len()],
    concurrency_limit: Gauge,
    queued: Gauge,
}

impl VersionCell {
    pub(super) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            in_flight: Gauge::zero(),
            in_flight_since: OnceLock::new(),
            picks: [const { Counter::zero() }; _],
            outcomes: [const { OnceLock::new() }; _],
            first_byte: Histogram::new(),
            upstream_failures: [const { Counter::zero() }; _],
            retries: [const { Counter::zero() }; _],
            fallbacks: [const { Counter::zero() }; _],
            fallback_open: Gauge::zero(),
            connections_open: Gauge::zero(),
            connections_idle: Gauge::zero(),
            shed: [const { Counter::zero() }; _],
            concurrency_limit: Gauge::zero(),
            queued: Gauge::zero(),
        }
    }

    /// A request goes to this version. Each `begin` and `begin_again` is followed by exactly one [`Self::end`] or
    /// [`Self::shed`].
    #[inline]
    pub fn begin(&self, why: Why) {
        self.picks[why as usize].increase();
        self.in_flight.change(1);
    }

    /// A request goes to this version once more.
    pub fn begin_again(&self) {
        self.in_flight.change(1);
    }

    /// A request that began at `started` is in flight here. Given back to [`Self::left`] exactly once, before the request's
    /// [`Self::end`] or [`Self::shed`].
    #[inline]
    pub fn entered(&self, started: Instant) -> Began {
        // 2⁶⁴ ns are 584 years.
        let nanos = started.saturating_duration_since(self.epoch).as_nanos() as u64;
        self.in_flight_since.get_or_init(Box::default).enter(nanos)
    }

    /// A request is no longer in flight here, or is about to enter again.
    #[inline]
    pub fn left(&self, began: Began) {
        if let Some(in_flight) = self.in_flight_since.get() {
            in_flight.leave(began);
        }
    }

    /// The head of the response is on its way to the client, `nanos` after the request's head came in.
    #[inline]
    pub fn first_byte(&self, nanos: u64) {
        self.first_byte.record_nanos(nanos);
    }

    /// The exchange is over, `nanos` after the request's head came in.
    #[inline]
    pub fn end(&self, outcome: Outcome, nanos: u64) {
        self.in_flight.change(-1);
        self.outcomes[outcome.slot()].get_or_init(Box::default).record_nanos(nanos);
    }

    /// The exchange was given up: how long it would have taken nobody knows.
    pub fn given_up(&self) {
        self.in_flight.change(-1);
    }

    /// The request was turned away before it reached the version, which had too much to do.
    pub fn shed(&self, why: Shed) {
        self.in_flight.change(-1);
        self.shed[why as usize].increase();
    }

    /// So many requests may be in flight, and so many wait for room. A limit of 0: there is none.
    #[inline]
    pub fn concurrency(&self, limit: u32, queued: usize) {
        self.concurrency_limit.set(i64::from(limit));
        self.queued.set(i64::try_from(queued).unwrap_or(i64::MAX));
    }

    /// An exchange with an upstream failed; counted also where a second try then succeeds.
    pub fn upstream_failure(&self, kind: Failure) {
        self.upstream_failures[kind as usize].increase();
    }

    /// What became of sending a request to this version again.
    pub fn retried(&self, result: RetryResult) {
        self.retries[result as usize].increase();
    }

    /// What became of a request to this version that another one was to answer.
    pub fn fell_back(&self, result: FallbackResult) {
        self.fallbacks[result as usize].increase();
    }

    /// Requests for this version go to another one at once from now on (1), or do not any more (-1).
    pub fn fallback_open(&self, delta: i64) {
        self.fallback_open.change(delta);
    }

    /// A connection to an upstream is open; it counts as active until [`Self::connection_idle`] says otherwise.
    pub fn connection_opened(&self) {
        self.connections_open.change(1);
    }

    /// An **active** connection is closed. One that is idle becomes active first: `connection_idle(-1)`, then this.
    pub fn connection_closed(&self) {
        self.connections_open.change(-1);
    }

    /// `delta` open connections went from active to idle (into the pool: 1), or back (taken, or found dead: -1).
    #[inline]
    pub fn connection_idle(&self, delta: i64) {
        self.connections_idle.change(delta);
    }

    /// Adds this worker's figures to those of the others.
    pub(super) fn add_to(&self, total: &mut VersionSnapshot) {
        for (outcome, cell) in Outcome::all().zip(&self.outcomes) {
            if let Some(histogram) = cell.get() {
                total.outcomes.add(outcome, &histogram.snapshot());
            }
        }
        total.first_byte.merge(&self.first_byte.snapshot());
        total.in_flight += self.in_flight.value();
        for (sum, counter) in total.picks.iter_mut().zip(&self.picks) {
            *sum += counter.value();
        }
        for (sum, counter) in total.upstream_failures.iter_mut().zip(&self.upstream_failures) {
            *sum += counter.value();
        }
        for (sum, counter) in total.shed.iter_mut().zip(&self.shed) {
            *sum += counter.value();
        }
        total.concurrency_limit += self.concurrency_limit.value();
        total.queued += self.queued.value();
        for (sum, counter) in total.retries.iter_mut().zip(&self.retries) {
            *sum += counter.value();
        }
        for (sum, counter) in total.fallbacks.iter_mut().zip(&self.fallbacks) {
            *sum += counter.value();
        }
        total.fallback_open += self.fallback_open.value();
        let idle = self.connections_idle.value();
        total.connections.idle += idle;
        total.connections.active += self.connections_open.value().saturating_sub(idle);
        // After the outcomes, so that no request is both: ended, and still in flight.
        if let Some(in_flight) = self.in_flight_since.get() {
            in_flight.read(&mut total.in_flight_since);
        }
    }
}

/// One worker's figures that belong to no version. **Written by that worker only.**
#[derive(Debug)]
#[repr(align(64))]
pub struct WorkerCell {
    connections: Gauge,
    accepted: Counter,
    refusals: [Counter; Refusal::ALL.len()],
    access_log_dropped: Counter,
    spans_dropped: Counter,
    tokens: [Counter; TokenResult::ALL.len()],
}

impl WorkerCell {
    pub(super) fn new() -> Self {
        Self {
            connections: Gauge::zero(),
            accepted: Counter::zero(),
            refusals: [const { Counter::zero() }; _],
            access_log_dropped: Counter::zero(),
            spans_dropped: Counter::zero(),
            tokens: [const { Counter::zero() }; _],
        }
    }

    /// A client's connection was accepted.
    pub fn connection_opened(&self) {
        self.accepted.increase();
        self.connections.change(1);
    }

    /// A client's connection is closed.
    pub fn connection_closed(&self) {
        self.connections.change(-1);
    }

    /// A request or a connection was refused before it reached a version.
    pub fn refused(&self, kind: Refusal) {
        self.refusals[kind as usize].increase();
    }

    /// The access log was too slow for a line.
    pub fn access_log_dropped(&self) {
        self.access_log_dropped.increase();
    }

    /// The queue of spans was full for one.
    pub fn span_dropped(&self) {
        self.spans_dropped.increase();
    }

    /// A request's token was looked at.
    pub fn token(&self, result: TokenResult) {
        self.tokens[result as usize].increase();
    }

    pub(super) fn snapshot(&self) -> WorkerSnapshot {
        WorkerSnapshot {
            connections: self.connections.value(),
            accepted: self.accepted.value(),
            refusals: Refusal::ALL.map(|kind| self.refusals[kind as usize].value()),
            access_log_dropped: self.access_log_dropped.value(),
            spans_dropped: self.spans_dropped.value(),
            tokens: TokenResult::ALL.map(|result| self.tokens[result as usize].value()),
        }
    }
}

/// A count with one writer.
#[derive(Debug)]
struct Counter(AtomicU64);

impl Counter {
    const fn zero() -> Self {
        Self(AtomicU64::new(0))
    }

    #[inline]
    fn increase(&self) {
        self.0.store(self.0.load(Relaxed) + 1, Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A level with one writer.
#[derive(Debug)]
pub(super) struct Gauge(AtomicI64);

impl Gauge {
    pub(super) const fn zero() -> Self {
        Self(AtomicI64::new(0))
    }

    #[inline]
    pub(super) fn change(&self, delta: i64) {
        self.0.store(self.0.load(Relaxed) + delta, Relaxed);
    }

    #[inline]
    fn set(&self, level: i64) {
        self.0.store(level, Relaxed);
    }

    /// The level; whoever writes keeps it from falling below 0.
    pub(super) fn value(&self) -> u64 {
        u64::try_from(self.0.load(Relaxed)).unwrap_or(0)
    }
}
