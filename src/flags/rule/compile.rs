//! `JSONLogic` as JSON to the tree that is run.

use std::cell::Cell;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Map, Value};

use super::error::{RuleError, Step};
use super::evaluators::{Evaluator, Evaluators};
use super::expr::{Args, Expr, Var};
use super::fractional::Fractional;
use super::op::Op;
use super::path::Path;

/// Deepest nesting of operators and lists in a rule, evaluators put in their places. It bounds the stack that running
/// a rule takes.
pub(super) const MAX_DEPTH: usize = 200;

/// Most parts that are copied in all rules of a set together: of evaluators that are lists of arguments. All others are
/// shared.
const MAX_COPIED: usize = 1_000_000;

/// Compiles the rules of one set.
pub(super) struct Compiler<'a> {
    evaluators: &'a Evaluators,
    copied: &'a Cell<usize>,
}

/// A compiled rule, and what is known of it.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) expr: Expr,
    /// Deepest nesting.
    pub(super) depth: usize,
    /// Of all evaluators that are used, in the order in which they are; 0 if none is.
    pub(super) fingerprint: u64,
}

/// What is compiled, and how deep in its rule it stands.
#[derive(Clone, Copy)]
struct At<'v> {
    value: &'v Value,
    depth: usize,
}

type Compiled<T> = Result<T, RuleError>;

impl<'a> Compiler<'a> {
    pub(super) fn new(evaluators: &'a Evaluators, copied: &'a Cell<usize>) -> Self {
        Self { evaluators, copied }
    }

    pub(super) fn compile(&self, rule: &Value) -> Compiled<Whole> {
        let within = Within { compiler: self, deepest: Cell::new(0), copying: Cell::new(0), fingerprint: Cell::new(0) };
        let expr = within.value(At { value: rule, depth: 0 })?;
        Ok(Whole { expr, depth: within.deepest.get(), fingerprint: within.fingerprint.get() })
    }
}

/// The compilation of one rule.
struct Within<'c, 'a> {
    compiler: &'c Compiler<'a>,
    deepest: Cell<usize>,
    /// How many evaluators what is compiled now is copied from, one in the other.
    copying: Cell<usize>,
    fingerprint: Cell<u64>,
}

impl Within<'_, '_> {
    fn value(&self, at: At<'_>) -> Compiled<Expr> {
        self.reach(at.depth)?;
        match at.value {
            Value::Object(fields) if !fields.is_empty() => self.operator(fields, at.depth),
            Value::Array(items) => {
                if !items.iter().any(asks) {
                    return Ok(Expr::Literal(at.value.clone()));
                }
                Ok(Expr::List(self.items(items, at.depth)?))
            }
            literal => Ok(Expr::Literal(literal.clone())),
        }
    }

    fn operator(&self, fields: &Map<String, Value>, depth: usize) -> Compiled<Expr> {
        let mut entries = fields.iter();
        let (Some((name, written)), None) = (entries.next(), entries.next()) else {
            let names: Vec<&str> = fields.keys().map(String::as_str).take(5).collect();
            return Err(RuleError::new(format!("an operator stands alone, but here are {}", names.join(", "))));
        };
        let compiled = match &**name {
            "$ref" => return self.reference(written, depth),
            "var" => self.var(written, depth),
            "fractional" => self.fractional(written, depth),
            _ => match Op::from_name(name) {
                Some(op) => self.call(op, written, depth),
                None => return Err(RuleError::unknown(name)),
            },
        };
        compiled.map_err(|error| error.within(Step::Key(name.clone())))
    }

    fn reference(&self, name: &Value, depth: usize) -> Compiled<Expr> {
        let evaluator = self.compiler.evaluators.find(name).map_err(RuleError::new)?;
        // Why it cannot is told of the evaluator; repeated here, it would grow from each that uses it to the next.
        let broken = || RuleError::new(format!("`$ref` to {name}, which cannot be used"));
        let (expr, its_depth) = evaluator.compiled().ok_or_else(broken)?;
        self.uses(evaluator);
        self.reach(depth + its_depth)?;
        Ok(Expr::Shared(expr))
    }

