//! The clients' own figures, and what became of each user.

use std::time::{Duration, Instant};

use super::{NEW, OLD, VERSIONS};
use crate::stats::Snapshot;

/// What was seen of one version in one step.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Figures {
    /// Answers, failures among them.
    pub(super) requests: u64,
    /// Answers of 500 and above.
    pub(super) failures: u64,
    /// Answers that took longer than the [`Tally::set_slow`] of their time.
    pub(super) slow: u64,
    /// From the intended time of sending to the answer's last byte.
    pub(super) latency: Snapshot,
}

impl Figures {
    pub(super) fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failures += other.failures;
        self.slow += other.slow;
        self.latency.merge(&other.latency);
    }

    /// A latency quantile in seconds; `None` where there are too few requests to speak of it: fewer than one is
    /// expected above.
    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        let above = self.latency.count() as f64 * (1.0 - q);
        // 1 - 0.999 is a little less than 0.001 in binary.
        (above >= 1.0 - 1e-9).then(|| self.latency.quantile(q).map(|quantile| quantile.value)).flatten()
    }

    /// The part of the requests that failed, 0 to 1; 0 where there were none.
    pub(super) fn failure_share(&self) -> f64 {
        if self.requests == 0 { 0.0 } else { self.failures as f64 / self.requests as f64 }
    }
}

/// One request that is over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    /// Who asked; an index into the population.
    pub(super) user: usize,
    /// The step it was meant to be sent in.
    pub(super) step: usize,
    /// When it was really sent.
    pub(super) sent: Instant,
    /// When its last byte was there.
    pub(super) done: Instant,
    /// From the intended time of sending to `done`.
    pub(super) latency: Duration,
    /// Who answered and whether it failed; `None`: nobody.
    pub(super) answer: Option<Answer>,
}

/// An answer of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    /// An index into [`VERSIONS`].
    pub(super) version: usize,
    pub(super) failed: bool,
}

/// What is known of one user.
#[derive(Debug, Clone, Copy, Default)]
struct User {
    /// When new was first known to have answered.
    on_new: Option<Instant>,
    answers: u32,
    /// Those among them since new turned bad.
    answers_since: u32,
    /// When old was last known to have answered after new.
    flipped: Option<Instant>,
    /// Met a failure of new since it turned bad.
    failed: bool,
    /// Met an unusually slow answer of new since it turned bad.
    slowed: bool,
}

/// What new did since it turned bad, and to how many users.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Harm {
    /// Requests of all users since then, whoever answered.
    pub(super) asked: u64,
    /// Answers of new.
    pub(super) answered: u64,
    /// Those of them that failed.
    pub(super) failures: u64,
    /// Those of them that were unusually slow.
    pub(super) slow: u64,
}

/// What would have been, had new answered everybody.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Otherwise {
    /// Requests that would have been hurt.
    pub(super) requests: f64,
    /// Users who would have met one of them.
    pub(super) users: f64,
    /// Users who asked.
    pub(super) of_users: usize,
}

/// What became of the population, in users.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Population {
    /// Those who got an answer.
    pub(super) seen: usize,
    /// Those served by old after new, while the weight of new was only raised.
    pub(super) flipped: usize,
    /// Those who met a failure of new since it turned bad.
    pub(super) failed: usize,
    /// Those who met an unusually slow answer of new since it turned bad.
    pub(super) slowed: usize,
}

/// All figures of the demo.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    /// By step, then by version.
    pub(super) steps: Vec<[Figures; VERSIONS.len()]>,
    /// Requests that nobody answered.
    pub(super) unanswered: u64,
    /// Requests that were not even sent, as too many were waiting.
    pub(super) skipped: u64,
    users: Vec<User>,
    /// Whether old may have no user of new.
    rising: bool,
    slow: Option<Duration>,
    /// `None`: it has not.
    harm: Option<Harm>,
}

/// How much later than it happens it may be noticed here that the weight of new went down.
const LATE: Duration = Duration::from_secs(1);

impl Tally {
    /// No figures yet, for a population of `users`.
    pub(super) fn new(users: usize) -> Self {
        Self {
            steps: vec![Default::default()],
            unanswered: 0,
            skipped: 0,
            users: vec![User::default(); users],
            rising: true,
            slow: None,
            harm: None,
        }
    }

