//! The rules of flags: [JSONLogic](https://jsonlogic.com) with flagd's operators, compiled to a tree.
//!
//! What the operators do is what npm's `@openfeature/flagd-core` 4.0.1 does, JavaScript's coercions included
//! (`tests/flags` compares the two), with one rule for all that it answers an error for: an operator whose arguments
//! are bad gives null. A rule that runs is bounded in depth when it is compiled and in work while it runs.

mod compare;
mod compile;
mod error;
mod evaluators;
mod expr;
mod fractional;
mod lists;
mod murmur;
mod number;
mod op;
mod path;
mod run;
mod semver;
mod sums;
mod texts;
mod value;
mod watch;

pub use error::{RuleError, Step};
pub use evaluators::{Evaluators, RefCycle};
pub use fractional::Draw;

pub(super) use run::Branch;
pub(super) use watch::Recorder;

use std::borrow::Cow;
use std::cell::Cell;

use serde_json::Value;

use self::compile::Compiler;
use self::expr::Expr;
use self::run::{Machine, Watch};
use super::context::Context;

/// The names of all operators that rules may use.
pub fn operators() -> impl Iterator<Item = &'static str> {
    op::names()
}

/// A compiled rule.
#[derive(Debug)]
pub(super) struct Rule {
    root: Expr,
    evaluators: u64,
}

/// What a rule is asked about.
#[derive(Clone, Copy)]
pub(super) struct Scope<'c> {
    pub(super) flag: &'c str,
    pub(super) context: &'c dyn Context,
    /// Seconds of Unix time.
    pub(super) now: u64,
}

/// What a rule came to.
#[derive(Debug)]
pub(super) enum Outcome<'r> {
    /// Null: the default variant.
    Nothing,
    /// The name of a variant, if the flag has one of that name.
    Name(Cow<'r, str>),
    /// It was stopped.
    TooMuch,
}

/// How many parts of evaluators are copied into the rules of a set so far.
#[derive(Debug, Default)]
pub(super) struct Copied(Cell<usize>);

impl Rule {
    pub(super) fn compile(rule: &Value, evaluators: &Evaluators, copied: &Copied) -> Result<Self, RuleError> {
        let whole = Compiler::new(evaluators, &copied.0).compile(rule)?;
        Ok(Self { root: whole.expr, evaluators: whole.fingerprint })
    }

    /// The same as long as the evaluators that it uses are.
    pub(super) fn evaluators(&self) -> u64 {
        self.evaluators
    }

    /// Runs the rule; what it came to is given to `conclude`, so that nothing has to be copied.
    pub(super) fn run<T>(&self, scope: &Scope<'_>, conclude: impl FnOnce(&Outcome<'_>) -> T) -> T {
        self.watched(scope, (), |outcome, ()| conclude(outcome))
    }

    /// As [`run`](Self::run), and says what happened on the way.
    pub(super) fn explain<T>(&self, scope: &Scope<'_>, conclude: impl FnOnce(&Outcome<'_>, Recorder) -> T) -> T {
        self.watched(scope, Recorder::default(), conclude)
    }

    fn watched<W: Watch, T>(&self, scope: &Scope<'_>, watch: W, conclude: impl FnOnce(&Outcome<'_>, W) -> T) -> T {
        let mut machine = Machine::new(*scope, watch);
        let value = machine.run(&self.root);
        let outcome = match &value {
            Err(_) => Outcome::TooMuch,
            Ok(value) if value.is_null() => Outcome::Nothing,
            Ok(value) => Outcome::Name(value.text()),
        };
        conclude(&outcome, machine.watch)
    }
}
