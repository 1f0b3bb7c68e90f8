use std::time::Duration;

use super::fixture::{Run, plan, planned};
use super::*;
use crate::plan::{ApprovalNeeded, OnRegression, RolloutPlan, Share, Weight};

impl Run {
    /// Half an hour into the first step.
    fn baking(plan: RolloutPlan) -> Self {
        let mut run = Self { now: Duration::from_secs(9), ..Self::new(plan) };
        run.order(Command::Start { in_force: run.in_force, run: 1 }, "ada").unwrap();
        run.tick(300, Finding::Inconclusive);
        run
    }

    fn drill(&mut self, percent: u32) -> Result<(), Refused> {
        let share = Share::from_hundredths(percent * 100);
        let within = Duration::from_secs(30);
        let (in_force, run) = (self.in_force, self.state.run + 1);
        let order = DrillOrder { fault: DrillFault::Errors, share, within, delay: Duration::ZERO, in_force, run };
        self.order(Command::Drill(order), "ada")
    }

    fn tick(&mut self, seconds: u64, finding: Finding) {
        let evidence = self.seen(finding, 1_000);
        self.tick_with(seconds, evidence);
    }

    fn tick_with(&mut self, seconds: u64, evidence: Evidence) {
        self.now += Duration::from_secs(seconds);
        self.put(&Input::Tick(evidence)).unwrap();
    }

    /// Nobody meets the version any more, and all is well.
    fn calm(&mut self, seconds: u64) {
        let aftermath = Aftermath { picks: 0, in_flight: 0, back: Some(true), sentence: "all is well".to_owned() };
        let evidence = Evidence { aftermath: Some(aftermath), ..self.seen(Finding::Inconclusive, 1_000) };
        self.tick_with(seconds, evidence);
    }

    fn view(&self) -> DrillView {
        *self.last.as_ref().and_then(|action| action.drill.clone()).expect("a decision about a drill")
    }

    fn refusal(&mut self, percent: u32) -> String {
        let before = self.state.clone();
        let refused = self.drill(percent).unwrap_err().to_string();
        assert_eq!(before, self.state, "nothing has changed");
        refused
    }
}

#[test]
#[allow(clippy::float_cmp, reason = "whole seconds")]
fn a_drill_that_is_noticed_gives_all_back_and_the_step_its_share_bake_time_and_clean_evidence_again() {
    let mut run = Run::baking(plan("5, 25"));
    let before = run.state.clone();
    run.drill(20).unwrap();
    assert_eq!(
        (run.decision(), run.percent(), run.state.phase.word()),
        (Some(Decision::DrillStarted), 5.0, "drilling")
    );
    assert_eq!(run.state.window, before.window, "judged together with what the step has so far");
    run.tick(2, Finding::Inconclusive);
    assert_eq!((run.decision(), run.percent()), (None, 5.0));
    run.tick(1, Finding::Regressed);
    assert_eq!((run.decision(), run.percent()), (Some(Decision::DrillRolledBack), 0.0));
    assert_eq!(run.view().rollback_seconds, Some(3.0));
    assert!(run.state.window > before.window && run.state.phase.is_withdrawn());
    let evidence = run.seen(Finding::Regressed, 1_000);
    run.tick_with(1, evidence);
    assert_eq!(run.percent(), 0.0, "nobody knows yet whether anybody meets it");
    run.calm(1);
    assert_eq!((run.decision(), run.percent()), (Some(Decision::DrillPassed), 5.0));
    let view = run.view();
    assert_eq!((view.result, view.running, view.hurt), (Some(DrillResult::Passed), false, 17));
    assert!(view.sentence.contains("passed: new was withdrawn 3.0s after 20% of new's requests fail"), "{view:?}");
    assert!(view.sentence.ends_with("all is well; new gets 5% again"), "{view:?}");
    assert_eq!((&run.state.phase, run.state.run), (&before.phase, before.run));
    let late = Evidence { window: before.window, ..run.seen(Finding::Regressed, 1_000) };
    run.tick_with(1, late);
    assert_eq!(run.state.phase.word(), "baking", "figures of the drill count for nothing afterwards");
    run.tick(299, Finding::Inconclusive);
    assert_eq!((run.decision(), run.percent()), (Some(Decision::Advanced), 25.0), "ten minutes without the drill's");
}

