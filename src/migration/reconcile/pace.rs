//! So many a second, and no bursts.

use std::time::Duration;

/// Spreads things out evenly. Pure: time is an argument.
#[derive(Debug, Clone)]
pub struct Pace {
    apart: Duration,
    next: Duration,
}

impl Pace {
    /// `per_second` of them, above 0.
    #[must_use]
    pub fn new(per_second: f64) -> Self {
        Self { apart: Duration::from_secs_f64(1.0 / per_second.clamp(1e-6, 1e6)), next: Duration::ZERO }
    }

    /// When the next one may happen that is asked for at `now`; time that was not used is lost.
    pub fn take(&mut self, now: Duration) -> Duration {
        let at = self.next.max(now);
        self.next = at + self.apart;
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_happen_evenly_and_what_was_missed_is_not_made_up_for() {
        let ms = Duration::from_millis;
        let mut pace = Pace::new(50.0);
        assert_eq!([pace.take(ms(0)), pace.take(ms(0)), pace.take(ms(5))], [ms(0), ms(20), ms(40)]);
        assert_eq!([pace.take(ms(1_000)), pace.take(ms(1_000))], [ms(1_000), ms(1_020)]);
    }
}
