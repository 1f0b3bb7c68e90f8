//! Which addresses of a version are in use: the state machine, without a clock, a socket or a lock.
//!
//! An address is out of use for one of two reasons, which know nothing of each other: its checks say that it is unwell,
//! or it was ejected for how it treated requests. Two things hold after every step: no more addresses are ejected than
//! may be, and as long as one address is well, one is in use.
//!
//! Ejection follows Envoy's outlier detection (consecutive failures, success rates, a back-off that grows with every
//! ejection), but an address is compared with the others only, and by at least the noise its own number of requests has:
//! so that it works for two addresses as for two hundred, and never ejects for a handful of unlucky requests.

use std::time::{Duration, Instant};

use crate::plan::Outliers;
use crate::telemetry::Ejection;

/// Least distance to the mean of the others that ejects, whatever the deviations: less does not hurt enough to take
/// capacity away.
const MARGIN: f64 = 0.05;

/// The addresses of one version, by position.
#[derive(Debug)]
pub(super) struct Roster {
    outliers: Outliers,
    /// Good answers in a row to be well, bad ones to be unwell. `None`: nobody asks.
    streaks: Option<Streaks>,
    members: Vec<Member>,
    /// When success rates are compared next.
    next_look: Instant,
}

/// Answers to checks that it takes to change one's mind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Streaks {
    pub(super) healthy_after: u32,
    pub(super) unhealthy_after: u32,
}

/// How requests to an address went, since it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Evidence {
    pub(super) requests: u64,
    pub(super) failures: u64,
}

/// What became of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Out of use for so long, unless it is needed.
    Ejected(Ejection, Duration),
    /// Its ejection is over.
    Returned,
    /// Its checks fail.
    Unwell,
    /// Its checks pass again.
    Well,
}

/// Changes of members, by position.
pub(super) type Changes = Vec<(usize, Change)>;

#[derive(Debug, Clone, Copy)]
struct Member {
    well: bool,
    /// Answers in a row that contradict `well`.
    contradictions: u32,
    ejected_until: Option<Instant>,
    /// Ejections, less one for each interval in use since.
    ejections: u32,
    /// In use since, or since when `ejections` was last counted down.
    good_since: Instant,
    /// At the last look.
    seen: Evidence,
}

impl Roster {
    /// A roster without members.
    pub(super) fn new(outliers: Outliers, streaks: Option<Streaks>, now: Instant) -> Self {
        Self { outliers, streaks, members: Vec::new(), next_look: now + outliers.interval }
    }

    /// Goes on under other rules. Where nobody asks any more, everybody is well.
    pub(super) fn set_rules(&mut self, outliers: Outliers, streaks: Option<Streaks>, now: Instant) -> Changes {
        self.next_look = self.next_look.min(now + outliers.interval);
        (self.outliers, self.streaks) = (outliers, streaks);
        let mut changes = Vec::new();
        if streaks.is_none() {
            for (position, member) in self.members.iter_mut().enumerate().filter(|(_, member)| !member.well) {
                (member.well, member.contradictions) = (true, 0);
                changes.push((position, Change::Well));
            }
        }
        self.settle(now, &mut changes);
        changes
    }

    /// Takes on other members: each one's former position, or `None` where it is new. New ones are in use.
    pub(super) fn set_members(&mut self, former: &[Option<usize>], now: Instant) -> Changes {
        let fresh = Member {
            well: true,
            contradictions: 0,
            ejected_until: None,
            ejections: 0,
            good_since: now,
            seen: Evidence::default(),
        };
        let old = std::mem::take(&mut self.members);
        self.members = former.iter().map(|former| former.map_or(fresh, |position| old[position])).collect();
        let mut changes = Vec::new();
        self.settle(now, &mut changes);
        changes
    }

    /// Whether requests may go to a member.
    pub(super) fn is_used(&self, position: usize) -> bool {
        self.members[position].is_used()
    }

    /// Whether a member's checks pass.
    pub(super) fn is_well(&self, position: usize) -> bool {
        self.members[position].well
    }

    /// Until when a member is ejected.
    pub(super) fn ejected_until(&self, position: usize) -> Option<Instant> {
        self.members[position].ejected_until
    }

    /// As many requests in a row have failed as may.
    pub(super) fn failed_in_a_row(&mut self, position: usize, now: Instant) -> Changes {
        let mut changes = Vec::new();
        self.eject(position, Ejection::ConsecutiveFailures, now, &mut changes);
        changes
    }

    /// A check was answered well or badly.
    pub(super) fn checked(&mut self, position: usize, good: bool, now: Instant) -> Changes {
        let mut changes = Vec::new();
        let (Some(streaks), member) = (self.streaks, &mut self.members[position]) else { return changes };
        if member.well == good {
            member.contradictions = 0;
            return changes;
        }
        member.contradictions += 1;
        let enough = if good { streaks.healthy_after } else { streaks.unhealthy_after };
        if member.contradictions >= enough {
            (member.well, member.contradictions) = (good, 0);
            changes.push((position, if good { Change::Well } else { Change::Unwell }));
            self.settle(now, &mut changes);
        }
        changes
    }

