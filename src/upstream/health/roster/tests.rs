use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::plan::SuccessRate;

const SECOND: Duration = Duration::from_secs(1);

/// A roster of `count` members that begins at the time that is given too.
fn roster(outliers: Outliers, streaks: Option<Streaks>, count: usize) -> (Roster, Instant) {
    let now = Instant::now();
    let mut roster = Roster::new(outliers, streaks, now);
    assert_eq!(roster.set_members(&vec![None; count], now), []);
    (roster, now)
}

fn used(roster: &Roster) -> Vec<bool> {
    (0..roster.members.len()).map(|position| roster.is_used(position)).collect()
}

fn evidence(of: &[(u64, u64)]) -> Vec<Evidence> {
    of.iter().map(|(requests, failures)| Evidence { requests: *requests, failures: *failures }).collect()
}

const NONE: [Evidence; 8] = [Evidence { requests: 0, failures: 0 }; 8];

#[test]
fn failures_in_a_row_eject_at_once_and_the_time_brings_back() {
    let (mut roster, now) = roster(Outliers::default(), None, 3);
    let ejected = Change::Ejected(Ejection::ConsecutiveFailures, 30 * SECOND);
    assert_eq!(roster.failed_in_a_row(1, now), [(1, ejected)]);
    assert_eq!(used(&roster), [true, false, true]);
    assert_eq!(roster.failed_in_a_row(1, now), [], "it is out already");
    assert_eq!(roster.due(), Some(now + 30 * SECOND));
    assert_eq!(roster.tick(now + 29 * SECOND, &NONE[..3]), []);
    assert_eq!(roster.tick(now + 30 * SECOND, &NONE[..3]), [(1, Change::Returned)]);
    assert_eq!(used(&roster), [true; 3]);
}

#[test]
fn each_ejection_lasts_longer_up_to_a_bound_and_good_behaviour_shortens_the_next() {
    let (mut roster, mut now) = roster(Outliers { max_ejection: 100 * SECOND, ..Outliers::default() }, None, 2);
    let lasted = |roster: &mut Roster, now: &mut Instant| {
        let changes = roster.failed_in_a_row(0, *now);
        let [(0, Change::Ejected(_, long))] = changes[..] else { panic!("{changes:?}") };
        *now += long;
        assert_eq!(roster.tick(*now, &NONE[..2]), [(0, Change::Returned)]);
        long.as_secs()
    };
    assert_eq!([(); 5].map(|()| lasted(&mut roster, &mut now)), [30, 60, 90, 100, 100]);
    // Five ejections, three intervals of good behaviour: the next one is the third.
    now += 30 * SECOND;
    roster.tick(now, &NONE[..2]);
    assert_eq!(lasted(&mut roster, &mut now), 90);
    now += 60 * SECOND;
    roster.tick(now, &NONE[..2]);
    assert_eq!(lasted(&mut roster, &mut now), 30, "all is forgiven");
}

#[test]
fn the_cap_holds_and_the_last_one_in_use_is_never_ejected() {
    for (count, percent, most) in
        [(1, 100, 0), (2, 100, 1), (2, 50, 1), (3, 50, 1), (10, 50, 5), (10, 1, 1), (10, 100, 9), (10, 0, 0)]
    {
        let (mut roster, now) = roster(Outliers { max_ejected_percent: percent, ..Outliers::default() }, None, count);
        let ejected: usize = (0..count).map(|position| roster.failed_in_a_row(position, now).len()).sum();
        assert_eq!(ejected, most, "{percent} % of {count}");
    }
    // Also where the others are out for another reason.
    let streaks = Streaks { healthy_after: 1, unhealthy_after: 1 };
    let (mut roster, now) = roster(Outliers::default(), Some(streaks), 4);
    assert_eq!(roster.checked(0, false, now), [(0, Change::Unwell)]);
    assert_eq!(roster.checked(1, false, now), [(1, Change::Unwell)]);
    assert_eq!(roster.failed_in_a_row(2, now).len(), 1);
    assert_eq!(roster.failed_in_a_row(3, now), []);
    assert_eq!(used(&roster), [false, false, false, true]);
}

#[test]
fn checks_change_their_mind_only_after_enough_answers_in_a_row() {
    let (mut roster, now) = roster(Outliers::default(), Some(Streaks { healthy_after: 2, unhealthy_after: 3 }), 1);
    let mut after = |answers: &str| {
        answers.chars().for_each(|answer| drop(roster.checked(0, answer == '+', now)));
        roster.is_used(0)
    };
    assert!(after("--+--"));
    assert!(!after("-"), "the third, although it is the only address: checks may");
    assert!(!after("+-+-"));
    assert!(after("++"));
}

