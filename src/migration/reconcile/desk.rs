//! What is known of one service: its last run, the evidence, the keys seen.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::sync::watch;

use super::consistency::Consistency;
use super::examine::{Mended, Outcome};
use super::likeness::Likeness;
use super::reservoir::Reservoir;
use super::run::{Counts, Keys, Run};
use crate::diff::Rules;
use crate::migration::gates::moves;
use crate::plan::Progress;

/// Most keys that are drawn from for verification.
const KNOWN: usize = 10_000;
/// Most keys in doubt that are remembered.
const MAX_DOUBTS: usize = 10_000;
/// How long it counts that everything was the same, where writes go to one side alone.
const RECONCILED_FOR: Duration = Duration::from_mins(10);

/// How looks of the verification ended, by their positions in [`Desk::looks`].
pub(super) const LOOKS: [&str; 4] = ["agreed", "disagreed", "busy", "failed"];

/// What is known of one service.
#[derive(Debug)]
pub(super) struct Desk {
    /// The last run, as it was when it was last looked at; `Err`: what is kept of it cannot be read.
    pub(super) run: Option<Result<Run, String>>,
    /// Cancels the run that is on: by whom. `None`: none is.
    pub(super) cancel: Option<watch::Sender<Option<String>>>,
    /// What was shown since the evidence began.
    pub(super) evidence: Consistency,
    /// Whether both sides represent things alike.
    pub(super) likeness: Likeness,
    /// Keys seen in writes.
    pub(super) reservoir: Reservoir,
    /// Keys that disagreed when they were last looked at.
    pub(super) doubts: BTreeSet<Arc<str>>,
    /// How far the migration is.
    pub(super) progress: Progress,
    /// By what the sides are compared.
    pub(super) rules: Arc<Rules>,
    /// Looks of the verification since the start, by [`LOOKS`].
    pub(super) looks: [u64; LOOKS.len()],
    /// Keys of runs since the start.
    pub(super) counts: Counts,
    /// Looks of the verification that are on.
    pub(super) verifying: u32,
    /// When the next one is due.
    pub(super) verify_at: Instant,
    /// When all keys were last seen to be the same, since the migration is where it is.
    reconciled: Option<Instant>,
    rng: Rng,
}

impl Desk {
    pub(super) fn new(progress: Progress, rules: Arc<Rules>, run: Option<Result<Run, String>>) -> Self {
        Self {
            run,
            cancel: None,
            evidence: Consistency::default(),
            likeness: Likeness::default(),
            reservoir: Reservoir::new(KNOWN),
            doubts: BTreeSet::new(),
            progress,
            rules,
            looks: [0; _],
            counts: Counts::default(),
            verifying: 0,
            verify_at: Instant::now(),
            reconciled: None,
            rng: Rng::new(),
        }
    }

    /// The migration is there now, and these are the rules.
    pub(super) fn follow(&mut self, progress: Progress, rules: &Arc<Rules>) {
        if progress != self.progress {
            // Where writes go to one side alone, the other falls behind: what was shown before says nothing any more.
            let parts = |(from, to): &(_, _)| !is_to_both(*from) || !is_to_both(*to);
            if moves(self.progress, progress).iter().any(parts) {
                self.evidence.begin_anew();
            }
            (self.progress, self.reconciled) = (progress, None);
        }
        if **rules != *self.rules {
            self.evidence.begin_anew();
            self.likeness = Likeness::default();
            self.rules = Arc::clone(rules);
        }
    }

    pub(super) fn saw(&mut self, key: &str) {
        self.reservoir.offer(key, &mut self.rng);
    }

    /// Any of the keys seen.
    pub(super) fn draw(&mut self) -> Option<Arc<str>> {
        self.reservoir.draw(&mut self.rng)
    }

    /// The verification looked at a key.
    pub(super) fn verified(&mut self, key: &Arc<str>, outcome: &Outcome) {
        self.verifying = self.verifying.saturating_sub(1);
        let position = match outcome {
            Outcome::Agreed => 0,
            Outcome::Disagreed(..) => 1,
            Outcome::Busy => 2,
            Outcome::Failed(_) => 3,
        };
        self.looks[position] += 1;
        if position < 2 {
            self.evidence.count(key, position == 0);
        }
        self.heed(key, outcome);
    }

    /// A run looked at a key. `after`: what is so after its repairs, where it makes any.
    pub(super) fn looked(&mut self, asked: Keys, key: &Arc<str>, outcome: &Outcome, after: Option<&mut Consistency>) {
        self.heed(key, outcome);
        // Keys that there were doubts about are no sample of all.
        if asked == Keys::Journal {
            return;
        }
        match (outcome, after) {
            // It is looked at again.
            (Outcome::Busy | Outcome::Failed(_) | Outcome::Disagreed(_, Mended::Later(_)), _) => {}
            (Outcome::Agreed, None) => self.evidence.count(key, true),
            (Outcome::Disagreed(..), None) => self.evidence.count(key, false),
            (Outcome::Agreed, Some(after)) => after.count(key, true),
            (Outcome::Disagreed(_, mended), Some(after)) => after.count(key, *mended == Mended::Done),
        }
    }

