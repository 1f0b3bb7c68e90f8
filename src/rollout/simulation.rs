//! Whole rollouts under random faults, edits, restarts and clock jumps, the invariants held after every event.
//!
//! `SERIN_ROLLOUTS=10000 cargo test --lib rollout::simulation` runs as many as are asked for; `SERIN_SEED` begins elsewhere.

mod invariants;

use std::collections::BTreeSet;
use std::time::Duration;

use super::aftermath::Aftermath;
use super::fixture::{plan, planned};
use super::*;
use crate::plan::{ApprovalNeeded, EvidenceNeeded, OnRegression, Weight};

const ROLLOUTS: u64 = 1_000;
const EVENTS: usize = 80;
const PEOPLE: [&str; 4] = ["ada", "grace", "edsger", "barbara"];

/// One line of the ledger: the state from then on, and the weights where they change.
struct Entry {
    state: Option<String>,
    #[expect(clippy::option_option, reason = "no weights in this entry, shares of others, or that of `to`")]
    weights: Option<Option<Exposure>>,
}

/// A service, its control plane and everybody around it.
struct World {
    random: fastrand::Rng,
    seed: u64,
    planned: Planned,
    state: State,
    /// Monotonic time of the process.
    now: Duration,
    /// The share of `to` in force. `None`: other versions have one, too.
    in_force: Option<Exposure>,
    ledger: Vec<Entry>,
    /// Whether the disk takes entries.
    writable: bool,
    /// Independently of the machine: for how long the present step can have been baking, over all processes.
    step_age: Duration,
    approved: BTreeSet<&'static str>,
    starter: Option<&'static str>,
    log: Vec<String>,
}