#[test]
fn an_ejected_address_is_brought_back_when_it_is_the_last_that_is_well() {
    let streaks = Streaks { healthy_after: 1, unhealthy_after: 1 };
    let (mut roster, now) = roster(Outliers::default(), Some(streaks), 2);
    assert_eq!(roster.failed_in_a_row(0, now).len(), 1);
    assert_eq!(roster.checked(1, false, now), [(1, Change::Unwell), (0, Change::Returned)]);
    assert_eq!(roster.checked(0, false, now), [(0, Change::Unwell)], "then nobody is well");
    assert_eq!(used(&roster), [false; 2]);
    let rules = roster.outliers;
    assert_eq!(roster.set_rules(rules, None, now), [(0, Change::Well), (1, Change::Well)], "when nobody asks any more");
}

#[test]
fn members_keep_their_state_when_others_come_and_go() {
    let (mut roster, now) = roster(Outliers::default(), None, 4);
    assert_eq!(roster.failed_in_a_row(2, now).len(), 1);
    assert_eq!(roster.failed_in_a_row(0, now).len(), 1);
    assert_eq!(roster.set_members(&[None, Some(2), Some(1), Some(3)], now), []);
    assert_eq!(used(&roster), [true, false, true, true]);
    // Two of four could be ejected; of two, one.
    assert_eq!(roster.set_members(&[Some(1), None], now), []);
    assert_eq!(roster.set_members(&[Some(0)], now), [(0, Change::Returned)]);
}

fn rated(factor: f64) -> Outliers {
    let success_rate = Some(SuccessRate { min_requests: 100, stdev_factor: factor });
    Outliers { success_rate, ..Outliers::default() }
}

#[test]
fn an_address_that_fails_clearly_more_than_the_others_is_ejected_at_the_next_look() {
    for others in [1, 2, 6] {
        let (mut roster, now) = roster(rated(1.9), None, others + 1);
        let mut of = vec![(1000, 2); others];
        of.push((500, 100));
        assert_eq!(roster.due(), Some(now + 10 * SECOND));
        assert_eq!(roster.tick(now + 9 * SECOND, &evidence(&of)), []);
        let changes = roster.tick(now + 10 * SECOND, &evidence(&of));
        assert_eq!(changes, [(others, Change::Ejected(Ejection::SuccessRate, 30 * SECOND))], "beside {others}");
        // What was seen once does not count again.
        assert_eq!(roster.tick(now + 40 * SECOND, &evidence(&of)), [(others, Change::Returned)]);
        assert_eq!(roster.tick(now + 50 * SECOND, &evidence(&of)), []);
    }
}

#[test]
fn too_few_requests_little_difference_and_a_fault_of_all_eject_nobody() {
    for of in [
        [(1000, 0), (1000, 0), (99, 99)],
        [(1000, 0), (1000, 0), (1000, 49)],
        [(1000, 500), (1000, 510), (1000, 540)],
        [(99, 0), (99, 0), (5000, 5000)],
    ] {
        let (mut roster, now) = roster(rated(1.9), None, 3);
        assert_eq!(roster.tick(now + 10 * SECOND, &evidence(&of)), [], "{of:?}");
    }
}

/// Addresses that are all alike are ejected by chance only.
#[test]
fn equal_addresses_are_hardly_ever_ejected_for_their_success_rate() {
    let mut rng = fastrand::Rng::with_seed(7);
    let (mut roster, mut now) = roster(rated(3.0), None, 5);
    let (mut totals, mut ejections) = ([(0, 0); 5], 0);
    for _ in 0..1000 {
        for (requests, failures) in &mut totals {
            *requests += 200;
            *failures += (0..200).filter(|_| rng.u8(..10) == 0).count() as u64;
        }
        now += 10 * SECOND;
        let changes = roster.tick(now, &evidence(&totals));
        ejections += changes.iter().filter(|(_, change)| matches!(change, Change::Ejected(..))).count();
    }
    // One-sided, three standard deviations: 0.13 % of 5000; the deviation among four others is itself uncertain.
    assert!(ejections < 25, "{ejections}");
}

