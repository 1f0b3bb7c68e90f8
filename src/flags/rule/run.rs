//! Runs compiled rules.

use std::borrow::Cow;
use std::rc::Rc;

use smallvec::SmallVec;

use super::Scope;
use super::expr::{Args, Expr, Var};
use super::fractional::Draw;
use super::op::Op;
use super::path::Path;
use super::value::Val;
use super::{compare, lists, sums, texts};

/// Most work of one evaluation: operators run, items looked at, texts by their length. Far above what any rule for
/// people needs, a few milliseconds.
const MAX_WORK: u64 = 1 << 20;

/// Runs one rule once.
pub(super) struct Machine<'a, W> {
    pub(super) scope: Scope<'a>,
    pub(super) watch: W,
    /// Work that may still be done.
    left: u64,
}

/// The rule asks for more work than one may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMuch;

/// The value of a part of a rule. Whatever is wrong with arguments is null.
pub(super) type Ran<'a> = Result<Val<'a>, TooMuch>;

/// Evaluated arguments.
pub(super) type Values<'a> = SmallVec<[Val<'a>; 4]>;

/// Is told what happens. Nothing, unless somebody wants to know: then what it is told costs nothing either.
pub(super) trait Watch {
    fn enter(&mut self, _: &Expr) {}
    fn leave(&mut self, _: &Val<'_>) {}
    /// A path was looked up.
    fn found(&mut self, _: &str, _: Option<&Val<'_>>) {}
    fn branched(&mut self, _: Branch) {}
    fn drew(&mut self, _: impl FnOnce() -> Draw) {}
}

impl Watch for () {}

/// Which way an `if` goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::flags) enum Branch {
    /// The condition of this number is met, from 1.
    Met(usize),
    /// None is, and this is what holds then.
    Otherwise,
    /// None is, and nothing is said for that.
    Nowhere,
}

impl<'a, W: Watch> Machine<'a, W> {
    pub(super) fn new(scope: Scope<'a>, watch: W) -> Self {
        Self { scope, watch, left: MAX_WORK }
    }

    pub(super) fn run(&mut self, rule: &'a Expr) -> Ran<'a> {
        let value = self.eval(rule, &Val::Context)?;
        self.weigh(&value)?;
        Ok(value)
    }

    /// Counts work.
    pub(super) fn spend(&mut self, work: u64) -> Result<(), TooMuch> {
        self.left = self.left.checked_sub(work).ok_or(TooMuch)?;
        Ok(())
    }

    /// Counts the work to look at all of a value, however deep.
    pub(super) fn weigh(&mut self, value: &Val<'_>) -> Result<(), TooMuch> {
        if let Some(items) = value.items() {
            self.spend(items.len() as u64)?;
            for item in items.iter().filter(|item| item.is_object() || item.as_text().is_some()) {
                self.weigh(&item)?;
            }
            return Ok(());
        }
        self.spend(value.size())
    }

    /// The value of `expr` where `data` is what paths lead into.
    pub(super) fn eval(&mut self, expr: &'a Expr, data: &Val<'a>) -> Ran<'a> {
        self.spend(1)?;
        match expr {
            Expr::Literal(value) => Ok(Val::from(value)),
            Expr::Var(var) => self.var(var, data),
            Expr::Shared(expr) => self.eval(expr, data),
            Expr::List(items) => {
                let items: Result<Rc<[_]>, _> = items.iter().map(|item| self.eval(item, data)).collect();
                Ok(Val::List(items?))
            }
            Expr::Call(op, args) => {
                self.watch.enter(expr);
                let value = self.call(*op, args, data)?;
                self.watch.leave(&value);
                Ok(value)
            }
            Expr::Fractional(fractional) => {
                self.watch.enter(expr);
                let value = fractional.run(self, data)?;
                self.watch.leave(&value);
                Ok(value)
            }
        }
    }

    fn call(&mut self, op: Op, args: &'a Args, data: &Val<'a>) -> Ran<'a> {
        match (op, args) {
            (Op::If, Args::Each(items)) => self.branch(items, data),
            (Op::And, Args::Each(items)) => self.first(items, data, false),
            (Op::Or, Args::Each(items)) => self.first(items, data, true),
            (Op::Compare(comparison), Args::Each(items)) => compare::chain(self, comparison, items, data),
            (Op::Map | Op::Filter | Op::Reduce | Op::All | Op::None | Op::Some, Args::Each(items)) => {
                lists::iterate(self, op, items, data)
            }
            (Op::Not | Op::Truthy, _) => {
                let value = match args {
                    Args::Each(items) => items.first().map_or(Ok(Val::Null), |item| self.eval(item, data))?,
                    Args::Spread(item) => self.eval(item, data)?,
                };
                Ok(Val::Bool(value.is_truthy() == (op == Op::Truthy)))
            }
            (Op::Cat, Args::Spread(item)) => {
                let value = self.eval(item, data)?;
                texts::cat_one(self, value)
            }
            _ => {
                let values = self.args(args, data)?;
                self.apply(op, &values, data)
            }
        }
    }