    /// The step that requests are sent in now.
    pub(super) fn step(&self) -> usize {
        self.steps.len() - 1
    }

    /// Begins the next step.
    pub(super) fn next_step(&mut self) {
        self.steps.push(Default::default());
    }

    /// The weight of new was seen to go down at `now`: from then on, and a moment before, a user of new may be served by
    /// old.
    pub(super) fn may_move_back(&mut self, now: Instant) {
        self.rising = false;
        for user in &mut self.users {
            user.flipped = user.flipped.filter(|flipped| *flipped + LATE < now);
        }
    }

    /// New has turned bad: from now on it is counted whom that hurts.
    pub(super) fn turns_bad(&mut self) {
        self.harm.get_or_insert_default();
    }

    /// What new did since it turned bad; `None` where it has not.
    pub(super) fn harm(&self) -> Option<Harm> {
        self.harm
    }

    /// What would have been had new answered all requests since it turned bad, each of them hurt with probability
    /// `share`: the same requests of the same users.
    pub(super) fn otherwise(&self, share: f64) -> Otherwise {
        let asked = || self.users.iter().map(|user| user.answers_since).filter(|asked| *asked > 0);
        Otherwise {
            requests: asked().map(f64::from).sum::<f64>() * share,
            users: asked().map(|asked| 1.0 - (1.0 - share).powf(f64::from(asked))).sum(),
            of_users: asked().count(),
        }
    }

    /// From now on answers that take longer than `slow` are counted as slow.
    pub(super) fn set_slow(&mut self, slow: Duration) {
        self.slow = Some(slow);
    }

    /// Counts a request.
    pub(super) fn record(&mut self, ended: &Ended) {
        let Some(Answer { version, failed }) = ended.answer else {
            self.unanswered += 1;
            return;
        };
        let slow = self.slow.is_some_and(|slow| ended.latency > slow);
        let figures = &mut self.steps[ended.step][version];
        figures.requests += 1;
        figures.failures += u64::from(failed);
        figures.slow += u64::from(slow);
        figures.latency.record_nanos(u64::try_from(ended.latency.as_nanos()).unwrap_or(u64::MAX));

        let user = &mut self.users[ended.user];
        user.answers = user.answers.saturating_add(1);
        if let Some(harm) = &mut self.harm {
            harm.asked += 1;
            user.answers_since = user.answers_since.saturating_add(1);
            if version == NEW {
                harm.answered += 1;
                harm.failures += u64::from(failed);
                harm.slow += u64::from(slow);
                user.failed |= failed;
                user.slowed |= slow;
            }
        }
        if version == NEW {
            user.on_new.get_or_insert(ended.done);
        } else if self.rising && user.on_new.is_some_and(|on_new| on_new < ended.sent) {
            // Two requests under way at once may be picked in either order; only one sent after new's answer counts.
            user.flipped = Some(ended.done);
        }
    }

    /// Both versions' figures of all steps.
    pub(super) fn total(&self) -> [Figures; VERSIONS.len()] {
        self.steps.iter().fold(Default::default(), |mut sum: [Figures; 2], step| {
            sum[OLD].merge(&step[OLD]);
            sum[NEW].merge(&step[NEW]);
            sum
        })
    }

