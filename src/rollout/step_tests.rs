use std::time::Duration;

use super::fixture::{Run, plan, planned};
use super::*;
use crate::plan::{ApprovalNeeded, EvidenceNeeded, OnRegression, RolloutPlan, Weight};

impl Run {
    fn started(plan: RolloutPlan) -> Self {
        let mut run = Self::new(plan);
        run.order(Command::Start { in_force: run.in_force, run: run.state.run + 1 }, "ada").unwrap();
        run
    }

    fn approve(&mut self, actor: &str) -> Result<(), Refused> {
        self.order(Command::Approve { plan: self.planned.hash.clone() }, actor)
    }

    /// After so many minutes this is seen.
    fn minutes(&mut self, minutes: u64, finding: Finding, requests: u64) {
        self.now += Duration::from_secs(60 * minutes);
        let evidence = self.seen(finding, requests);
        self.put(&Input::Tick(evidence)).unwrap();
    }
}

fn with_approval(steps: &str, above: f64, required: u32) -> RolloutPlan {
    let above = Weight::from_f64(above).unwrap();
    RolloutPlan { approval: Some(ApprovalNeeded { above, required }), ..plan(steps) }
}

fn with_control(steps: &str) -> RolloutPlan {
    RolloutPlan { control: Some(Weight::from_f64(5.0).unwrap()), ..plan(steps) }
}

macro_rules! assert_share {
    ($run:expr, $percent:expr) => {
        assert!(($run.percent() - $percent).abs() < 1e-9, "{} {:?}", $run.percent(), $run.state)
    };
}

#[test]
fn a_step_ends_when_its_bake_is_over_its_requests_are_in_and_no_gate_failed() {
    let mut run = Run::started(plan("5, 50"));
    assert_share!(run, 5.0);
    run.minutes(9, Finding::Healthy, 1_000);
    assert_share!(run, 5.0);
    run.minutes(1, Finding::Inconclusive, 99);
    assert_share!(run, 5.0);
    run.minutes(1, Finding::Inconclusive, 100);
    assert_share!(run, 50.0);
    let action = run.last.clone().unwrap();
    assert_eq!(action.decision, Decision::Advanced);
    assert_eq!(action.hiding.as_deref(), Some("p99 of new is between 0.94 and 1.17 of old's"));
    assert!(action.verdict.is_some());
    run.minutes(10, Finding::Inconclusive, 100);
    assert_eq!(run.state.phase, Phase::Completed);
    assert_share!(run, 50.0);
}

#[test]
fn evidence_that_is_required_must_show_every_metric_healthy() {
    let mut run = Run::started(RolloutPlan { evidence: EvidenceNeeded::Required, ..plan("5, 50") });
    run.minutes(100, Finding::Inconclusive, 100_000);
    assert_share!(run, 5.0);
    run.minutes(1, Finding::Healthy, 100_000);
    assert_share!(run, 50.0);
}

#[test]
fn a_version_that_is_worse_gets_nothing_any_more_and_then_it_is_looked_whether_that_helped() {
    let mut run = Run::started(plan("5, 50"));
    run.minutes(0, Finding::Regressed, 3);
    assert_share!(run, 0.0);
    assert_eq!(run.decision(), Some(Decision::RolledBack));
    let aftermath = |picks| Some(Aftermath { picks, in_flight: 0, back: Some(true), sentence: "as before".to_owned() });
    let mut seen = run.seen(Finding::Inconclusive, 0);
    seen.aftermath = aftermath(1);
    run.put(&Input::Tick(seen.clone())).unwrap();
    assert!(run.state.phase.is_watched(), "somebody still met it");
    seen.aftermath = aftermath(0);
    run.put(&Input::Tick(seen)).unwrap();
    assert_eq!(run.state.phase, Phase::RolledBack { valid: true });
    assert_eq!(run.decision(), Some(Decision::Validated));
}

#[test]
fn a_rollback_that_helps_nobody_is_said_to_be_none_after_two_minutes() {
    let mut run = Run::started(plan("5, 50"));
    run.minutes(0, Finding::Regressed, 3);
    run.minutes(1, Finding::Inconclusive, 0);
    assert!(run.state.phase.is_watched());
    run.minutes(1, Finding::Inconclusive, 0);
    assert_eq!(run.state.phase, Phase::RolledBack { valid: false });
    assert!(run.last.unwrap().sentence.contains("not seen to be back as before within 2m"));
}