#[test]
fn a_drill_that_nobody_notices_fails_says_what_to_look_at_and_leaves_all_as_it_was() {
    let mut run = Run::baking(plan("5, 25"));
    let before = run.state.clone();
    run.drill(20).unwrap();
    run.tick(29, Finding::Healthy);
    assert_eq!(run.decision(), None);
    run.tick(1, Finding::Healthy);
    assert_eq!((run.decision(), run.percent()), (Some(Decision::DrillFailed), 5.0));
    let view = run.view();
    assert!(view.sentence.contains("failed: new was not withdrawn within 30s"), "{view:?}");
    assert!(view.look_at.as_ref().is_some_and(|at| at.contains("gates and alpha") && at.contains("17")), "{view:?}");
    assert_eq!((&run.state.phase, run.last.as_ref().unwrap().publish.as_ref()), (&before.phase, None));
    assert!(run.state.window > before.window);
}

#[test]
fn a_withdrawn_version_that_somebody_still_meets_is_a_failed_drill() {
    let mut run = Run::baking(plan("5, 25"));
    run.drill(20).unwrap();
    run.tick(1, Finding::Regressed);
    let met = Aftermath { picks: 3, in_flight: 0, back: Some(true), sentence: "3 picks since".to_owned() };
    let evidence = Evidence { aftermath: Some(met), ..run.seen(Finding::Inconclusive, 1_000) };
    run.tick_with(29, evidence.clone());
    assert_eq!(run.decision(), None);
    run.tick_with(1, evidence);
    assert_eq!((run.decision(), run.percent()), (Some(Decision::DrillFailed), 5.0));
    assert!(run.view().sentence.contains("not all was as before: 3 picks since"), "{:?}", run.view());
}

#[test]
fn too_few_requests_to_say_are_no_failure_once_nobody_meets_it() {
    let mut run = Run::baking(plan("5, 25"));
    run.drill(20).unwrap();
    run.tick(1, Finding::Regressed);
    let few = Aftermath { picks: 0, in_flight: 0, back: None, sentence: "of 3 requests".to_owned() };
    let evidence = Evidence { aftermath: Some(few), ..run.seen(Finding::Inconclusive, 1_000) };
    run.tick_with(9, evidence.clone());
    assert_eq!(run.decision(), None);
    run.tick_with(1, evidence);
    assert_eq!(run.decision(), Some(Decision::DrillPassed));
}

#[test]
fn where_no_rollout_is_on_a_drill_begins_at_the_first_step_and_ends_with_nothing() {
    let mut run = Run::new(plan("5, 25"));
    run.drill(20).unwrap();
    assert_eq!((run.percent(), run.state.run), (5.0, 1));
    run.tick(1, Finding::Regressed);
    run.calm(1);
    assert_eq!((run.decision(), run.percent(), run.state.phase.word()), (Some(Decision::DrillPassed), 0.0, "pending"));
    run.drill(20).unwrap();
    run.tick(30, Finding::Inconclusive);
    assert_eq!((run.decision(), run.percent(), run.state.phase.word()), (Some(Decision::DrillFailed), 0.0, "pending"));
}

#[test]
fn what_a_killed_process_leaves_behind_is_as_before_the_drill() {
    for noticed in [false, true] {
        let mut run = Run::baking(plan("5, 25"));
        let before = run.state.phase.clone();
        run.drill(20).unwrap();
        if noticed {
            run.tick(1, Finding::Regressed);
        }
        run.state = serde_json::from_value(serde_json::to_value(&run.state).unwrap()).unwrap();
        run.now = Duration::from_millis(3);
        run.tick(0, Finding::Inconclusive);
        assert_eq!((run.decision(), run.percent()), (Some(Decision::DrillInterrupted), 5.0), "{noticed}");
        assert_eq!(run.state.phase, before);
    }
}

