//! From what the data plane has counted to what the machine is told.

use std::time::Duration;

use super::aftermath::{Aftermath, Range};
use super::budget::Budget;
use super::differences;
use super::input::{Evidence, Finding};
use super::need::Traffic;
use super::state::{Exposure, Phase, Planned, State};
use crate::diff::Evidence as Differences;
use crate::judge::{Arm, Gates, LatencyGate, Outcome, Verdict, judge};
use crate::plan::{RolloutPlan, Service};
use crate::telemetry::{FallbackResult, RegistrySnapshot, RetryResult, VersionSnapshot, Why, Window};

/// What one service's versions have counted so far.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    service: String,
    counted: RegistrySnapshot,
}

/// Remembers from where on figures count, for one service with a plan.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    /// The window that `begin` is of; `None` before the first.
    window: Option<u64>,
    /// When the window began.
    begin: Figures,
    /// The run that `run_begin` is of.
    run: u64,
    /// When the run began.
    run_begin: Figures,
    /// Of `from`, before the version was withdrawn.
    earlier: Range,
    /// Since the last request to a withdrawn version ended.
    drained: Figures,
    budget: Budget,
    /// What the judge said last, for whoever looks.
    verdict: Option<Verdict>,
}

impl Figures {
    /// Those of one service.
    #[must_use]
    pub fn of(service: &str, all: &RegistrySnapshot) -> Self {
        let versions = all.versions.iter().filter(|version| &*version.service == service);
        let counted =
            RegistrySnapshot { at: all.at, versions: versions.cloned().collect(), ..RegistrySnapshot::default() };
        Self { service: service.to_owned(), counted }
    }

    fn version(&self, name: &str) -> Option<&VersionSnapshot> {
        self.counted.version(&self.service, name)
    }

    /// What `name` counted after `earlier`.
    fn since(&self, earlier: &Self, name: &str) -> Option<VersionSnapshot> {
        let now = self.version(name)?;
        Some(earlier.version(name).map_or_else(|| now.clone(), |then| now.since(then)))
    }

    fn arm(&self, earlier: &Self, name: &str) -> Arm {
        let Window { requests, failures, durations } = self.counted.window(&earlier.counted, &self.service, name);
        Arm { requests, failures, durations }
    }

    fn range(&self, earlier: &Self, names: impl Iterator<Item = String>) -> Range {
        names.filter_map(|name| self.since(earlier, &name)).fold(Range::default(), |mut sum, window| {
            sum.requests += window.requests();
            sum.failures += window.failures();
            sum.durations.merge(&window.durations());
            sum
        })
    }

    fn names(&self) -> impl Iterator<Item = String> {
        self.counted.versions.iter().map(|version| version.version.to_string())
    }

    /// Requests of clients so far, and those of them that nobody answered well: a try that was followed by another is none.
    fn of_clients(&self) -> (u64, u64) {
        self.counted.versions.iter().fold((0, 0), |(requests, failures), version| {
            let again = |result: RetryResult| version.retries[result as usize];
            let other = |result: FallbackResult| version.fallbacks[result as usize];
            let resent = again(RetryResult::Success)
                + again(RetryResult::Failure)
                + other(FallbackResult::Success)
                + other(FallbackResult::Failure);
            let sum = |sum: u64, count: u64| sum.saturating_add(count.saturating_sub(resent));
            (sum(requests, version.requests()), sum(failures, version.failures()))
        })
    }

    /// What the service was asked between `earlier` and now, and how `from` did.
    #[must_use]
    pub fn traffic(&self, earlier: &Self, seconds: f64, from: &str) -> Traffic {
        let all = self.range(earlier, self.names());
        let of_from = self.range(earlier, std::iter::once(from.to_owned()));
        Traffic {
            per_second: all.requests as f64 / seconds.max(0.001),
            requests: of_from.requests,
            failures: of_from.failures,
            durations: of_from.durations,
        }
    }

    /// Requests in flight, of all versions.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.counted.versions.iter().map(|version| version.in_flight).sum()
    }

    /// Most requests in flight that a version is given, where there is a limit.
    #[must_use]
    pub fn limit(&self, name: &str) -> Option<u64> {
        self.version(name).map(|version| version.concurrency_limit).filter(|limit| *limit > 0)
    }
}

impl Watch {
    /// Takes note of the figures at `now`, monotonic, also where no run is on: error budgets have a past.
    pub fn note(&mut self, plan: &RolloutPlan, now: Duration, figures: &Figures) {
        if let Some(budget) = &plan.gates.error_budget {
            let (requests, failures) = figures.of_clients();
            self.budget.note(budget, now, requests, failures);
        }
    }