    /// What became of the users.
    pub(super) fn population(&self) -> Population {
        let count = |is: fn(&User) -> bool| self.users.iter().filter(|user| is(user)).count();
        Population {
            seen: count(|user| user.answers > 0),
            flipped: count(|user| user.flipped.is_some()),
            failed: count(|user| user.failed),
            slowed: count(|user| user.slowed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request sent and answered so many milliseconds after the start.
    fn ended(start: Instant, sent: u64, done: u64, version: usize) -> Ended {
        Ended {
            user: 0,
            step: 0,
            sent: start + Duration::from_millis(sent),
            done: start + Duration::from_millis(done),
            latency: Duration::from_millis(done - sent),
            answer: Some(Answer { version, failed: false }),
        }
    }

    fn flipped(requests: &[(u64, u64, usize)]) -> usize {
        let (mut tally, start) = (Tally::new(1), Instant::now());
        for (sent, done, version) in requests {
            tally.record(&ended(start, *sent, *done, *version));
        }
        tally.population().flipped
    }

    #[test]
    fn a_user_who_is_served_by_old_after_new_has_flipped() {
        assert_eq!(flipped(&[(0, 10, OLD), (20, 30, NEW), (40, 50, NEW)]), 0);
        assert_eq!(flipped(&[(0, 10, OLD), (20, 30, NEW), (40, 50, OLD)]), 1);
    }

    #[test]
    fn requests_that_overlap_have_no_order() {
        assert_eq!(flipped(&[(0, 10, NEW), (5, 20, OLD)]), 0);
    }

    #[test]
    fn once_the_weight_goes_down_users_may_move_back() {
        let (mut tally, start) = (Tally::new(1), Instant::now());
        tally.record(&ended(start, 0, 10, NEW));
        tally.may_move_back(start);
        tally.record(&ended(start, 20, 30, OLD));
        assert_eq!(tally.population().flipped, 0);
    }

    #[test]
    fn a_move_back_that_is_noticed_late_is_no_flip_and_one_long_before_is() {
        for (late, flipped) in [(Duration::from_millis(40), 0), (LATE * 2, 1)] {
            let (mut tally, start) = (Tally::new(1), Instant::now());
            tally.record(&ended(start, 0, 10, NEW));
            tally.record(&ended(start, 20, 30, OLD));
            tally.may_move_back(start + late);
            assert_eq!(tally.population().flipped, flipped);
        }
    }

    #[test]
    fn what_would_have_been_is_the_same_requests_hurt_as_often() {
        let (mut tally, start) = (Tally::new(3), Instant::now());
        tally.record(&ended(start, 0, 10, OLD));
        tally.turns_bad();
        for user in [0, 0, 1] {
            tally.record(&Ended { user, ..ended(start, 0, 10, OLD) });
        }
        assert_eq!(tally.harm().map(|harm| (harm.asked, harm.answered)), Some((3, 0)));
        let Otherwise { requests, users, of_users } = tally.otherwise(0.5);
        assert!((requests - 1.5).abs() < 1e-9 && (users - 1.25).abs() < 1e-9, "{requests} {users}");
        assert_eq!(of_users, 2);
    }

    #[test]
    fn figures_go_to_the_step_a_request_was_meant_for_and_add_up() {
        let (mut tally, start) = (Tally::new(1), Instant::now());
        tally.record(&ended(start, 0, 10, OLD));
        tally.next_step();
        tally.record(&ended(start, 0, 20, OLD));
        tally.record(&Ended { step: 1, ..ended(start, 0, 30, NEW) });
        tally.record(&Ended { answer: None, ..ended(start, 0, 30, NEW) });
        assert_eq!((tally.steps[0][OLD].requests, tally.steps[1][OLD].requests), (2, 0));
        assert_eq!(tally.total().map(|figures| figures.requests), [2, 1]);
        assert_eq!(tally.unanswered, 1);
    }

    #[test]
    fn users_whom_new_failed_or_kept_waiting_are_counted_once() {
        let (mut tally, start) = (Tally::new(3), Instant::now());
        tally.set_slow(Duration::from_millis(25));
        tally.turns_bad();
        for (user, latency, failed) in [(0, 10, true), (0, 10, true), (1, 26, false), (1, 30, true), (2, 25, false)] {
            let answer = Some(Answer { version: NEW, failed });
            tally.record(&Ended { user, answer, ..ended(start, 0, latency, NEW) });
        }
        assert_eq!(tally.population(), Population { seen: 3, flipped: 0, failed: 2, slowed: 1 });
        assert_eq!((tally.steps[0][NEW].failures, tally.steps[0][NEW].slow), (3, 2));
    }

    #[test]
    fn a_quantile_that_too_few_requests_speak_for_is_not_shown() {
        let mut figures = Figures::default();
        for _ in 0..99 {
            figures.latency.record_nanos(10_000_000);
        }
        assert!(figures.quantile(0.9).is_some() && figures.quantile(0.99).is_none());
        figures.latency.record_nanos(10_000_000);
        assert!(figures.quantile(0.99).is_some() && figures.quantile(0.999).is_none());
    }
}