/// What made a change.
#[derive(Clone, Copy, PartialEq)]
enum Cause {
    Machine,
    Person,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let planned = random_plan(&mut random);
        let in_force = Some(if random.u8(..4) == 0 { Exposure::ALL } else { Exposure::NONE });
        Self {
            state: State::pending(&planned),
            random,
            seed,
            planned,
            now: Duration::from_secs(1),
            in_force,
            ledger: vec![Entry { state: None, weights: Some(in_force) }],
            writable: true,
            step_age: Duration::ZERO,
            approved: BTreeSet::new(),
            starter: None,
            log: Vec::new(),
        }
    }

    fn event(&mut self) {
        match self.random.u32(..100) {
            0..55 => self.tick(),
            55..63 => self.order(),
            63..75 => self.start_or_go_on(),
            75..79 => self.edit(),
            79..84 => self.restart(false),
            84..87 => {
                self.now += Duration::from_secs(self.random.u64(..100_000));
                self.log.push("the clock jumps ahead".into());
            }
            87..90 => self.writable = !self.writable,
            90..93 => self.new_plan(),
            93..95 => self.restart(true),
            95..97 => self.moved(),
            _ => self.now += Duration::from_secs(self.random.u64(..700)),
        }
        self.check();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn evidence(&mut self) -> Evidence {
        let finding = match self.random.u8(..10) {
            0 => Finding::Regressed,
            1..5 => Finding::Inconclusive,
            _ => Finding::Healthy,
        };
        let chance = |random: &mut fastrand::Rng, one_in: u8| random.u8(..one_in) == 0;
        let well = chance(&mut self.random, 2);
        Evidence {
            // Now and then of a window that is over.
            window: self.state.window.wrapping_sub(u64::from(chance(&mut self.random, 10))),
            in_force: self.in_force,
            requests: self.random.u64(..400),
            control_requests: self.has_control().then(|| self.random.u64(..400)),
            finding,
            reason: format!("{finding:?}"),
            hiding: None,
            verdict: None,
            burning: chance(&mut self.random, 20).then(|| "burning".to_owned()),
            obstacle: chance(&mut self.random, 3).then(|| "not healthy".to_owned()),
            next_run: self.state.run + 1,
            aftermath: Some(Aftermath {
                picks: u64::from(!well),
                in_flight: 0,
                back: Some(true),
                sentence: String::new(),
            }),
            hurt: 3,
            own_harm: chance(&mut self.random, 20).then(|| "bad by itself".to_owned()),
        }
    }

    fn tick(&mut self) {
        let passed = Duration::from_millis(self.random.u64(..400_000));
        self.pass(passed);
        let evidence = self.evidence();
        let guarded = self.state.exposure.is_some_and(|ours| ours > Exposure::NONE && Some(ours) == self.in_force)
            && matches!(
                self.state.phase,
                Phase::Baking(_) | Phase::AwaitingApproval { .. } | Phase::Paused { cause: PauseCause::Asked, .. }
            );
        let harmful = evidence.finding == Finding::Regressed || evidence.burning.is_some();
        let in_window = evidence.window == self.state.window;
        let before = self.state.clone();
        self.apply(&Input::Tick(evidence.clone()), Cause::Machine, Some(&evidence));
        if let Phase::Drilling(drill) = &before.phase
            && drill.rolled_back_ms.is_none()
            && before.clock.is_some()
            && before.exposure == evidence.in_force
            && in_window
            && (harmful || evidence.own_harm.is_some())
        {
            assert_eq!(self.in_force, Some(Exposure::NONE), "{before:?} → {:?} {self}", self.state);
        }
        if guarded && harmful && in_window {
            let withdrawn =
                matches!(self.state.phase, Phase::Validating { .. }) && self.in_force == Some(Exposure::NONE);
            let stopped = matches!(self.state.phase, Phase::Paused { cause: PauseCause::Regressed, .. });
            match self.planned.plan.on_regression {
                OnRegression::Rollback => assert!(withdrawn, "{before:?} → {:?} {self}", self.state),
                OnRegression::Pause => assert!(stopped, "{before:?} → {:?} {self}", self.state),
            }
        }
    }

    fn person(&mut self) -> &'static str {
        PEOPLE[self.random.usize(..PEOPLE.len())]
    }

    fn order(&mut self) {
        let command = match self.random.u8(..10) {
            0 => Command::Start { in_force: self.in_force, run: self.state.run + 1 },
            1 => Command::Pause,
            2 => Command::Resume,
            3 => Command::Promote,
            4 => Command::Abort,
            5 | 6 => Command::Drill(DrillOrder {
                fault: DrillFault::Errors,
                share: crate::plan::Share::from_hundredths(self.random.u32(1..10_000)),
                within: Duration::from_secs(self.random.u64(1..600)),
                delay: Duration::ZERO,
                in_force: self.in_force,
                run: self.state.run + 1,
            }),
            7 => Command::Approve { plan: "another".to_owned() },
            _ => Command::Approve { plan: self.planned.hash.clone() },
        };
        self.give(command);
    }

    /// What a person would do who wants to see it through.
    fn start_or_go_on(&mut self) {
        let command = match &self.state.phase {
            Phase::AwaitingApproval { .. } => Command::Approve { plan: self.planned.hash.clone() },
            Phase::Paused { .. } => Command::Resume,
            phase if !phase.is_watched() => Command::Start { in_force: self.in_force, run: self.state.run + 1 },
            _ => return,
        };
        self.give(command);
    }

    fn give(&mut self, command: Command) {
        let actor = self.person();
        let order = Order { command: command.clone(), actor: actor.to_owned(), reason: String::new() };
        let run = self.state.run;
        let (approvals, before) = (self.state.approvals.len(), self.state.clone());
        if !self.apply(&Input::Order(order), Cause::Person, None) {
            return;
        }
        match command {
            Command::Start { .. } if self.state.run > run => {
                self.approved.clear();
                self.starter = Some(actor);
            }
            Command::Approve { plan } if self.state.approvals.len() > approvals => {
                assert_eq!(plan, before.plan, "an approval of another plan counts {self}");
                assert_ne!(Some(actor), self.starter, "who started it approves {self}");
                assert!(self.approved.insert(actor), "somebody approves twice {self}");
            }
            _ => {}
        }
    }

    fn edit(&mut self) {
        let shares = [None, Some(0), Some(5_000), Some(50_000), Some(100_000)];
        let share = shares[self.random.usize(..shares.len())];
        let share = share.map(|share| serde_json::from_value(share.into()).unwrap());
        if share == self.in_force {
            return;
        }
        self.log.push(format!("edit {share:?}"));
        // As control does it: the weights are written down and in force before the rollout hears of it.
        self.ledger.push(Entry { state: None, weights: Some(share) });
        self.in_force = share;
        if self.random.u8(..5) == 0 {
            return self.restart(false);
        }
        let person = self.person().to_owned();
        self.apply(&Input::Edited { actor: person, in_force: share }, Cause::Person, None);
    }

    fn new_plan(&mut self) {
        let before = std::mem::replace(&mut self.planned, random_plan(&mut self.random));
        if before.hash == self.planned.hash {
            return;
        }
        self.log.push("new plan".into());
        let was_active = self.state.phase.is_active();
        let input = Input::NewPlan { actor: "serin.yaml".to_owned() };
        self.apply(&input, Cause::Machine, None);
        self.approved.clear();
        self.starter = None;
        if was_active {
            assert_eq!(self.in_force, Some(Exposure::NONE), "the old target goes to 0 first {self}");
        }
    }

    /// A version answers elsewhere: no share changes by that, and no evidence outlives it.
    fn moved(&mut self) {
        let (before, in_force) = (self.state.clone(), self.in_force);
        let version = if self.random.bool() { "new" } else { "old" };
        let input = Input::Moved { actor: "serin.yaml".to_owned(), version: version.to_owned() };
        self.apply(&input, Cause::Machine, None);
        assert_eq!(self.in_force, in_force, "{self}");
        let at_a_step =
            matches!(before.phase, Phase::Baking(_) | Phase::AwaitingApproval { .. } | Phase::Paused { .. });
        assert_eq!(self.state.window, before.window + u64::from(at_a_step), "{self}");
        if let Phase::Baking(at) | Phase::Paused { at, .. } = &self.state.phase {
            assert_eq!(at.baked_ms, 0, "{self}");
        }
        let later = self.state.phase.step() > before.phase.step();
        assert!(!later, "{self}");
    }

    fn has_control(&self) -> bool {
        matches!(Control::of(&self.planned.plan, &self.state), Control::Arm(_))
    }

    /// The process ends and another one takes up what the ledger says. `torn`: in the middle of a change.
    fn restart(&mut self, torn: bool) {
        self.log.push(format!("restart, torn {torn}"));
        if torn {
            let evidence = self.evidence();
            if let Ok(Stepped { state, action: Some(action) }) =
                step(&self.planned, &self.state, self.now, &Input::Tick(evidence.clone()))
                && self.random.bool()
            {
                // Written, and the process died before it took effect: it does so in the next one.
                if matches!(self.state.phase, Phase::Baking(_)) {
                    self.step_age += self.now.saturating_sub(self.state.clock.unwrap_or(self.now));
                }
                self.hold(&action, &state, Cause::Machine, Some(&evidence));
                self.write(&action, &state);
            }
        }
        let weights = self.ledger.iter().rev().find_map(|entry| entry.weights);
        self.in_force = weights.expect("the first entry has weights");
        let kept = self.ledger.iter().rev().find_map(|entry| entry.state.as_ref());
        let kept: Option<State> = kept.map(|text| serde_json::from_str(text).unwrap());
        let (window, run) = (0, self.state.run);
        match kept {
            Some(kept) if kept.fits(&self.planned) => {
                let young = kept.run < run;
                self.state = kept;
                assert!(!young, "a run was forgotten {self}");
            }
            Some(kept) => {
                // Of another plan, which was given while nobody looked.
                assert_ne!(kept.plan, self.planned.hash, "{self}");
                self.state = kept;
            }
            None => self.state = State { run, ..State::pending(&self.planned) },
        }
        assert_eq!(self.state.window, window, "evidence does not outlive the process");
        self.now = Duration::from_millis(self.random.u64(..1_000_000));
        self.writable = true;
        if self.state.plan != self.planned.hash {
            self.apply(&Input::NewPlan { actor: "serin.yaml".to_owned() }, Cause::Machine, None);
            self.approved.clear();
            self.starter = None;
        }
    }

    /// Whether the input was taken. What control does: write, then put in force; or neither.
    fn apply(&mut self, input: &Input, cause: Cause, evidence: Option<&Evidence>) -> bool {
        let before = self.state.clone();
        let passed = self.now.saturating_sub(before.clock.unwrap_or(self.now));
        if matches!(before.phase, Phase::Baking(_)) {
            self.step_age += passed;
        }
        let stepped = match step(&self.planned, &self.state, self.now, input) {
            Ok(stepped) => stepped,
            Err(refused) => {
                self.log.push(format!("refused: {refused}"));
                // The machine has not looked at the clock then.
                if matches!(before.phase, Phase::Baking(_)) {
                    self.step_age -= passed;
                }
                return false;
            }
        };
        let Some(action) = stepped.action else {
            self.state = stepped.state;
            return true;
        };
        self.log.push(format!("{:?}: {}", action.decision, action.sentence));
        let widens = action.publish.as_ref().is_some_and(|publish| self.is_widened_by(publish));
        if !self.writable && widens {
            if matches!(before.phase, Phase::Baking(_)) {
                self.step_age -= passed;
            }
            return false;
        }
        self.hold(&action, &stepped.state, cause, evidence);
        self.write(&action, &stepped.state);
        if let Some(publish) = action.publish {
            self.in_force = Some(publish.exposure);
        }
        self.state = stepped.state;
        true
    }

    fn write(&mut self, action: &Action, state: &State) {
        let weights = action.publish.as_ref().map(|publish| Some(publish.exposure));
        self.ledger.push(Entry { state: Some(serde_json::to_string(state).unwrap()), weights });
        if let Phase::Baking(Progress { baked_ms: 0, .. }) = state.phase {
            self.step_age = Duration::ZERO;
        }
    }
}

