//! How the variants of the flag that a service is measured by compare with one of them: an experiment, judged like a
//! canary.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::verdict::{VerdictView, arm};
use crate::flags::{Flag, FlagSet, has_same_definition};
use crate::judge::{Gates, judge_named};
use crate::plan::{MEASURED_VARIANTS, Plan, Service};
use crate::telemetry::{NO_VARIANT, RegistrySnapshot};

/// How the variants of the flag that a service is measured by compare with one of them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentView {
    /// The flag's key.
    pub flag: String,
    /// The variant that each of the others is compared with; `none`: requests for which the flag has no variant.
    pub baseline: String,
    /// Seconds since the flag's definition last changed: what was answered since then is compared.
    pub window_seconds: f64,
    /// A verdict on each other variant, in the flag's order, whichever version answered. Together they are wrong as often
    /// as one.
    pub variants: Vec<VerdictView>,
    /// Why nothing is compared, where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Remembers the figures as they were when the flag of each service last changed.
#[derive(Debug, Default)]
pub(super) struct Experiments(BTreeMap<Arc<str>, Since>);

/// A window's beginning, and what has held since.
#[derive(Debug)]
struct Since {
    /// The set that `flag` was of when this was last looked at.
    set: Arc<FlagSet>,
    flag: Arc<str>,
    figures: Arc<RegistrySnapshot>,
}

impl Experiments {
    /// Begins a new window for each service whose flag is not defined as in its last one; `now` gives the figures.
    pub(super) fn look(&mut self, plan: &Plan, mut now: impl FnMut() -> Arc<RegistrySnapshot>) {
        self.0.retain(|name, _| {
            plan.service_named(name).is_some_and(|(_, service)| measured_by(plan, service).is_some())
        });
        for service in &plan.services {
            let Some(flag) = measured_by(plan, service) else { continue };
            let goes_on = self.0.get_mut(&service.name).is_some_and(|since| {
                let same = since.is_of(&plan.flags, flag);
                if same {
                    // The former set is let go.
                    since.set = Arc::clone(&plan.flags);
                }
                same
            });
            if !goes_on {
                let since = Since { set: Arc::clone(&plan.flags), flag: Arc::clone(flag.key()), figures: now() };
                let _ = self.0.insert(Arc::clone(&service.name), since);
            }
        }
    }

    /// What is said of the variants by the figures `now`; `None` where the service is measured by no flag that there is,
    /// or no window has begun.
    pub(super) fn of(&self, plan: &Plan, service: &Service, now: &RegistrySnapshot) -> Option<ExperimentView> {
        let flag = measured_by(plan, service)?;
        let since = &self.0.get(&service.name).filter(|since| now.at >= since.figures.at)?.figures;
        let window_seconds = now.at.saturating_sub(since.at).as_secs_f64();
        let named = service.flags.baseline.as_deref();
        let kept = || flag.variants().iter().take(MEASURED_VARIANTS).map(|variant| &*variant.name);
        let default = flag.default_index().map_or(NO_VARIANT, |index| &*flag.variants()[index].name);
        let baseline = named.unwrap_or(default);
        let mut view = ExperimentView {
            flag: flag.key().to_string(),
            baseline: baseline.to_owned(),
            window_seconds,
            variants: Vec::new(),
            problem: None,
        };
        if baseline != NO_VARIANT && !kept().any(|name| name == baseline) {
            let first = format!("is not among the first {MEASURED_VARIANTS} variants");
            let what = if flag.variant_index(baseline).is_some() { &first } else { "is no variant" };
            view.problem = Some(format!("{baseline} {what} of flag {}", view.flag));
            return Some(view);
        }
        let others: Vec<&str> = kept().filter(|name| *name != baseline).collect();
        let gates = Gates::default().among(others.len());
        let figures = |variant: &str| arm(now.variant_window(since, &service.name, flag.key(), variant));
        let base = figures(baseline);
        let verdict = |variant: &str| VerdictView {
            verdict: judge_named([baseline, variant], [&base, &figures(variant)], &gates),
            from: baseline.to_owned(),
            to: variant.to_owned(),
            window_seconds,
        };
        view.variants = others.into_iter().map(verdict).collect();
        Some(view)
    }
}

impl Since {
    fn is_of(&self, set: &Arc<FlagSet>, flag: &Flag) -> bool {
        let before = || Some(self.set.flag(self.set.get(&self.flag)?));
        self.flag == *flag.key()
            && (Arc::ptr_eq(&self.set, set) || before().is_some_and(|before| has_same_definition(before, flag)))
    }
}

/// The flag that a service is measured by, where there is one of its name.
fn measured_by<'a>(plan: &'a Plan, service: &Service) -> Option<&'a Flag> {
    Some(plan.flags.flag(plan.flags.get(service.flags.measure_by.as_ref()?)?))
}
