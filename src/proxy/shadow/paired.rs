//! What clients were answered to the very requests that were copied, so that a dark version is held against like with like.
//!
//! Copies are only some of the requests: of certain methods, routes and sizes, as many as there is room for. A request counts
//! here once both are known: how it ended for its client, and how its copy did. One whose copy was not sent, or not measured,
//! counts nowhere.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use crate::telemetry::{ArmCell, Began, Failure, Outcome};

/// A request that is copied, as far as its client is concerned.
#[derive(Debug)]
pub(in crate::proxy) struct Paired {
    cell: Arc<ArmCell>,
    /// When all of it was on its way to its version; from here on it is measured, as its copy is.
    since: Cell<Option<Instant>>,
    /// There while it is in flight and so is its copy, or has been.
    began: Cell<Option<Began>>,
    client: Cell<Client>,
    copy: Cell<Copied>,
}

/// What is known of the client's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    Waits,
    Answered(Outcome, u64),
    /// Counted, or never to be.
    Over,
}

/// What is known of the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copied {
    Pending,
    Measured,
    NotMeasured,
}

impl Paired {
    /// A request that counts in `cell`.
    pub(in crate::proxy) fn new(cell: &Arc<ArmCell>) -> Self {
        Self {
            cell: Arc::clone(cell),
            since: Cell::default(),
            began: Cell::default(),
            client: Cell::new(Client::Waits),
            copy: Cell::new(Copied::Pending),
        }
    }

    /// What there was of the request by now is on its way to its version; said again where there was more to come.
    pub(in crate::proxy) fn sent(&self, now: Instant) {
        self.since.set(Some(now));
    }

    /// Its copy is in flight, and `began` then.
    pub(super) fn copy_began(&self, began: Began) {
        if self.client.get() == Client::Waits {
            self.cell.begin(began);
            self.began.set(Some(began));
        }
    }

    /// Its copy has ended. `measured`: it is known how long it took.
    pub(super) fn copy_ended(&self, measured: bool) {
        self.copy.set(if measured { Copied::Measured } else { Copied::NotMeasured });
        self.count();
    }

    /// The client has its answer, or knows that there is none.
    pub(in crate::proxy) fn answered(&self, outcome: Outcome, now: Instant) {
        self.land();
        // How a client that left, or sent too much, would have fared nobody knows.
        let cut_short = matches!(outcome, Outcome::Failed(Failure::ClientGone | Failure::BodyTooLarge));
        self.client.set(match self.since.get().filter(|_| !cut_short) {
            Some(since) => {
                let nanos = now.saturating_duration_since(since).as_nanos();
                Client::Answered(outcome, u64::try_from(nanos).unwrap_or(u64::MAX))
            }
            None => Client::Over,
        });
        self.count();
    }

    fn land(&self) {
        if let Some(began) = self.began.take() {
            self.cell.turned_away(began);
        }
    }

    fn count(&self) {
        if let (Client::Answered(outcome, nanos), Copied::Measured) = (self.client.get(), self.copy.get()) {
            self.client.set(Client::Over);
            self.cell.ended(outcome, nanos);
        }
    }
}

impl Drop for Paired {
    /// The request came to no end of which anybody was told.
    fn drop(&mut self) {
        self.land();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::Registry;

    fn figures(registry: &Registry) -> (u64, u64) {
        let snapshot = registry.snapshot();
        let paired = &snapshot.shadow("shop", "new").expect("its cells").paired;
        (paired.outcomes.requests(), paired.in_flight)
    }

    #[test]
    fn a_request_counts_once_its_client_and_its_copy_are_done_in_whichever_order() {
        let registry = Registry::new(1);
        let cells = registry.shadow(0, "shop", "new");
        let start = Instant::now();
        let began = cells.arm.entered(start);
        let answered = |paired: &Paired| paired.answered(Outcome::Status(2), start + Duration::from_millis(5));
        let on_its_way = || {
            let paired = Paired::new(&cells.paired);
            paired.sent(start);
            paired.copy_began(began);
            paired
        };
        for (number, copy_first) in [(1, true), (2, false)] {
            let paired = on_its_way();
            assert_eq!(figures(&registry), (number - 1, 1));
            if copy_first {
                paired.copy_ended(true);
                answered(&paired);
            } else {
                answered(&paired);
                assert_eq!(figures(&registry), (number - 1, 0), "only its copy is on its way");
                paired.copy_ended(true);
            }
            assert_eq!(figures(&registry), (number, 0));
        }
        let took = registry.snapshot().shadow("shop", "new").expect("its cells").paired.outcomes.durations();
        assert!((0.004_8..0.005_3).contains(&took.quantile(0.5).expect("two").value), "{took:?}");
    }

    #[test]
    fn what_is_not_known_of_both_counts_nowhere_and_stays_in_flight_no_longer() {
        let registry = Registry::new(1);
        let cells = registry.shadow(0, "shop", "new");
        let start = Instant::now();
        let began = cells.arm.entered(start);
        let paired = || Paired::new(&cells.paired);
        // Never sent; its copy not measured; its client gone; nobody told of its end.
        paired().answered(Outcome::Status(2), start);
        let each: [&dyn Fn(&Paired); 3] = [
            &|paired| {
                paired.copy_ended(false);
                paired.answered(Outcome::Status(2), start);
            },
            &|paired| {
                paired.answered(Outcome::Failed(Failure::ClientGone), start);
                paired.copy_ended(true);
            },
            &|paired| paired.copy_ended(true),
        ];
        for what in each {
            let paired = paired();
            paired.sent(start);
            paired.copy_began(began);
            what(&paired);
            drop(paired);
            assert_eq!(figures(&registry), (0, 0));
        }
    }
}