    /// The operators whose arguments are evaluated beforehand.
    fn apply(&mut self, op: Op, values: &[Val<'a>], data: &Val<'a>) -> Ran<'a> {
        match op {
            Op::Add | Op::Subtract | Op::Multiply | Op::Divide | Op::Remainder | Op::Max | Op::Min => {
                Ok(sums::sum(op, values).map_or(Val::Null, Val::Number))
            }
            Op::Merge => lists::merge(self, values),
            Op::In => lists::contains(self, values),
            Op::Missing => lists::missing(self, values, data),
            Op::MissingSome => lists::missing_some(self, values, data),
            Op::Cat => texts::cat(self, values),
            Op::Substr => texts::substr(self, values),
            Op::StartsWith | Op::EndsWith => Ok(texts::affix(op, values)),
            Op::SemVer => texts::sem_ver(self, values),
            Op::Log => Ok(values.first().cloned().unwrap_or(Val::Null)),
            // The compiler leaves no lazy operator without a list of arguments.
            _ => Ok(Val::Null),
        }
    }

    /// All arguments, evaluated.
    pub(super) fn args(&mut self, args: &'a Args, data: &Val<'a>) -> Result<Values<'a>, TooMuch> {
        match args {
            Args::Each(items) => items.iter().map(|item| self.eval(item, data)).collect(),
            Args::Spread(item) => {
                let value = self.eval(item, data)?;
                let Some(items) = value.items() else { return Ok(Values::from_iter([value])) };
                self.spend(items.len() as u64)?;
                Ok(items.iter().collect())
            }
        }
    }

    /// `if`: conditions and what holds if they are met, in turn, and last what holds if none is.
    fn branch(&mut self, items: &'a [Expr], data: &Val<'a>) -> Ran<'a> {
        let (pairs, rest) = items.as_chunks::<2>();
        for (i, [condition, then]) in pairs.iter().enumerate() {
            if self.eval(condition, data)?.is_truthy() {
                self.watch.branched(Branch::Met(i + 1));
                return self.eval(then, data);
            }
        }
        self.watch.branched(if rest.is_empty() { Branch::Nowhere } else { Branch::Otherwise });
        rest.first().map_or(Ok(Val::Null), |otherwise| self.eval(otherwise, data))
    }

    /// The first value that is truthy, or the first that is not; else the last.
    fn first(&mut self, items: &'a [Expr], data: &Val<'a>, truthy: bool) -> Ran<'a> {
        let mut value = Val::Null;
        for item in items {
            value = self.eval(item, data)?;
            if value.is_truthy() == truthy {
                break;
            }
        }
        Ok(value)
    }

    fn var(&mut self, var: &'a Var, data: &Val<'a>) -> Ran<'a> {
        match var {
            Var::Whole => Ok(data.clone()),
            Var::Fixed { path, default } => {
                // The default holds for null too.
                let found = self.look_up(path, data)?.filter(|found| !found.is_null());
                match (found, default) {
                    (Some(found), _) => Ok(found),
                    (None, Some(default)) => self.eval(default, data),
                    (None, None) => Ok(Val::Null),
                }
            }
            Var::Computed(args) => {
                let args = self.args(args, data)?;
                let key = match args.first() {
                    None | Some(Val::Null) => return Ok(data.clone()),
                    Some(key) => self.text(key)?,
                };
                if key.is_empty() {
                    return Ok(data.clone());
                }
                let found = self.look_up(&Path::parse(&key), data)?.filter(|found| !found.is_null());
                Ok(found.or_else(|| args.get(1).cloned()).unwrap_or(Val::Null))
            }
        }
    }

    fn look_up(&mut self, path: &Path, data: &Val<'a>) -> Result<Option<Val<'a>>, TooMuch> {
        let found = path.follow(data, &self.scope);
        self.watch.found(path.as_str(), found.as_ref());
        if let Some(text) = found.as_ref().filter(|found| found.as_text().is_some()) {
            self.spend(text.size())?;
        }
        Ok(found)
    }

    /// What users are told apart by: JavaScript's text of it, unless it is missing or false in JavaScript.
    pub(super) fn targeting_key(&mut self) -> Result<Option<Val<'a>>, TooMuch> {
        let found = self.scope.context.attribute("targetingKey").map(Val::from);
        self.watch.found("targetingKey", found.as_ref());
        match found.filter(|key| !key.is_falsy_in_js()) {
            Some(key) if key.as_text().is_none() => Ok(Some(Val::Text(self.text(&key)?.into()))),
            key => Ok(key),
        }
    }

    /// A value as text.
    pub(super) fn text<'v>(&mut self, value: &'v Val<'a>) -> Result<Cow<'v, str>, TooMuch> {
        self.weigh(value)?;
        Ok(value.text())
    }

    /// A text that was made, as a value.
    pub(super) fn made(&mut self, text: String) -> Ran<'a> {
        let value = Val::Text(text.into());
        self.spend(value.size())?;
        Ok(value)
    }
}