    fn heed(&mut self, key: &Arc<str>, outcome: &Outcome) {
        match outcome {
            Outcome::Agreed | Outcome::Disagreed(_, Mended::Done) => {
                self.doubts.remove(key);
            }
            Outcome::Disagreed(..) if self.doubts.len() < MAX_DOUBTS => {
                self.doubts.insert(Arc::clone(key));
            }
            _ => {}
        }
    }

    /// A run is over that began when the migration was at `began`.
    pub(super) fn finished(&mut self, run: &Run, began: Progress, after: Option<Consistency>) {
        if run.counts.repaired > 0 {
            // What was shown before was of another state.
            self.evidence.begin_anew();
        }
        if let Some(after) = after {
            self.evidence.add(after);
        }
        if run.shows_all_the_same() && began == self.progress {
            self.reconciled = Some(Instant::now());
            self.doubts.clear();
        }
        self.cancel = None;
        self.run = Some(Ok(run.clone()));
    }

    /// Whether all keys were seen to be the same lately, since the migration is where it is.
    pub(super) fn is_reconciled(&self) -> bool {
        self.reconciled.is_some_and(|at| at.elapsed() < RECONCILED_FOR)
    }
}

fn is_to_both(stage: crate::plan::Stage) -> bool {
    stage.writes_both()
}

#[cfg(test)]
mod tests {
    use super::super::look::{Disagreement, Kind};
    use super::super::run::{Asked, End, Next};
    use super::*;
    use crate::plan::{Share, Stage};

    fn at(stage: Stage) -> Progress {
        Progress { stage, share: Share::ALL }
    }

    fn desk(stage: Stage) -> Desk {
        Desk::new(at(stage), Arc::default(), None)
    }

    fn wrong(mended: Mended) -> Outcome {
        Outcome::Disagreed(Disagreement { kind: Kind::Differs, differences: Vec::new() }, mended)
    }

    #[test]
    fn evidence_lasts_while_both_sides_get_every_write() {
        let mut desk = desk(Stage::DualWrite);
        let key: Arc<str> = "k".into();
        desk.verified(&key, &Outcome::Agreed);
        for stage in [Stage::Shadow, Stage::Live, Stage::RampDown, Stage::Shadow] {
            desk.follow(at(stage), &Arc::default());
            assert_eq!(desk.evidence.shown().looks, 1, "{stage}");
        }
        desk.follow(at(Stage::Off), &Arc::default());
        assert_eq!(desk.evidence.shown().looks, 0);
        desk.verified(&key, &Outcome::Agreed);
        desk.follow(at(Stage::Off), &Arc::new(Rules { tolerance: 0.5, ..Rules::default() }));
        assert_eq!(desk.evidence.shown().looks, 0, "compared by other rules");
    }

    #[test]
    fn keys_that_disagree_are_in_doubt_until_they_do_not() {
        let mut desk = desk(Stage::Shadow);
        let key: Arc<str> = "k".into();
        desk.verified(&key, &wrong(Mended::NotAsked));
        desk.verified(&key, &Outcome::Busy);
        assert_eq!((desk.doubts.len(), desk.evidence.shown().looks), (1, 1));
        desk.looked(Keys::Journal, &key, &wrong(Mended::Done), Some(&mut Consistency::default()));
        assert!(desk.doubts.is_empty());
        assert_eq!(desk.looks, [0, 1, 1, 0]);
    }

    #[test]
    fn after_a_repair_only_what_is_so_then_counts() {
        let mut desk = desk(Stage::Complete);
        let key: Arc<str> = "k".into();
        desk.verified(&key, &wrong(Mended::NotAsked));
        let asked = Asked {
            keys: Keys::Sample(10_000),
            repair: true,
            per_second: 1.0,
            actor: String::new(),
            reason: String::new(),
        };
        let (mut run, mut after) = (Run::new(asked, Some(1), 0), Consistency::default());
        let Next::Key(number) = run.next(Duration::ZERO) else { panic!("there is one") };
        desk.looked(run.asked.keys, &key, &wrong(Mended::Done), Some(&mut after));
        run.put(number, &key, wrong(Mended::Done), Duration::ZERO);
        assert_eq!(run.next(Duration::ZERO), Next::Over);
        assert_eq!(run.end, Some(End::Done));
        desk.finished(&run, at(Stage::Complete), Some(after));
        let shown = desk.evidence.shown();
        assert_eq!((shown.looks, shown.disagreed), (1, 0));
        assert!(desk.is_reconciled());
        desk.follow(at(Stage::RampDown), &Arc::default());
        assert!(!desk.is_reconciled(), "it was of another stage");
    }
}
