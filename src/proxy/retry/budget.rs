//! A bound on added tries: a share of the requests of the last ten seconds, and a few a second in any case.
//!
//! Source: the retry budgets of Finagle (`com.twitter.finagle.service.RetryBudget`) and tower (`TpsBudget`). Every
//! request deposits a little, every added try withdraws what a hundred percent of requests would have deposited, and both
//! are forgotten after ten seconds.

use std::time::{Duration, Instant};

/// How long deposits and withdrawals count.
const WINDOW: Duration = Duration::from_secs(WINDOW_SECONDS as u64);
const WINDOW_SECONDS: u32 = 10;
/// Pieces of it that are forgotten one by one.
const SLOTS: usize = 10;
const SLOT: Duration = Duration::from_secs(WINDOW.as_secs() / SLOTS as u64);
/// What one added try costs; a request deposits its hundredths of a percent of this.
const COST: i64 = 10_000;

/// A budget for added tries.
#[derive(Debug)]
pub(super) struct Budget {
    /// Deposits less withdrawals, by time.
    slots: [i64; SLOTS],
    /// The slot of now.
    current: usize,
    /// When the slot of now began; `None` before the first use.
    began: Option<Instant>,
    deposit: i64,
    reserve: i64,
}

impl Budget {
    /// A budget of `share` (hundredths of a percent) of the requests and at least `min_per_second`.
    pub(super) fn new(share: u32, min_per_second: u32) -> Self {
        let reserve = i64::from(min_per_second) * i64::from(WINDOW_SECONDS) * COST;
        Self { slots: [0; SLOTS], current: 0, began: None, deposit: i64::from(share), reserve }
    }

    /// A client's request has come.
    pub(super) fn deposit(&mut self, now: Instant) {
        self.forget(now);
        self.slots[self.current] += self.deposit;
    }

    /// A try is to be added. Whether there is room for it, which is then used up.
    pub(super) fn withdraw(&mut self, now: Instant) -> bool {
        self.forget(now);
        let balance = self.reserve + self.slots.iter().sum::<i64>();
        if balance < COST {
            return false;
        }
        self.slots[self.current] -= COST;
        true
    }

    fn forget(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        let passed = now.saturating_duration_since(began).as_secs() / SLOT.as_secs();
        for _ in 0..passed.min(SLOTS as u64) {
            self.current = (self.current + 1) % SLOTS;
            self.slots[self.current] = 0;
        }
        if passed > 0 {
            self.began = Some(began + SLOT * u32::try_from(passed).unwrap_or(u32::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_reserve_is_there_without_any_request_and_comes_back_after_the_window() {
        let mut budget = Budget::new(0, 3);
        let now = Instant::now();
        let taken = (0..100).filter(|_| budget.withdraw(now)).count();
        assert_eq!(taken, 30);
        assert!(!budget.withdraw(now + Duration::from_millis(9_999)));
        let taken = (0..100).filter(|_| budget.withdraw(now + WINDOW)).count();
        assert_eq!(taken, 30);
    }

    #[test]
    fn a_fifth_of_the_requests_may_be_tried_again() {
        let mut budget = Budget::new(2_000, 0);
        let start = Instant::now();
        let mut taken = 0;
        for request in 0..1000 {
            let now = start + Duration::from_millis(request);
            budget.deposit(now);
            taken += usize::from(budget.withdraw(now));
        }
        assert_eq!(taken, 200);
        assert!(!Budget::new(2_000, 0).withdraw(start), "nothing was deposited");
    }

    #[test]
    fn what_was_deposited_is_not_saved_up_for_longer_than_the_window() {
        let mut budget = Budget::new(10_000, 0);
        let now = Instant::now();
        (0..50).for_each(|_| budget.deposit(now));
        assert!(budget.withdraw(now + Duration::from_millis(9_999)));
        assert!(!budget.withdraw(now + WINDOW));
    }

    proptest! {
        #[test]
        fn in_any_window_no_more_is_added_than_the_share_and_the_reserve(
            share in 0_u32..=10_000,
            min in 0_u32..5,
            steps in proptest::collection::vec((0_u64..2_000, any::<bool>()), 1..400),
        ) {
            let mut budget = Budget::new(share, min);
            let start = Instant::now();
            let (mut at, mut deposits, mut withdrawals) = (0, Vec::new(), Vec::new());
            for (wait, again) in steps {
                at += wait;
                let now = start + Duration::from_millis(at);
                if again {
                    if budget.withdraw(now) { withdrawals.push(at) }
                } else {
                    budget.deposit(now);
                    deposits.push(at);
                }
                // What is remembered reaches back nine to ten seconds; deposits of twice that may have paid for it.
                let recent = |times: &[u64], reach: u64| times.iter().filter(|t| **t + reach > at).count() as u64;
                let allowed = recent(&deposits, 20_000) * u64::from(share) / 10_000 + u64::from(min) * 10;
                prop_assert!(recent(&withdrawals, 9_000) <= allowed, "{} of {allowed}", recent(&withdrawals, 9_000));
            }
        }
    }
}
