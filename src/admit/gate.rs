//! Who is let in, who waits, who is turned away.

use std::time::Duration;

use super::{Bounds, Limiter, Line, Place};
use crate::plan::Priority;

/// What is before one version on one worker. `T` is whatever stands for a request that waits.
#[derive(Debug)]
pub struct Gate<T> {
    limiter: Limiter,
    line: Line<T>,
    /// Most that wait.
    queue: usize,
    /// Requests let in and not over.
    in_flight: u32,
}

/// What becomes of a request that comes to the gate.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry<T> {
    /// It is let in: [`Gate::leave`] when it is over.
    Admitted,
    /// It waits; where the line was full, in place of another one that is sent away.
    Waits(Place, Option<T>),
    /// It is turned away, as too many wait already that matter as much.
    Full,
}

impl<T> Gate<T> {
    /// A gate where at most `queue` requests wait, and where waiting for `old` is long.
    #[must_use]
    pub fn new(bounds: Bounds, queue: usize, old: Duration, now: Duration) -> Self {
        Self { limiter: Limiter::new(bounds, now), line: Line::new(old), queue, in_flight: 0 }
    }

    /// Other settings from now on. Those that wait stay, even if they are too many now.
    pub fn set(&mut self, bounds: Bounds, queue: usize, old: Duration) {
        self.limiter.set_bounds(bounds);
        self.line.set_old(old);
        self.queue = queue;
    }

    /// The limit and what it is made of.
    #[must_use]
    pub fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// Requests let in and not over.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.line.len()
    }

    /// Lets a request in if there is room for it at once and nobody waits; whether it did.
    pub fn enter_at_once(&mut self, priority: Priority, now: Duration) -> bool {
        let is_let_in = self.has_room(priority) && self.line.is_empty();
        if is_let_in {
            self.admit(now);
        }
        is_let_in
    }

    /// A request comes; `who` is asked for only if it waits.
    pub fn enter(&mut self, priority: Priority, now: Duration, who: impl FnOnce() -> T) -> Entry<T> {
        if self.has_room(priority) && self.line.highest().is_none_or(|highest| highest < priority) {
            self.admit(now);
            return Entry::Admitted;
        }
        if self.queue == 0 {
            return Entry::Full;
        }
        let mut sent_away = None;
        if self.line.len() >= self.queue {
            sent_away = self.line.send_away_below(priority);
            if sent_away.is_none() {
                return Entry::Full;
            }
        }
        Entry::Waits(self.line.join(priority, who(), now), sent_away)
    }

    /// The next that is let in, if there is room. To be asked until there is none, whenever a request is over or was
    /// answered: the limit may have grown.
    pub fn call(&mut self, now: Duration) -> Option<T> {
        let highest = self.line.highest()?;
        if !self.has_room(highest) {
            return None;
        }
        let next = self.line.call(now);
        self.admit(now);
        next
    }

    /// One that waited does no more; `None` where it was let in already.
    pub fn give_up(&mut self, place: Place) -> Option<T> {
        self.line.leave(place)
    }

    /// A request that was let in at `begun` was answered after `latency`; `properly`: its answer came from the service
    /// working as it should. It is still in flight.
    pub fn answered(&mut self, begun: Duration, latency: Duration, properly: bool, now: Duration) {
        if properly {
            self.limiter.answered(begun, latency, self.in_flight, now);
        } else {
            self.limiter.failed(begun, latency, self.in_flight, now);
        }
    }

    /// A request that was let in is over.
    pub fn leave(&mut self) {
        // Invariant: every `leave` follows its own `Entry::Admitted` or `call`.
        self.in_flight -= 1;
    }

    /// The most important have some room of their own beyond the limit: a tenth of it, at least one.
    fn has_room(&self, priority: Priority) -> bool {
        let limit = self.limiter.limit();
        let reserve = if priority == Priority::High { (limit / 10).max(1) } else { 0 };
        self.in_flight < limit.saturating_add(reserve)
    }

    fn admit(&mut self, now: Duration) {
        self.in_flight += 1;
        self.limiter.begun(self.in_flight, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Priority::{High, Low, Normal};

    const NOW: Duration = Duration::from_secs(1);

    fn fixed(limit: u32, queue: usize) -> Gate<&'static str> {
        let bounds = Bounds { initial: limit, min: limit, max: limit, tolerance: 1.5 };
        Gate::new(bounds, queue, Duration::from_secs(9), NOW)
    }

    #[test]
    fn no_more_are_let_in_than_the_limit_says_and_no_more_wait_than_there_are_places() {
        let mut gate = fixed(2, 1);
        assert_eq!(gate.enter(Normal, NOW, || "a"), Entry::Admitted);
        assert_eq!(gate.enter(Normal, NOW, || "b"), Entry::Admitted);
        assert!(matches!(gate.enter(Normal, NOW, || "c"), Entry::Waits(_, None)));
        assert_eq!(gate.enter(Normal, NOW, || "d"), Entry::Full);
        assert_eq!(gate.call(NOW), None);
        gate.leave();
        assert_eq!((gate.call(NOW), gate.call(NOW)), (Some("c"), None));
        assert_eq!((gate.in_flight(), gate.waiting()), (2, 0));
    }

    #[test]
    fn without_places_nobody_waits_not_even_the_most_important() {
        let mut gate = fixed(1, 0);
        assert_eq!(gate.enter(Normal, NOW, || "a"), Entry::Admitted);
        assert_eq!(gate.enter(High, NOW, || "b"), Entry::Admitted);
        assert_eq!(gate.enter(High, NOW, || "c"), Entry::Full);
    }

    #[test]
    fn the_most_important_have_room_of_their_own_and_take_the_places_of_others() {
        let mut gate = fixed(1, 2);
        assert_eq!(gate.enter(Low, NOW, || "a"), Entry::Admitted);
        assert_eq!(gate.enter(High, NOW, || "b"), Entry::Admitted);
        assert!(matches!(gate.enter(Low, NOW, || "low"), Entry::Waits(_, None)));
        assert!(matches!(gate.enter(Normal, NOW, || "normal"), Entry::Waits(_, None)));
        assert!(matches!(gate.enter(High, NOW, || "high1"), Entry::Waits(_, Some("low"))));
        assert_eq!(gate.enter(Low, NOW, || "low2"), Entry::Full);
        assert!(matches!(gate.enter(High, NOW, || "high2"), Entry::Waits(_, Some("normal"))));
        assert_eq!(gate.enter(High, NOW, || "high3"), Entry::Full);
        gate.leave();
        assert_eq!((gate.call(NOW), gate.call(NOW)), (Some("high1"), None));
    }

    #[test]
    fn who_gives_up_makes_room_in_the_line() {
        let mut gate = fixed(1, 1);
        assert_eq!(gate.enter(Normal, NOW, || "a"), Entry::Admitted);
        let Entry::Waits(place, None) = gate.enter(Normal, NOW, || "b") else { panic!("there is a place") };
        assert_eq!(gate.give_up(place), Some("b"));
        assert!(matches!(gate.enter(Normal, NOW, || "c"), Entry::Waits(_, None)));
        gate.leave();
        assert_eq!(gate.call(NOW), Some("c"));
        assert_eq!(gate.give_up(place), None);
    }
}