#[test]
fn where_people_are_to_decide_everything_stays_and_resuming_gathers_evidence_anew() {
    let mut run = Run::started(RolloutPlan { on_regression: OnRegression::Pause, ..plan("5, 50") });
    run.minutes(1, Finding::Regressed, 3);
    assert_share!(run, 5.0);
    let window = run.state.window;
    run.minutes(60, Finding::Regressed, 3);
    assert_eq!(run.last, None);
    run.order(Command::Resume, "grace").unwrap();
    assert!(run.state.window > window);
    assert_eq!(run.state.phase, Phase::Baking(Progress { step: 0, baked_ms: 0 }));
}

#[test]
fn the_whole_service_burning_its_error_budget_withdraws_the_version_too() {
    let mut run = Run::started(plan("5, 50"));
    let mut seen = run.seen(Finding::Healthy, 10);
    seen.burning = Some("14 times too fast".to_owned());
    run.put(&Input::Tick(seen)).unwrap();
    assert_share!(run, 0.0);
    assert!(run.last.unwrap().sentence.starts_with("rolled back: 14 times too fast"));
}

#[test]
fn evidence_of_a_window_that_is_over_counts_for_nothing() {
    let mut run = Run::started(plan("5, 50"));
    run.now += Duration::from_hours(1);
    for finding in [Finding::Regressed, Finding::Healthy] {
        let old = Evidence { window: run.state.window - 1, ..run.seen(finding, 1_000) };
        run.put(&Input::Tick(old)).unwrap();
        assert_share!(run, 5.0);
    }
}

#[test]
fn an_edit_by_hand_pauses_and_says_so_and_the_weights_are_its_makers() {
    let mut run = Run::started(plan("5, 50"));
    run.in_force = Some(Exposure::ALL);
    run.put(&Input::Edited { actor: "weights.yaml".to_owned(), in_force: run.in_force }).unwrap();
    let said = run.last.clone().unwrap().sentence;
    assert_eq!(
        said,
        "paused: weights.yaml changed the weights by hand, now 100% to new; resume gives new its step's share again"
    );
    run.minutes(100, Finding::Regressed, 1_000);
    assert_share!(run, 100.0);
    assert!(run.order(Command::Promote, "ada").is_err());
    run.order(Command::Resume, "ada").unwrap();
    assert_share!(run, 5.0);
}

#[test]
fn weights_that_somebody_changed_unseen_pause_it_as_well() {
    let mut run = Run::started(plan("5, 50"));
    run.in_force = None;
    run.minutes(60, Finding::Healthy, 1_000);
    assert!(matches!(run.state.phase, Phase::Paused { cause: PauseCause::Edited, .. }), "{:?}", run.state);
    assert_eq!(run.in_force, None);
}

#[test]
fn a_pause_stops_the_bake_and_not_the_gates() {
    let mut run = Run::started(plan("5, 50"));
    run.minutes(6, Finding::Healthy, 1_000);
    run.order(Command::Pause, "ada").unwrap();
    run.minutes(60, Finding::Healthy, 1_000);
    assert_share!(run, 5.0);
    run.order(Command::Resume, "ada").unwrap();
    run.minutes(3, Finding::Healthy, 1_000);
    assert_share!(run, 5.0);
    run.minutes(1, Finding::Healthy, 1_000);
    assert_share!(run, 50.0);
    run.order(Command::Pause, "ada").unwrap();
    run.minutes(0, Finding::Regressed, 1_000);
    assert_share!(run, 0.0);
}

#[test]
fn above_the_threshold_people_must_agree_and_none_of_them_started_it() {
    let mut run = Run::started(with_approval("5, 50, 100", 25.0, 2));
    run.minutes(10, Finding::Healthy, 1_000);
    assert_eq!(run.state.phase, Phase::AwaitingApproval { step: 1 });
    assert_share!(run, 5.0);
    assert!(matches!(run.approve("ada"), Err(Refused::Person(_))));
    assert!(run.order(Command::Approve { plan: "0123".to_owned() }, "grace").is_err());
    assert!(run.order(Command::Promote, "grace").is_err(), "promoting replaces no approval");
    run.approve("grace").unwrap();
    assert_share!(run, 5.0);
    assert!(matches!(run.approve("grace"), Err(Refused::Person(_))));
    run.approve("edsger").unwrap();
    assert_share!(run, 50.0);
    run.minutes(10, Finding::Healthy, 1_000);
    assert_share!(run, 100.0);
}

