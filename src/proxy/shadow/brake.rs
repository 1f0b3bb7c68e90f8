//! Copies that fail one after the other are given up for a while, so that a dark version that is dead or hangs costs
//! clients nothing. Pure: time is an argument.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Failed copies in a row after which copies are suspended.
const MOST_IN_A_ROW: u32 = 16;
/// While they are, one is sent this often to see whether it is answered.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);

/// One worker's brake on the copies of one service.
#[derive(Debug, Default)]
pub(super) struct Brake {
    in_a_row: Cell<u32>,
    next_probe: Cell<Option<Instant>>,
}

impl Brake {
    /// Whether a copy may be sent now.
    pub(super) fn admits(&self, now: Instant) -> bool {
        if self.in_a_row.get() < MOST_IN_A_ROW {
            return true;
        }
        let is_due = self.next_probe.get().is_none_or(|due| now >= due);
        if is_due {
            self.next_probe.set(Some(now + PROBE_INTERVAL));
        }
        is_due
    }

    /// A copy was answered whole, however.
    pub(super) fn answered(&self) {
        self.in_a_row.set(0);
        self.next_probe.set(None);
    }

    /// A copy was not.
    pub(super) fn failed(&self, now: Instant) {
        let in_a_row = self.in_a_row.get().saturating_add(1);
        self.in_a_row.set(in_a_row);
        if in_a_row == MOST_IN_A_ROW {
            self.next_probe.set(Some(now + PROBE_INTERVAL));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_that_keep_failing_are_suspended_but_for_a_trickle_until_one_is_answered() {
        let (brake, start) = (Brake::default(), Instant::now());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        for _ in 0..MOST_IN_A_ROW {
            assert!(brake.admits(at(0)));
            brake.failed(at(0));
        }
        let sent = (0..1_000).filter(|now| brake.admits(at(*now))).inspect(|now| brake.failed(at(*now))).count();
        assert_eq!(sent, 9, "every 100 ms");
        brake.answered();
        assert!((0..100).all(|_| brake.admits(at(1_000))));
    }

    #[test]
    fn a_failure_now_and_then_suspends_nothing() {
        let (brake, now) = (Brake::default(), Instant::now());
        for number in 0..1_000 {
            assert!(brake.admits(now));
            if number % MOST_IN_A_ROW == 0 { brake.answered() } else { brake.failed(now) }
        }
    }
}
