//! What is missing before a stage may be taken. Pure: from facts to sentences, with every number in them.
//!
//! A change of stage or share moves some keys from one stage to another; each such [move](moves) is looked at by itself,
//! so that a share of keys is held to the same as all of them:
//!
//! - forward, one stage at a time;
//! - to `live`: nothing waits in the journal, and both sides were shown to be the same for enough keys;
//! - to `complete`: `rampDown` has been in force for as long as it was to bake;
//! - back to where the old version answers: it must have every write, so nothing waits in the journal for it;
//! - back from `complete`: the old version missed every write since, so that everything must have been reconciled;
//! - every other way back is safe: the version that answers has every write.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::{MigrationGates, Progress, Share, Side, Stage};

use super::reconcile::Shown;

/// How long a write may be on its way to the other side before it counts as waiting.
const ON_ITS_WAY: Duration = Duration::from_millis(250);

/// What is known of a migration at a moment.
#[derive(Debug, Clone)]
pub struct Facts {
    /// How far it is.
    pub progress: Progress,
    /// For how long it has been there, in this process.
    pub held: Duration,
    /// What the journal has.
    pub journal: Backlog,
    /// What was shown of the two sides. `None`: nobody looks, as there is no `reconcile`.
    pub shown: Option<Shown>,
    /// Since it is there, all keys of both sides were reconciled, and in the end all were the same.
    pub reconciled: bool,
}

/// What a journal has of one service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Writes that the authoritative side applied and the other does not have; dead letters apart.
    pub depth: u64,
    /// Age of the oldest of them that is still tried.
    pub oldest: Duration,
    /// Writes that are not tried any more.
    pub dead_letters: u64,
    /// Writes of which nobody knows whether the authoritative side took them.
    pub uncertain: u64,
    /// Keys listed for reconciliation.
    pub to_reconcile: u64,
}

/// Something that is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Missing {
    /// What, in a word: order, journal, deadLetters, uncertain, toReconcile, consistency, keys, bake, reconciliation.
    pub gate: String,
    /// What, in a sentence with its numbers.
    pub detail: String,
}

/// What is missing before a migration may go to `wanted`; nothing where it may.
#[must_use]
pub fn missing(gates: &MigrationGates, facts: &Facts, wanted: Progress) -> Vec<Missing> {
    let mut list = Vec::new();
    for (from, to) in moves(facts.progress, wanted) {
        for missing in of_move(gates, facts, from, to) {
            if !list.contains(&missing) {
                list.push(missing);
            }
        }
    }
    list
}

/// Where a migration goes from here, one stage on for all keys; `None` at the end of it.
#[must_use]
pub fn next(progress: Progress) -> Option<Progress> {
    if progress.share < Share::ALL {
        return Some(Progress { share: Share::ALL, ..progress });
    }
    progress.stage.after().map(|stage| Progress { stage, share: Share::ALL })
}

/// The stages that keys leave and take when a migration goes from `now` to `then`, each pair once. Shares are of the same
/// keys at every stage, the smaller within the larger.
#[must_use]
pub fn moves(now: Progress, then: Progress) -> Vec<(Stage, Stage)> {
    let at = |progress: Progress, within: bool| {
        if within { progress.stage } else { progress.stage.before().unwrap_or(progress.stage) }
    };
    let edges = [Share::NONE, now.share.min(then.share), now.share.max(then.share), Share::ALL];
    let mut moves = Vec::new();
    for pair in edges.windows(2).filter(|pair| pair[0] < pair[1]) {
        let step = (at(now, pair[1] <= now.share), at(then, pair[1] <= then.share));
        if step.0 != step.1 && !moves.contains(&step) {
            moves.push(step);
        }
    }
    moves
}