#[test]
fn while_approval_is_awaited_gates_still_hold() {
    let mut run = Run::started(with_approval("5, 50", 25.0, 1));
    run.minutes(10, Finding::Healthy, 1_000);
    run.minutes(0, Finding::Regressed, 1_000);
    assert_share!(run, 0.0);
}

#[test]
fn an_approval_given_early_counts_and_one_of_an_earlier_run_does_not() {
    let mut run = Run::started(with_approval("5, 50", 25.0, 1));
    run.approve("grace").unwrap();
    run.minutes(10, Finding::Healthy, 1_000);
    assert_share!(run, 50.0);
    run.order(Command::Abort, "ada").unwrap();
    run.minutes(3, Finding::Healthy, 0);
    run.order(Command::Start { in_force: run.in_force, run: run.state.run + 1 }, "ada").unwrap();
    run.minutes(10, Finding::Healthy, 1_000);
    assert_eq!(run.state.phase, Phase::AwaitingApproval { step: 1 });
}

#[test]
fn steps_that_go_down_need_neither_requests_nor_approval() {
    let mut run = Run::new(with_approval("50, 5, 0", 25.0, 1));
    run.in_force = Some(Exposure::ALL);
    run.order(Command::Start { in_force: run.in_force, run: run.state.run + 1 }, "ada").unwrap();
    for share in [50.0, 5.0, 0.0] {
        assert_share!(run, share);
        run.minutes(10, Finding::Inconclusive, 0);
    }
    assert_eq!(run.state.phase, Phase::Completed);
}

#[test]
fn a_new_plan_takes_the_old_target_to_nothing_and_starts_when_it_may() {
    let mut run = Run::started(plan("5, 50"));
    run.planned = planned(plan("1, 2"));
    run.put(&Input::NewPlan { actor: "serin.yaml".to_owned() }).unwrap();
    assert_share!(run, 0.0);
    let obstacle = Some("new has no address that takes requests".to_owned());
    let mut other = Run { state: run.state.clone(), planned: run.planned.clone(), last: None, ..run };
    let seen = Evidence { obstacle, ..other.seen(Finding::Inconclusive, 0) };
    other.put(&Input::Tick(seen)).unwrap();
    assert_eq!(other.decision(), Some(Decision::NotStarted));
    other.order(Command::Start { in_force: other.in_force, run: other.state.run + 1 }, "ada").unwrap();
    assert_share!(other, 1.0);
    other.planned = planned(plan("3"));
    other.put(&Input::NewPlan { actor: "serin.yaml".to_owned() }).unwrap();
    other.minutes(0, Finding::Inconclusive, 0);
    assert_share!(other, 3.0);
    assert_eq!((other.state.run, other.state.started_by.as_deref()), (3, Some("serin.yaml")));
}

#[test]
fn a_plan_that_is_taken_away_withdraws_the_version() {
    let run = Run::started(plan("5, 50"));
    let Stepped { state, action } = removed(&run.state, "serin.yaml").unwrap();
    assert_eq!(action.unwrap().publish.unwrap().exposure, Exposure::NONE);
    assert!(!state.phase.is_watched());
    assert_eq!(removed(&state, "serin.yaml"), None, "nothing is on");
}

#[test]
fn a_restart_goes_on_with_the_bake_time_that_is_written_down() {
    let mut run = Run::started(plan("5, 50"));
    run.minutes(7, Finding::Healthy, 1_000);
    assert_eq!(run.decision(), Some(Decision::Progress));
    let kept = serde_json::to_string(&run.state).unwrap();
    run.state = serde_json::from_str(&kept).unwrap();
    assert!(run.state.fits(&run.planned));
    // Another process, another clock.
    run.now = Duration::from_secs(1);
    run.minutes(0, Finding::Healthy, 1_000);
    run.minutes(2, Finding::Healthy, 1_000);
    assert_share!(run, 5.0);
    run.minutes(1, Finding::Healthy, 1_000);
    assert_share!(run, 50.0);
}

#[test]
fn a_clock_that_goes_back_bakes_nothing() {
    let mut run = Run::started(plan("5, 50"));
    run.now = Duration::from_mins(5);
    run.minutes(0, Finding::Healthy, 1_000);
    run.now = Duration::ZERO;
    run.minutes(5, Finding::Healthy, 1_000);
    assert_share!(run, 5.0);
    run.minutes(4, Finding::Healthy, 1_000);
    assert_share!(run, 5.0);
    run.minutes(1, Finding::Healthy, 1_000);
    assert_share!(run, 50.0);
}