/// A version under load for ten minutes, of which one address answers nothing for a while: what clients see of it.
#[test]
fn a_dead_address_costs_a_handful_of_requests_for_each_time_it_comes_back() {
    for seed in 0..256 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut roster, start) = roster(Outliers::default(), None, 3);
        let (mut row, mut failed) = ([0_u32; 3], 0);
        let dead = rng.usize(..3);
        for step in 0..6_000 {
            let now = start + Duration::from_millis(step * 100);
            if roster.due().is_some_and(|due| due <= now) {
                for (position, change) in roster.tick(now, &NONE[..3]) {
                    assert_eq!(change, Change::Returned);
                    row[position] = 0;
                }
            }
            let in_use: Vec<_> = (0..3).filter(|position| roster.is_used(*position)).collect();
            assert!(in_use.len() >= 2, "seed {seed}");
            let to = in_use[rng.usize(..in_use.len())];
            if to == dead {
                (failed, row[to]) = (failed + 1, row[to] + 1);
                if row[to] >= 5 {
                    roster.failed_in_a_row(to, now);
                }
            } else {
                row[to] = 0;
            }
        }
        // Out for 30, 60, 90, 120, 150 and 180 seconds: six times within ten minutes, five requests each.
        assert!((5..=30).contains(&failed), "seed {seed}: {failed}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Fail(usize),
    Check(usize, bool),
    Pass(u64),
    Requests(usize, u64, u64),
    Members(Vec<Option<usize>>),
    Rules(u32, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let any_member = 0_usize..8;
    let step = prop_oneof![
        6 => any_member.clone().prop_map(Step::Fail),
        6 => (any_member.clone(), any::<bool>()).prop_map(|(member, good)| Step::Check(member, good)),
        4 => (0_u64..60_000).prop_map(Step::Pass),
        4 => (any_member, 0_u64..500, 0_u64..500).prop_map(|(member, requests, failures)| {
            Step::Requests(member, requests, failures.min(requests))
        }),
        1 => prop::collection::vec(prop::option::of(0_usize..8), 0..8).prop_map(Step::Members),
        1 => (0_u32..=100, any::<bool>()).prop_map(|(percent, asks)| Step::Rules(percent, asks)),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #[test]
    fn whatever_happens_the_cap_holds_somebody_well_is_in_use_and_every_ejection_ends(
        steps in steps(),
        count in 1_usize..8,
    ) {
        let streaks = Streaks { healthy_after: 2, unhealthy_after: 2 };
        let (mut roster, mut now) = roster(rated(1.9), Some(streaks), count);
        let mut totals = vec![Evidence::default(); count];
        // As one would know it from the changes alone.
        let mut out: BTreeMap<usize, (bool, bool)> = BTreeMap::new();
        for step in steps {
            let count = totals.len();
            let changes = match step {
                Step::Fail(member) if member < count => roster.failed_in_a_row(member, now),
                Step::Check(member, good) if member < count => roster.checked(member, good, now),
                Step::Pass(milliseconds) => {
                    now += Duration::from_millis(milliseconds);
                    roster.tick(now, &totals)
                }
                Step::Requests(member, requests, failures) if member < count => {
                    totals[member].requests += requests;
                    totals[member].failures += failures;
                    Vec::new()
                }
                Step::Members(former) => {
                    // Each former member at most once.
                    let mut former: Vec<_> = former.into_iter().map(|old| old.filter(|old| *old < count)).collect();
                    for at in 0..former.len() {
                        if former[..at].contains(&former[at]) {
                            former[at] = None;
                        }
                    }
                    let known = std::mem::take(&mut out);
                    let before = std::mem::take(&mut totals);
                    for (position, old) in former.iter().enumerate() {
                        totals.push(old.map_or_else(Evidence::default, |old| before[old]));
                        if let Some(state) = old.and_then(|old| known.get(&old)) {
                            out.insert(position, *state);
                        }
                    }
                    roster.set_members(&former, now)
                }
                Step::Rules(percent, asks) => {
                    let rules = Outliers { max_ejected_percent: percent, ..roster.outliers };
                    roster.set_rules(rules, asks.then_some(streaks), now)
                }
                _ => Vec::new(),
            };
            for (position, change) in changes {
                let (unwell, ejected) = out.entry(position).or_default();
                match change {
                    Change::Ejected(_, long) => {
                        prop_assert!(!*ejected && long <= roster.outliers.max_ejection);
                        *ejected = true;
                    }
                    Change::Returned => prop_assert!(std::mem::replace(ejected, false)),
                    Change::Unwell => prop_assert!(!std::mem::replace(unwell, true)),
                    Change::Well => prop_assert!(std::mem::replace(unwell, false)),
                }
            }
            let count = totals.len();
            prop_assert!(roster.ejected() <= roster.outliers.most_ejected(count));
            let well = (0..count).any(|position| roster.is_well(position));
            prop_assert_eq!(well, used(&roster).contains(&true));
            for position in 0..count {
                let (unwell, ejected) = out.get(&position).copied().unwrap_or_default();
                prop_assert_eq!(roster.is_used(position), !unwell && !ejected, "changes tell the whole story");
                if let Some(until) = roster.ejected_until(position) {
                    prop_assert!(until <= now + roster.outliers.max_ejection);
                    prop_assert!(roster.due().is_some_and(|due| due <= until));
                }
            }
        }
        now += roster.outliers.max_ejection;
        roster.tick(now, &totals);
        prop_assert_eq!(roster.ejected() , roster.members.iter().filter(|m| m.ejected_until.is_some_and(|u| u > now)).count());
    }
}
