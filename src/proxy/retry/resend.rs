//! What one worker remembers about one service for sending its requests again.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::budget::Budget;
use super::circuit::{Admit, Circuit};
use crate::plan::{Fallback, Plan, RetryBudget, Service, VersionId};
use crate::telemetry::VersionCell;

/// Budget and circuits of one service.
#[derive(Debug)]
pub(in crate::proxy) struct Resend {
    rules: Rules,
    retries: RefCell<Budget>,
    /// By version, where another one answers for them.
    circuits: Vec<Watched>,
}

/// What it was made by. As long as that stays, what is remembered stays over reloads.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rules {
    service: Arc<str>,
    budget: RetryBudget,
    fallback: Option<Fallback>,
    /// Versions are told apart by their names.
    versions: Vec<Arc<str>>,
}

/// A circuit and the figures that show its state.
#[derive(Debug)]
struct Watched {
    circuit: RefCell<Circuit>,
    cell: Arc<VersionCell>,
}

/// For every service of `plan`, in its order; those whose rules are the same are taken over from `old`. `cell` gives
/// the figures of a version.
pub(in crate::proxy) fn of_services(
    plan: &Plan,
    old: &[Rc<Resend>],
    cell: impl Fn(usize, usize) -> Arc<VersionCell>,
) -> Vec<Rc<Resend>> {
    plan.services
        .iter()
        .enumerate()
        .map(|(index, service)| {
            let rules = Rules::of(plan, service);
            // Nearly always where it was.
            let same = old.get(index).filter(|known| known.rules == rules);
            let same = same.or_else(|| old.iter().find(|known| known.rules == rules));
            same.map_or_else(|| Rc::new(Resend::new(rules, |version| cell(index, version))), Rc::clone)
        })
        .collect()
}

impl Rules {
    fn of(plan: &Plan, service: &Service) -> Self {
        Self {
            service: Arc::clone(&service.name),
            budget: plan.retry_budget,
            fallback: service.fallback,
            versions: service.versions.iter().map(|version| Arc::clone(&version.name)).collect(),
        }
    }
}

impl Resend {
    fn new(rules: Rules, cell: impl Fn(usize) -> Arc<VersionCell>) -> Self {
        let RetryBudget { percent, min_per_second } = rules.budget;
        let circuits = rules.fallback.map_or_else(Vec::new, |fallback| {
            let circuit = || RefCell::new(Circuit::new(fallback.budget, min_per_second));
            (0..rules.versions.len()).map(|version| Watched { circuit: circuit(), cell: cell(version) }).collect()
        });
        Self { retries: RefCell::new(Budget::new(percent * 100, min_per_second)), circuits, rules }
    }

    /// A request that may be retried has come.
    pub(in crate::proxy) fn deposit(&self, now: Instant) {
        self.retries.borrow_mut().deposit(now);
    }

    /// Takes a retry from the budget, if there is room.
    pub(in crate::proxy) fn withdraw(&self, now: Instant) -> bool {
        self.retries.borrow_mut().withdraw(now)
    }

    /// A request for a version that another one answers for has come.
    pub(in crate::proxy) fn admit(&self, version: VersionId, now: Instant, draw: u64, safe: bool) -> Admit {
        self.circuits[version.index()].circuit.borrow_mut().admit(now, draw, safe)
    }

    /// It was answered well by that version.
    pub(in crate::proxy) fn well(&self, version: VersionId, admitted: Admit) {
        self.circuits[version.index()].change(|circuit| circuit.well(admitted));
    }

    /// It failed in a way that the other version answers for.
    pub(in crate::proxy) fn failed(&self, version: VersionId, now: Instant, admitted: Admit) {
        self.circuits[version.index()].change(|circuit| circuit.failed(now, admitted));
    }
}

impl Watched {
    fn change(&self, change: impl FnOnce(&mut Circuit)) {
        let mut circuit = self.circuit.borrow_mut();
        let before = circuit.is_open();
        change(&mut circuit);
        self.cell.fallback_open(i64::from(circuit.is_open()) - i64::from(before));
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.circuit.borrow().is_open() {
            self.cell.fallback_open(-1);
        }
    }
}