fn of_move(gates: &MigrationGates, facts: &Facts, from: Stage, to: Stage) -> Vec<Missing> {
    let mut list = Vec::new();
    if to > from {
        if from.after() != Some(to) {
            let next = from.after().unwrap_or(from);
            add(&mut list, "order", format!("from {from} the next stage is {next}, not {to}"));
        }
        if to == Stage::Live {
            delivered(&facts.journal, Side::To, &mut list);
            consistent(gates, facts.shown.as_ref(), &mut list);
        }
        if to == Stage::Complete && facts.held < gates.bake {
            let [held, bake] = [facts.held, gates.bake].map(seconds);
            add(&mut list, "bake", format!("rampDown has been in force for {held} of {bake}"));
        }
        return list;
    }
    if from == Stage::Complete && !facts.reconciled {
        let detail = "the old version has missed every write since `complete`: reconcile all keys with --repair first";
        add(&mut list, "reconciliation", detail.to_owned());
    }
    if from.authoritative() == Side::To && to.authoritative() == Side::From {
        delivered(&facts.journal, Side::From, &mut list);
    }
    list
}

/// Whether `side` has every write that the other one took.
fn delivered(journal: &Backlog, side: Side, list: &mut Vec<Missing>) {
    let who = if side == Side::To { "new" } else { "old" };
    // With steady writes some are on their way at any time; what waits is what the other side did not take at once.
    if journal.depth > 0 && (journal.oldest >= ON_ITS_WAY || journal.dead_letters > 0) {
        let (depth, oldest) = (journal.depth, journal.oldest.as_secs_f64());
        let detail = format!(
            "the journal must be empty: {} for the {who} version, the oldest for {oldest:.1}s",
            counted(depth, "write waits", "writes wait")
        );
        add(list, "journal", detail);
    }
    let more = [
        ("deadLetters", journal.dead_letters, "dead letter is", "dead letters are", "in the journal: retry or drop"),
        ("uncertain", journal.uncertain, "write is", "writes are", "uncertain: nobody knows whether it was taken"),
        ("toReconcile", journal.to_reconcile, "key is", "keys are", "listed for reconciliation"),
    ];
    for (gate, count, one, many, rest) in more.into_iter().filter(|(_, count, ..)| *count > 0) {
        add(list, gate, format!("{} {rest}", counted(count, one, many)));
    }
}

fn consistent(gates: &MigrationGates, shown: Option<&Shown>, list: &mut Vec<Missing>) {
    let bar = f64::from(gates.consistency.hundredths()) / f64::from(Share::ALL.hundredths());
    let Some(shown) = shown else {
        let detail = format!(
            "nobody has looked whether both sides are the same: `migration.reconcile` has to say how, \
             for {} to be shown",
            gates.consistency
        );
        return add(list, "consistency", detail);
    };
    if shown.keys < u64::from(gates.min_keys) {
        add(list, "keys", format!("{} of {} keys have been looked at", shown.keys, gates.min_keys));
    }
    if shown.low < bar {
        let low = floor_percent(shown.low);
        let more = shown.needs(bar).map_or_else(
            || format!("; as {} of {} looks disagreed, something has to be repaired", shown.disagreed, shown.looks),
            |more| format!("; {more} more looks without a disagreement would show it"),
        );
        let detail =
            format!("both sides are shown to be the same for {low}% of keys at least, not {}{more}", gates.consistency);
        add(list, "consistency", detail);
    }
}

