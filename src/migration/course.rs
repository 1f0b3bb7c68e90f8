//! A migration that goes on by itself, step by step, by its plan. Pure.
//!
//! It goes on from a step once it has been there for as long as the step bakes, in this process, and nothing is
//! [missing](super::gates) before the next one. Where it is at no step of its plan, the plan has nothing to say.

use super::gates::{Facts, Missing, missing, seconds};
use crate::plan::{MigrationChecks, Progress};

/// What a plan makes of a migration at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Course {
    /// It is at no step, or at the last.
    Nothing,
    /// It stays until this is there.
    Waits {
        /// Where it goes then.
        next: Progress,
        /// What is missing.
        missing: Vec<Missing>,
    },
    /// It goes there now.
    Goes(Progress),
}

/// What the plan of a migration makes of these facts.
#[must_use]
pub fn course(checks: &MigrationChecks, facts: &Facts) -> Course {
    let Some(at) = checks.steps.iter().position(|step| step.to == facts.progress) else { return Course::Nothing };
    let Some(next) = checks.steps.get(at + 1).map(|step| step.to) else { return Course::Nothing };
    let bake = checks.steps[at].bake;
    let mut lacking = Vec::new();
    if facts.held < bake {
        let (held, whole) = (seconds(facts.held), seconds(bake));
        let detail = format!("{} has been in force for {held} of {whole}, by the plan", facts.progress);
        lacking.push(Missing { gate: "step".to_owned(), detail });
    }
    lacking.extend(missing(&checks.gates, facts, next));
    if lacking.is_empty() { Course::Goes(next) } else { Course::Waits { next, missing: lacking } }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fastrand::Rng;

    use super::super::gates::{Backlog, moves};
    use super::super::reconcile::Shown;
    use super::*;
    use crate::plan::{MigrationGates, MigrationStep, Share, Stage};

    fn at(stage: Stage, percent: u32) -> Progress {
        Progress { stage, share: Share::from_hundredths(percent * 100) }
    }

    fn checks() -> MigrationChecks {
        let minutes = |to, minutes| MigrationStep { to, bake: Duration::from_mins(minutes) };
        let steps = vec![
            minutes(at(Stage::DualWrite, 100), 60),
            minutes(at(Stage::Shadow, 100), 5),
            minutes(at(Stage::Live, 10), 5),
            minutes(at(Stage::Live, 100), 5),
            minutes(at(Stage::RampDown, 100), 30),
            minutes(at(Stage::Complete, 100), 1),
        ];
        MigrationChecks { reconcile: None, gates: MigrationGates::default(), steps }
    }

    fn facts(progress: Progress, minutes: u64) -> Facts {
        let shown = Shown { estimate: Some(1.0), low: 0.9995, high: 1.0, looks: 20_000, disagreed: 0, keys: 2_000 };
        let held = Duration::from_mins(minutes);
        Facts { progress, held, journal: Backlog::default(), shown: Some(shown), reconciled: false }
    }

    #[test]
    fn a_step_bakes_and_then_the_next_one_needs_what_anybody_would() {
        let dual = at(Stage::DualWrite, 100);
        let Course::Waits { next, missing } = course(&checks(), &facts(dual, 12)) else { panic!("it bakes") };
        assert_eq!(next, at(Stage::Shadow, 100));
        assert_eq!(missing[0].detail, "dualWrite has been in force for 12m of 1h, by the plan");
        assert_eq!(course(&checks(), &facts(dual, 60)), Course::Goes(next));
        let mut doubtful = facts(at(Stage::Shadow, 100), 60);
        doubtful.shown = None;
        let Course::Waits { missing, .. } = course(&checks(), &doubtful) else { panic!("nothing is shown") };
        assert_eq!(missing[0].gate, "consistency");
    }

    #[test]
    fn a_plan_says_nothing_of_what_is_none_of_its_steps() {
        for progress in [Progress::OFF, at(Stage::DualWrite, 50), at(Stage::Live, 20), at(Stage::Complete, 100)] {
            assert_eq!(course(&checks(), &facts(progress, 600)), Course::Nothing, "{progress}");
        }
    }

    /// Whatever happens, in whatever order: it never goes back, never passes over a stage, never goes live unshown.
    #[test]
    fn a_plan_only_ever_goes_on_and_only_where_it_may() {
        for seed in 0..256 {
            let mut rng = Rng::with_seed(seed);
            let (checks, mut now) = (checks(), facts(at(Stage::DualWrite, 100), 0));
            for _ in 0..400 {
                now.held += Duration::from_secs(rng.u64(0..300));
                let depth = rng.u64(0..3);
                now.journal = Backlog { depth, oldest: Duration::from_millis(rng.u64(0..500)), ..Backlog::default() };
                let low = if rng.bool() { 0.9995 } else { 0.9 };
                now.shown = now.shown.map(|shown| Shown { low, ..shown });
                let Course::Goes(next) = course(&checks, &now) else { continue };
                for (from, to) in moves(now.progress, next) {
                    assert_eq!(from.after(), Some(to), "seed {seed}");
                    assert!(to != Stage::Live || low > 0.999, "seed {seed}");
                    assert!(to != Stage::Live || depth == 0 || now.journal.oldest < Duration::from_millis(250));
                }
                now = Facts { progress: next, held: Duration::ZERO, ..now };
            }
            assert!(now.progress.stage >= Stage::Shadow, "seed {seed}: it never moved");
        }
    }
}