    fn call(&self, op: Op, written: &Value, depth: usize) -> Compiled<Expr> {
        Ok(match self.args(written, depth)? {
            // As in every other bad call, the result is null.
            Args::Spread(_) if op.is_lazy() => Expr::Literal(Value::Null),
            Args::Each(_) if op.is_lazy() && !self.is_list(written) => Expr::Literal(Value::Null),
            args => Expr::Call(op, args),
        })
    }

    fn var(&self, written: &Value, depth: usize) -> Compiled<Expr> {
        let args = self.args(written, depth)?;
        let Args::Each(items) = args else { return Ok(Expr::Var(Box::new(Var::Computed(args)))) };
        let path = match items.first().map(Expr::as_literal) {
            None | Some(Some(Value::Null)) => "",
            Some(Some(Value::String(path))) => path,
            // Numbers, and paths that are computed.
            Some(_) => return Ok(Expr::Var(Box::new(Var::Computed(Args::Each(items))))),
        };
        if path.is_empty() {
            return Ok(Expr::Var(Box::new(Var::Whole)));
        }
        let path = Path::parse(path);
        Ok(Expr::Var(Box::new(Var::Fixed { path, default: items.into_iter().nth(1) })))
    }

    fn fractional(&self, written: &Value, depth: usize) -> Compiled<Expr> {
        Ok(Expr::Fractional(Box::new(Fractional::new(self.args(written, depth)?))))
    }

    fn args(&self, written: &Value, depth: usize) -> Compiled<Args> {
        let depth = depth + 1;
        self.reach(depth)?;
        match self.resolve(written)? {
            Value::Array(items) => {
                let copied = usize::from(reference(written).is_some());
                self.copying.set(self.copying.get() + copied);
                let items = self.items(items, depth);
                self.copying.set(self.copying.get() - copied);
                Ok(Args::Each(items?))
            }
            Value::Object(fields) if !fields.is_empty() => {
                Ok(Args::Spread(Box::new(self.value(At { value: written, depth })?)))
            }
            one => Ok(Args::Each(Box::new([self.value(At { value: one, depth })?]))),
        }
    }

    /// What stands in the place of a `$ref`: arguments too may be an evaluator.
    fn resolve<'v>(&'v self, mut written: &'v Value) -> Compiled<&'v Value> {
        // Evaluators have no cycles.
        while let Some(name) = reference(written) {
            let evaluator = self.compiler.evaluators.find(name).map_err(RuleError::new)?;
            self.uses(evaluator);
            written = evaluator.written();
        }
        Ok(written)
    }

    fn is_list(&self, written: &Value) -> bool {
        self.resolve(written).is_ok_and(Value::is_array)
    }

    fn items(&self, items: &[Value], depth: usize) -> Compiled<Box<[Expr]>> {
        let item = |(index, value)| {
            let compiled = self.value(At { value, depth: depth + 1 });
            compiled.map_err(|error: RuleError| error.within(Step::Index(index)))
        };
        items.iter().enumerate().map(item).collect()
    }

    fn uses(&self, evaluator: &Evaluator) {
        let mut hasher = DefaultHasher::new();
        (self.fingerprint.get(), evaluator.fingerprint()).hash(&mut hasher);
        self.fingerprint.set(hasher.finish());
    }

    fn reach(&self, depth: usize) -> Compiled<()> {
        self.deepest.set(self.deepest.get().max(depth));
        if depth > MAX_DEPTH {
            return Err(RuleError::new(format!("the rule nests deeper than {MAX_DEPTH} levels")));
        }
        let copied = &self.compiler.copied;
        copied.set(copied.get() + usize::from(self.copying.get() > 0));
        if self.copying.get() > 0 && copied.get() > MAX_COPIED {
            return Err(RuleError::new(format!(
                "evaluators used as arguments make the rules larger than {MAX_COPIED} parts"
            )));
        }
        Ok(())
    }
}

/// Whether something in a list has to be evaluated.
fn asks(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => items.iter().any(asks),
        _ => false,
    }
}

/// The name in `{ "$ref": name }`.
pub(super) fn reference(value: &Value) -> Option<&Value> {
    let fields = value.as_object()?;
    if fields.len() == 1 { fields.get("$ref") } else { None }
}