    /// What the machine is to be told of `service`, where its rollout stands at `state`.
    ///
    /// `differences`: what comparing answers has found, where a gate goes by it.
    pub fn evidence(
        &mut self,
        planned: &Planned,
        state: &State,
        service: &Service,
        figures: &Figures,
        differences: Option<&Differences>,
    ) -> Evidence {
        self.follow(state, figures);
        let plan = &*planned.plan;
        let versions = service.version_named(&state.from).zip(service.version_named(&state.to));
        let in_force = versions.and_then(|(from, to)| Exposure::in_force(&service.split, from, to));
        let mut verdict = self.judge(plan, state, figures);
        if let Some(most) = plan.gates.max_diff {
            verdict = verdict.with(differences::metric(differences, most));
        }
        let requests = figures.since(&self.begin, &state.to).map_or(0, |window| window.requests());
        let min_requests = plan.min_requests;
        let burning = plan.gates.error_budget.as_ref().and_then(|budget| self.budget.burning(budget, min_requests));
        let aftermath = matches!(state.phase, Phase::Validating { .. }).then(|| self.aftermath(plan, state, figures));
        let evidence = Evidence {
            window: state.window,
            in_force,
            requests,
            finding: match verdict.verdict {
                Outcome::Regressed => Finding::Regressed,
                Outcome::Healthy => Finding::Healthy,
                Outcome::Inconclusive => Finding::Inconclusive,
            },
            reason: verdict.reason.clone(),
            hiding: Some(verdict.could_hide()).filter(|hiding| !hiding.is_empty()),
            verdict: serde_json::to_value(&verdict).ok(),
            burning,
            obstacle: None,
            next_run: state.run + 1,
            aftermath,
        };
        self.verdict = Some(verdict);
        evidence
    }

    /// What the judge said last of the present window.
    #[must_use]
    pub fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// Requests that both versions have answered in the window.
    #[must_use]
    pub fn requests(&self, state: &State, figures: &Figures) -> [u64; 2] {
        [&state.from, &state.to].map(|name| figures.since(&self.begin, name).map_or(0, |window| window.requests()))
    }

    /// Seconds since the window began.
    #[must_use]
    pub fn seconds(&self, figures: &Figures) -> f64 {
        figures.counted.at.saturating_sub(self.begin.counted.at).as_secs_f64()
    }

    /// Begins the windows that the state says.
    fn follow(&mut self, state: &State, figures: &Figures) {
        if self.window.is_some() && self.run != state.run {
            self.run_begin = figures.clone();
        }
        self.run = state.run;
        if self.window != Some(state.window) {
            if matches!(state.phase, Phase::Validating { .. }) {
                self.earlier = figures.range(&self.run_begin, std::iter::once(state.from.clone()));
                self.drained = figures.clone();
            }
            self.window = Some(state.window);
            self.begin = figures.clone();
            self.verdict = None;
        }
    }

    fn judge(&self, plan: &RolloutPlan, state: &State, figures: &Figures) -> Verdict {
        let mut old = figures.arm(&self.begin, &state.from);
        if state.exposure == Some(Exposure::ALL) {
            // Nobody meets `from` any more: what it did since the run began is what there is to compare with.
            old = figures.arm(&self.run_begin, &state.from);
        }
        judge(&old, &figures.arm(&self.begin, &state.to), &gates(plan))
    }

    fn aftermath(&mut self, plan: &RolloutPlan, state: &State, figures: &Figures) -> Aftermath {
        let withdrawn = figures.since(&self.begin, &state.to);
        let picks = withdrawn
            .as_ref()
            .map_or(0, |window| [Why::Key, Why::Draw, Why::Follow].iter().map(|why| window.picks[*why as usize]).sum());
        let in_flight = withdrawn.map_or(0, |window| window.in_flight);
        if in_flight > 0 {
            // What still ends there is not how the service does now.
            self.drained = figures.clone();
        }
        let since = figures.range(&self.drained, figures.names());
        Aftermath::new(plan, picks, in_flight, &self.earlier, &since)
    }
}

/// The judge's gates of a plan.
fn gates(plan: &RolloutPlan) -> Gates {
    let latency = plan.gates.latency.iter();
    // Invariant: `config` holds gates and alpha within the judge's bounds.
    let latency = latency
        .map(|gate| LatencyGate::new(gate.quantile, gate.max_ratio, gate.slack).expect("configuration bounds gates"))
        .collect();
    let (alpha, _) = differences::alphas(plan);
    Gates::new(Some(plan.gates.max_failure_increase), latency, alpha).expect("configuration bounds gates")
}
