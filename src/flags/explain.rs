//! Why a flag is what it is for a context.

use super::context::Context;
use super::evaluate::{Evaluation, EvaluationError, conclude, evaluate};
use super::rule::{Branch, Draw, Scope};
use super::set::{FlagId, FlagSet};

/// An evaluation, and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation<'a> {
    /// The same as [`evaluate`] gives.
    pub result: Result<Evaluation<'a>, EvaluationError>,
    /// The operators of the rule in the order in which they began to run; none where there is no rule.
    pub told: Vec<Told>,
    /// How many more operators ran, as many as are too many to tell.
    pub left_out: usize,
}

/// An operator that ran.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// How many operators it stands in.
    pub depth: usize,
    /// The rule, as people write it: `country == "de"`.
    pub rule: String,
    /// What it came to, as JSON.
    pub value: String,
    /// The parts of the context it asked for, and their values as JSON; `None`: nothing there.
    pub found: Vec<(String, Option<String>)>,
    /// For an `if`: which way it went.
    pub branch: Option<String>,
    /// For a `fractional`: how the user came to the variant.
    pub draw: Option<Draw>,
}

/// [`evaluate`], with the way to the result. Costs much more.
#[must_use]
pub fn explain<'a>(set: &'a FlagSet, id: FlagId, context: &dyn Context, now: u64) -> Explanation<'a> {
    let flag = set.flag(id);
    let Some(rule) = flag.rule().filter(|_| flag.constant().is_none()) else {
        return Explanation { result: evaluate(set, id, context, now), told: Vec::new(), left_out: 0 };
    };
    rule.explain(&Scope { flag: flag.key(), context, now }, |outcome, recorder| {
        let (seen, left_out) = recorder.into_seen();
        let told = seen.into_iter().map(|seen| Told {
            depth: seen.depth,
            rule: seen.rule,
            value: seen.value,
            found: seen.found,
            branch: seen.branch.map(|branch| match branch {
                Branch::Met(number) => format!("condition {number} is met"),
                Branch::Otherwise => "no condition is met: else".to_owned(),
                Branch::Nowhere => "no condition is met, and there is no else".to_owned(),
            }),
            draw: seen.draw,
        });
        Explanation { result: conclude(flag, outcome), told: told.collect(), left_out }
    })
}