impl std::fmt::Display for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\nseed {}: {:?}\n{}", self.seed, self.state, self.log.join("\n"))
    }
}

fn random_plan(random: &mut fastrand::Rng) -> Planned {
    let mut made = plan(["1, 5, 25, 50, 100", "10, 100", "50, 25, 5, 0", "0, 5, 5, 2, 100", "100"][random.usize(..5)]);
    for step in &mut made.steps {
        step.bake = Duration::from_secs(random.u64(1..1_000));
    }
    if random.bool() {
        made.on_regression = OnRegression::Pause;
    }
    if random.u8(..3) == 0 {
        made.evidence = EvidenceNeeded::Required;
    }
    if random.u8(..3) == 0 {
        made.control = Some(Weight::from_f64(5.0).unwrap());
    }
    if random.bool() {
        let above = [0.0, 4.0, 25.0, 99.0][random.usize(..4)];
        let above = Weight::from_f64(above).unwrap();
        made.approval = Some(ApprovalNeeded { above, required: random.u32(1..3) });
    }
    planned(made)
}

#[test]
fn whatever_happens_to_a_rollout_its_invariants_hold_after_every_event() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let (first, count) = (number("SERIN_SEED").unwrap_or(1), number("SERIN_ROLLOUTS").unwrap_or(ROLLOUTS));
    let (mut completed, mut decisions) = (0, BTreeSet::new());
    for seed in first..first + count {
        let mut world = World::new(seed);
        for _ in 0..EVENTS {
            world.event();
        }
        completed += u64::from(world.sees_through());
        decisions.extend(world.log.iter().filter_map(|line| line.split_once(':')).map(|(word, _)| word.to_owned()));
    }
    assert_eq!(completed, count, "with good evidence and people who agree every rollout ends");
    let expected = "Started Advanced AwaitingApproval Approved Paused Resumed RolledBack Aborted Validated NotValidated \
                    Replaced NotStarted Completed Progress DrillStarted DrillRolledBack DrillPassed DrillFailed DrillInterrupted \
                     BeganAnew";
    let missing: Vec<_> = expected.split_whitespace().filter(|word| !decisions.contains(*word)).collect();
    assert!(missing.is_empty() || count < 100, "never seen: {missing:?}");
}