#[test]
fn harm_that_the_drill_did_not_do_is_a_rollback_like_any_other() {
    let mut run = Run::baking(plan("5, 25"));
    run.drill(20).unwrap();
    let evidence = Evidence { own_harm: Some("new fails by itself".to_owned()), ..run.seen(Finding::Regressed, 1_000) };
    run.tick_with(1, evidence);
    assert_eq!((run.decision(), run.percent()), (Some(Decision::RolledBack), 0.0));
    assert_eq!(run.state.phase.word(), "validating");
    assert_eq!(run.view().result, Some(DrillResult::Interrupted));
}

#[test]
fn whoever_changes_the_weights_ends_a_drill_and_has_them() {
    let mut run = Run::baking(plan("5, 25"));
    run.drill(20).unwrap();
    run.in_force = Some(Exposure::ALL);
    run.put(&Input::Edited { actor: "grace".to_owned(), in_force: run.in_force }).unwrap();
    assert_eq!((run.decision(), run.percent()), (Some(Decision::DrillInterrupted), 100.0));
    assert!(matches!(run.state.phase, Phase::Paused { cause: PauseCause::Edited, .. }), "{:?}", run.state);
    let mut run = Run::new(plan("5, 25"));
    run.drill(20).unwrap();
    run.in_force = Some(Exposure::ALL);
    run.put(&Input::Edited { actor: "grace".to_owned(), in_force: run.in_force }).unwrap();
    assert_eq!((run.percent(), run.state.phase.word()), (100.0, "pending"));
}

#[test]
fn another_plan_does_not_start_by_itself_where_only_a_drill_was_on() {
    let mut run = Run::new(plan("5, 25"));
    run.drill(20).unwrap();
    run.planned = planned(plan("3, 25"));
    run.put(&Input::NewPlan { actor: "serin.yaml".to_owned() }).unwrap();
    assert_eq!((run.percent(), run.state.phase.word()), (0.0, "pending"));
    assert_eq!(run.state.plan, run.planned.hash);
}

#[test]
fn an_abort_in_a_drill_withdraws_for_good_and_other_orders_wait() {
    let mut run = Run::baking(plan("5, 25"));
    run.drill(20).unwrap();
    for command in [Command::Pause, Command::Resume, Command::Promote, Command::Approve { plan: String::new() }] {
        assert!(run.order(command.clone(), "ada").is_err(), "{command:?}");
    }
    assert!(run.refusal(20).contains("a drill is on already"));
    run.order(Command::Abort, "ada").unwrap();
    assert_eq!((run.percent(), run.state.phase.word()), (0.0, "validating"));
}

#[test]
fn a_drill_is_refused_where_it_would_prove_nothing_or_hurt_too_many() {
    let mut run = Run::new(RolloutPlan { on_regression: OnRegression::Pause, ..plan("5, 25") });
    assert!(run.refusal(20).contains("nothing would be rolled back"));
    let mut run = Run::new(plan("5, 25"));
    run.in_force = Some(Exposure::ALL);
    assert!(run.refusal(20).contains("give it to old, or start the rollout"));
    let above = Weight::from_f64(1.0).unwrap();
    let mut run = Run::new(RolloutPlan { approval: Some(ApprovalNeeded { above, required: 1 }), ..plan("5, 25") });
    assert!(run.refusal(20).contains("its first step needs approval"));
    let mut run = Run::new(plan("0, 25"));
    assert!(run.refusal(20).contains("new gets nothing at this step"));
    let mut run = Run::baking(plan("50, 100"));
    let said = run.refusal(30);
    assert!(
        said.contains("30% of new's 50% are 15.0% of all requests") && said.contains("a share of 20% or less"),
        "{said}"
    );
    run.drill(20).unwrap();
    let mut run = Run::baking(plan("5, 25"));
    run.order(Command::Pause, "ada").unwrap();
    assert!(run.refusal(20).contains("the rollout is paused"));
}