#[test]
fn orders_that_make_no_sense_are_refused_with_a_sentence() {
    let mut run = Run::new(plan("5, 50"));
    let refused = |run: &mut Run, command| run.order(command, "ada").unwrap_err().to_string();
    assert_eq!(refused(&mut run, Command::Abort), "there is nothing to abort: the rollout is pending");
    let others = refused(&mut run, Command::Start { in_force: None, run: 1 });
    assert_eq!(others, "other versions than old and new have a share: give it to old first");
    run.order(Command::Start { in_force: run.in_force, run: run.state.run + 1 }, "ada").unwrap();
    let again = Command::Start { in_force: run.in_force, run: run.state.run + 1 };
    assert_eq!(refused(&mut run, again), "the rollout is baking already");
    assert_eq!(refused(&mut run, Command::Resume), "it is not paused");
    let approve = Command::Approve { plan: run.planned.hash.clone() };
    assert_eq!(refused(&mut run, approve), "this plan needs nobody's approval");
}

#[test]
fn a_step_with_a_control_arm_ends_when_that_has_its_requests_too() {
    let mut run = Run::started(with_control("5, 100"));
    assert!(run.last.as_ref().unwrap().sentence.ends_with(": new gets 5%, and 5% of all are the control arm of old"));
    run.now += Duration::from_mins(10);
    let seen = run.seen(Finding::Inconclusive, 1_000);
    run.put(&Input::Tick(Evidence { control_requests: Some(99), ..seen.clone() })).unwrap();
    assert_share!(run, 5.0);
    run.put(&Input::Tick(Evidence { control_requests: Some(100), ..seen })).unwrap();
    assert_share!(run, 100.0);
    let said = &run.last.as_ref().unwrap().sentence;
    assert!(said.contains("1000 requests to new and 100 to the control arm"), "{said}");
    assert!(said.ends_with("which leaves no room for a control arm: compared with all of old"), "{said}");
}

#[test]
fn a_version_that_answers_elsewhere_begins_its_step_anew_and_keeps_its_share() {
    let moved = |run: &mut Run| {
        run.put(&Input::Moved { actor: "serin.yaml".to_owned(), version: "new".to_owned() }).unwrap();
    };
    let mut run = Run::started(with_approval("5, 50", 25.0, 1));
    run.minutes(9, Finding::Healthy, 1_000);
    let window = run.state.window;
    moved(&mut run);
    assert_eq!((run.state.window, run.decision()), (window + 1, Some(Decision::BeganAnew)));
    assert_share!(run, 5.0);
    let said = &run.last.as_ref().unwrap().sentence;
    assert_eq!(said, "new answers elsewhere, by serin.yaml: evidence is gathered anew, and step 1 begins anew");
    run.minutes(9, Finding::Healthy, 1_000);
    assert_eq!(run.state.phase.step(), Some(0), "it has baked for nine minutes");
    run.minutes(1, Finding::Healthy, 1_000);
    assert_eq!(run.state.phase, Phase::AwaitingApproval { step: 1 });
    moved(&mut run);
    assert_eq!(
        run.state.phase,
        Phase::Baking(Progress { step: 0, baked_ms: 0 }),
        "what was agreed to is to be seen again"
    );
    run.order(Command::Pause, "ada").unwrap();
    moved(&mut run);
    assert!(matches!(run.state.phase, Phase::Paused { awaiting: false, .. }), "{:?}", run.state);
    run.order(Command::Abort, "ada").unwrap();
    moved(&mut run);
    assert_eq!(run.last, None, "nobody meets it any more");
}

#[test]
fn a_plans_hash_changes_with_every_word_of_it() {
    let hash = |plan: RolloutPlan| planned(plan).hash;
    let one = hash(plan("5, 50"));
    assert_eq!(one.len(), 64);
    assert_eq!(one, hash(plan("5, 50")));
    for other in [
        plan("5, 51"),
        with_approval("5, 50", 25.0, 1),
        with_control("5, 50"),
        RolloutPlan { min_requests: 101, ..plan("5, 50") },
        RolloutPlan { alpha: 0.04, ..plan("5, 50") },
        RolloutPlan { evidence: EvidenceNeeded::Required, ..plan("5, 50") },
        RolloutPlan { to: "other".into(), ..plan("5, 50") },
    ] {
        assert_ne!(hash(other), one);
    }
}