fn add(list: &mut Vec<Missing>, gate: &str, detail: String) {
    list.push(Missing { gate: gate.to_owned(), detail });
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A fraction in percent, cut after the second decimal: never more than was shown.
fn floor_percent(fraction: f64) -> f64 {
    (fraction * 10_000.0).floor() / 100.0
}

/// A duration in the largest units that say it to the second.
pub(super) fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, 0) => format!("{m}m"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, 0, _) => format!("{h}h"),
        (h, m, _) => format!("{h}h{m}m"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(stage: Stage, percent: u32) -> Progress {
        Progress { stage, share: Share::from_hundredths(percent * 100) }
    }

    fn facts(progress: Progress) -> Facts {
        let shown = Shown { estimate: Some(1.0), low: 0.9995, high: 1.0, looks: 20_000, disagreed: 0, keys: 2_000 };
        Facts {
            progress,
            held: Duration::from_hours(1),
            journal: Backlog::default(),
            shown: Some(shown),
            reconciled: false,
        }
    }

    fn gates_of(facts: &Facts, wanted: Progress) -> Vec<String> {
        missing(&MigrationGates::default(), facts, wanted).into_iter().map(|missing| missing.gate).collect()
    }

    fn details_of(facts: &Facts, wanted: Progress) -> Vec<String> {
        missing(&MigrationGates::default(), facts, wanted).into_iter().map(|missing| missing.detail).collect()
    }

    #[test]
    fn every_stage_may_be_taken_after_the_one_before_where_all_is_well() {
        for pair in Stage::ALL.windows(2) {
            assert_eq!(gates_of(&facts(at(pair[0], 100)), at(pair[1], 100)), [""; 0], "{} to {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn live_says_in_numbers_what_it_lacks() {
        let mut facts = facts(at(Stage::Shadow, 100));
        facts.journal =
            Backlog { depth: 3, oldest: Duration::from_millis(1_500), dead_letters: 1, uncertain: 2, to_reconcile: 4 };
        facts.shown = Some(Shown { estimate: Some(1.0), low: 0.99123, high: 1.0, looks: 700, disagreed: 0, keys: 640 });
        let said = details_of(&facts, at(Stage::Live, 10));
        assert_eq!(said[0], "the journal must be empty: 3 writes wait for the new version, the oldest for 1.5s");
        assert_eq!(said[1], "1 dead letter is in the journal: retry or drop");
        assert_eq!(said[2], "2 writes are uncertain: nobody knows whether it was taken");
        assert_eq!(said[3], "4 keys are listed for reconciliation");
        assert_eq!(said[4], "640 of 1000 keys have been looked at");
        let [before, after] = [
            "both sides are shown to be the same for 99.12% of keys at least, not 99.9%; ",
            " more looks without a disagreement would show it",
        ];
        let number = said[5].strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).expect(&said[5]);
        assert!((1_000..20_000).contains(&number.parse::<u64>().unwrap()), "{number}");
        facts.shown = None;
        assert!(details_of(&facts, at(Stage::Live, 10))[4].contains("`migration.reconcile` has to say how"));
    }

    #[test]
    fn writes_that_are_just_being_delivered_are_no_backlog_and_old_or_failed_ones_are() {
        let mut facts = facts(at(Stage::Shadow, 100));
        facts.journal = Backlog { depth: 5, oldest: Duration::from_millis(20), ..Backlog::default() };
        assert_eq!(gates_of(&facts, at(Stage::Live, 100)), [""; 0]);
        facts.journal.oldest = Duration::from_millis(250);
        assert_eq!(gates_of(&facts, at(Stage::Live, 100)), ["journal"], "the other side is slow, or away");
        facts.journal = Backlog { depth: 5, dead_letters: 1, ..Backlog::default() };
        assert_eq!(
            gates_of(&facts, at(Stage::Live, 100)),
            ["journal", "deadLetters"],
            "some wait behind a dead letter"
        );
    }

    #[test]
    fn complete_needs_a_ramp_down_that_has_baked() {
        let mut facts = facts(at(Stage::RampDown, 100));
        facts.held = Duration::from_secs(200);
        assert_eq!(details_of(&facts, at(Stage::Complete, 5)), ["rampDown has been in force for 3m20s of 10m"]);
    }

    #[test]
    fn the_way_back_is_open_where_the_version_that_answers_has_every_write() {
        for (from, to) in [
            (Stage::DualWrite, Stage::Off),
            (Stage::Shadow, Stage::DualWrite),
            (Stage::Shadow, Stage::Off),
            (Stage::RampDown, Stage::Live),
        ] {
            let mut facts = facts(at(from, 100));
            facts.journal.depth = 10;
            facts.shown = None;
            assert_eq!(gates_of(&facts, at(to, 100)), [""; 0], "{from} to {to}");
        }
        let mut facts = facts(at(Stage::Live, 100));
        facts.shown = None;
        assert_eq!(gates_of(&facts, at(Stage::Shadow, 100)), [""; 0]);
        facts.journal = Backlog { depth: 1, oldest: Duration::from_secs(1), ..Backlog::default() };
        assert_eq!(
            details_of(&facts, at(Stage::Shadow, 100)),
            ["the journal must be empty: 1 write waits for the old version, the oldest for 1.0s"]
        );
    }

    #[test]
    fn nobody_leaves_complete_before_all_is_reconciled() {
        let mut facts = facts(at(Stage::Complete, 100));
        for stage in [Stage::RampDown, Stage::Live, Stage::Shadow, Stage::Off] {
            assert_eq!(gates_of(&facts, at(stage, 100)), ["reconciliation"], "{stage}");
        }
        facts.reconciled = true;
        assert_eq!(gates_of(&facts, at(Stage::RampDown, 100)), [""; 0]);
    }

    #[test]
    fn a_share_of_keys_is_held_to_the_same_as_all_of_them() {
        let mut held_back = facts(at(Stage::Shadow, 100));
        held_back.shown = None;
        assert_eq!(gates_of(&held_back, at(Stage::Live, 1)), ["consistency"]);
        let mut widened = facts(at(Stage::Live, 10));
        widened.shown = None;
        assert_eq!(gates_of(&widened, at(Stage::Live, 20)), ["consistency"], "more keys go live");
        assert_eq!(gates_of(&widened, at(Stage::Live, 5)), [""; 0], "some go back");
        widened.journal = Backlog { depth: 1, oldest: Duration::from_secs(1), ..Backlog::default() };
        assert_eq!(gates_of(&widened, at(Stage::Live, 5)), ["journal"], "but only with every write");
        assert_eq!(
            details_of(&facts(at(Stage::Shadow, 10)), at(Stage::Live, 100)),
            ["from dualWrite the next stage is shadow, not live"],
            "nine keys in ten were never in `shadow`"
        );
    }

    #[test]
    fn the_next_step_is_all_keys_and_then_the_stage_after() {
        assert_eq!(next(at(Stage::Live, 10)), Some(at(Stage::Live, 100)));
        assert_eq!(next(at(Stage::Live, 100)), Some(at(Stage::RampDown, 100)));
        assert_eq!(next(at(Stage::Complete, 100)), None);
    }

    fn progress() -> impl Strategy<Value = Progress> {
        (0..6_usize, 1..=100_u32).prop_map(|(stage, percent)| {
            let stage = Stage::ALL[stage];
            at(stage, if stage == Stage::Off { 100 } else { percent })
        })
    }

    proptest! {
        /// Held against every hundredth key looked at one by one.
        #[test]
        fn moves_are_just_those_that_keys_make(now in progress(), then in progress()) {
            let stage = |progress: Progress, key: u32| {
                let within = key < progress.share.hundredths();
                if within { progress.stage } else { progress.stage.before().unwrap_or(progress.stage) }
            };
            let mut each: Vec<_> = (0..10_000).step_by(50).map(|key| (stage(now, key), stage(then, key))).collect();
            each.retain(|(from, to)| from != to);
            each.sort();
            each.dedup();
            let mut told = moves(now, then);
            told.sort();
            prop_assert_eq!(told, each);
        }

        /// Whatever else is known, no key is answered by a version that lacks a write known to wait for it.
        #[test]
        fn nobody_is_answered_by_a_version_that_lacks_writes(now in progress(), then in progress(), depth in 1..100_u64) {
            let mut facts = facts(now);
            facts.reconciled = true;
            facts.journal = Backlog { depth, oldest: Duration::from_secs(1), ..Backlog::default() };
            let crosses = moves(now, then).iter().any(|(from, to)| from.client_gets() != to.client_gets());
            let refused = !missing(&MigrationGates::default(), &facts, then).is_empty();
            prop_assert!(!crosses || refused);
        }
    }
}