    /// Does what is due. `evidence`: of each member.
    pub(super) fn tick(&mut self, now: Instant, evidence: &[Evidence]) -> Changes {
        let mut changes = Vec::new();
        let interval = self.outliers.interval;
        for (position, member) in self.members.iter_mut().enumerate() {
            match member.ejected_until {
                Some(until) if until <= now => member.come_back(position, now, &mut changes),
                Some(_) => {}
                None => {
                    while member.ejections > 0 && member.good_since + interval <= now {
                        member.ejections -= 1;
                        member.good_since += interval;
                    }
                }
            }
        }
        if self.next_look <= now {
            self.next_look = now + interval;
            self.compare(now, evidence, &mut changes);
        }
        changes
    }

    /// When there is something to do next, if nothing happens before.
    pub(super) fn due(&self) -> Option<Instant> {
        let interval = self.outliers.interval;
        let of_member = |member: &Member| match member.ejected_until {
            Some(until) => Some(until),
            None => (member.ejections > 0).then(|| member.good_since + interval),
        };
        let look = self.outliers.success_rate.map(|_| self.next_look);
        self.members.iter().filter_map(of_member).chain(look).min()
    }

    /// Ejects those whose success rate since the last look is too far below that of the others, the worst first.
    fn compare(&mut self, now: Instant, evidence: &[Evidence], changes: &mut Changes) {
        let mut rates = Vec::new();
        for (position, (member, total)) in self.members.iter_mut().zip(evidence).enumerate() {
            let window = Evidence {
                requests: total.requests.saturating_sub(member.seen.requests),
                failures: total.failures.saturating_sub(member.seen.failures),
            };
            member.seen = *total;
            let enough = self.outliers.success_rate.is_some_and(|rules| window.requests >= rules.min_requests);
            if enough && member.is_used() {
                let successes = window.requests.saturating_sub(window.failures);
                rates.push((position, successes as f64, window.requests as f64));
            }
        }
        let Some(rules) = self.outliers.success_rate else { return };
        let mut outliers: Vec<_> = rates
            .iter()
            .filter(|(position, successes, requests)| {
                let others = rates.iter().filter(|other| other.0 != *position).map(|other| (other.1, other.2));
                threshold(others, *requests, rules.stdev_factor).is_some_and(|least| successes / requests < least)
            })
            .copied()
            .collect();
        outliers.sort_by(|one, other| (one.1 / one.2).total_cmp(&(other.1 / other.2)));
        for (position, ..) in outliers {
            self.eject(position, Ejection::SuccessRate, now, changes);
        }
    }

    fn eject(&mut self, position: usize, why: Ejection, now: Instant, changes: &mut Changes) {
        let used = self.members.iter().filter(|member| member.is_used()).count();
        let member = &self.members[position];
        if !member.is_used() || used <= 1 || self.ejected() >= self.outliers.most_ejected(self.members.len()) {
            return;
        }
        let member = &mut self.members[position];
        member.ejections = member.ejections.saturating_add(1);
        let long = self.outliers.base_ejection.saturating_mul(member.ejections).min(self.outliers.max_ejection);
        member.ejected_until = Some(now + long);
        changes.push((position, Change::Ejected(why, long)));
    }

    /// Brings back whom it takes for the two things to hold that always do, those first whose time is over soonest.
    fn settle(&mut self, now: Instant, changes: &mut Changes) {
        let most = self.outliers.most_ejected(self.members.len());
        while self.ejected() > most {
            self.bring_back(|_| true, now, changes);
        }
        let needed = !self.members.iter().any(Member::is_used) && self.members.iter().any(|member| member.well);
        if needed {
            self.bring_back(|member| member.well, now, changes);
        }
    }

    fn bring_back(&mut self, whom: impl Fn(&Member) -> bool, now: Instant, changes: &mut Changes) {
        let ejected = self.members.iter_mut().enumerate().filter(|(_, member)| whom(member));
        let soonest = ejected
            .filter_map(|(position, member)| Some((member.ejected_until?, position, member)))
            .min_by_key(|(until, ..)| *until);
        if let Some((_, position, member)) = soonest {
            member.come_back(position, now, changes);
        }
    }

    fn ejected(&self) -> usize {
        self.members.iter().filter(|member| member.ejected_until.is_some()).count()
    }
}

impl Member {
    fn is_used(&self) -> bool {
        self.well && self.ejected_until.is_none()
    }

    fn come_back(&mut self, position: usize, now: Instant, changes: &mut Changes) {
        self.ejected_until = None;
        self.good_since = now;
        changes.push((position, Change::Returned));
    }
}

/// The least success rate of an address with so many requests beside `others` (successes and requests of each): their
/// mean less `factor` standard deviations. `None` where there are no others.
///
/// The variance is that among the others' rates, plus that of a rate observed from this number of requests: the binomial
/// one at the others' common rate, which Laplace's rule keeps away from 1.
fn threshold(others: impl Iterator<Item = (f64, f64)> + Clone, requests: f64, factor: f64) -> Option<f64> {
    let count = others.clone().count() as f64;
    if count == 0.0 {
        return None;
    }
    let rates = others.clone().map(|(successes, requests)| successes / requests);
    let mean = rates.clone().sum::<f64>() / count;
    let among = rates.map(|rate| (rate - mean).powi(2)).sum::<f64>() / count;
    let (successes, total) = others.fold((1.0, 2.0), |sum, other| (sum.0 + other.0, sum.1 + other.1));
    let common = successes / total;
    let noise = common * (1.0 - common) / requests;
    Some(mean - (factor * (among + noise).sqrt()).max(MARGIN))
}

#[cfg(test)]
mod tests;
