//! Floor 1. Flag definitions and their evaluation: flagd's format, whose rules are `JSONLogic`.
//!
//! A [`FlagSet`] is immutable and complete: `config` reads one from the flag file, everybody else asks it by
//! [`evaluate()`], with a [`Context`] whose attributes are looked up only when a rule asks for them. Rules are compiled
//! when the set is built; a flag whose rule cannot be compiled answers an error, all others are none the worse.
//! Everything here is pure: nothing reads a file or a clock.

mod context;
mod diff;
mod evaluate;
mod explain;
mod rule;
mod set;
#[cfg(test)]
mod tests;

pub use context::{Attribute, Context, NoContext};
pub use diff::{FlagChange, diff, has_same_definition};
pub use evaluate::{ErrorCode, Evaluation, EvaluationError, Reason, evaluate};
pub use explain::{Explanation, Told, explain};
pub use rule::{Draw, Evaluators, RefCycle, RuleError, Step, operators};
pub use set::{Flag, FlagId, FlagSet, FlagSpec, State, Variant};
