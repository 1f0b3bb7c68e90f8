//! The compiled form of a rule, and how people read it.

use std::fmt::{self, Write};
use std::sync::Arc;

use serde_json::Value;

use super::fractional::Fractional;
use super::op::{Comparison, Op};
use super::path::Path;

/// A rule or a part of one.
#[derive(Debug)]
pub(super) enum Expr {
    /// A value that is written out.
    Literal(Value),
    /// A list of which some items have to be evaluated.
    List(Box<[Expr]>),
    Var(Box<Var>),
    Call(Op, Args),
    Fractional(Box<Fractional>),
    /// An evaluator, used by every rule that names it.
    Shared(Arc<Expr>),
}

/// The question for a part of the context.
#[derive(Debug)]
pub(super) enum Var {
    /// All there is.
    Whole,
    Fixed {
        path: Path,
        /// What holds where nothing is found.
        default: Option<Expr>,
    },
    /// The path, and the default if there is one, are known only when the rule runs.
    Computed(Args),
}

/// What an operator is applied to.
#[derive(Debug)]
pub(super) enum Args {
    /// Each for itself.
    Each(Box<[Expr]>),
    /// The items of the list that this gives, or the one value that it gives.
    Spread(Box<Expr>),
}

impl Expr {
    /// Past the names of evaluators.
    pub(super) fn plain(&self) -> &Self {
        match self {
            Self::Shared(expr) => expr.plain(),
            other => other,
        }
    }

    pub(super) fn as_literal(&self) -> Option<&Value> {
        match self.plain() {
            Self::Literal(value) => Some(value),
            _ => None,
        }
    }
}

/// The beginning of an expression as people read it. Evaluators that use each other can make the whole of it very long.
pub(super) fn beginning(expr: &Expr, most: usize) -> String {
    let mut out = Beginning { text: String::new(), left: most };
    // It ends with an error where there is no more room.
    let whole = write!(out, "{expr}").is_ok();
    out.text.push_str(if whole { "" } else { "…" });
    out.text
}

/// Text up to a number of characters.
struct Beginning {
    text: String,
    left: usize,
}

impl Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
            self.text.push(c);
        }
        Ok(())
    }
}

/// As people write conditions, not as JSON.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(value) => write!(f, "{value}"),
            Self::List(items) => write!(f, "[{}]", Listed(items)),
            Self::Var(var) => var.fmt(f),
            Self::Call(op, args) => call(*op, args, f),
            Self::Fractional(fractional) => fractional.fmt(f),
            Self::Shared(expr) => expr.fmt(f),
        }
    }
}

fn call(op: Op, args: &Args, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let infix = match op {
        Op::And => Some("and"),
        Op::Or => Some("or"),
        Op::In => Some("in"),
        Op::Compare(comparison) => Some(comparison.name()),
        Op::Add | Op::Subtract | Op::Multiply | Op::Divide | Op::Remainder => Some(op.name()),
        _ => None,
    };
    match (op, args, infix) {
        (_, Args::Each(items), Some(infix)) if items.len() > 1 => {
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    write!(f, " {infix} ")?;
                }
                match item.plain() {
                    Expr::Call(..) => write!(f, "({item})")?,
                    _ => write!(f, "{item}")?,
                }
            }
            Ok(())
        }
        (Op::Not, Args::Each(items), _) if items.len() == 1 => write!(f, "not ({})", items[0]),
        (Op::Not, Args::Spread(item), _) => write!(f, "not ({item})"),
        (_, Args::Each(items), _) => write!(f, "{}({})", op.name(), Listed(items)),
        (_, Args::Spread(item), _) => write!(f, "{}({item})", op.name()),
    }
}

impl fmt::Display for Var {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("the context"),
            Self::Fixed { path, default: None } => f.write_str(path.as_str()),
            Self::Fixed { path, default: Some(default) } => write!(f, "({}, else {default})", path.as_str()),
            Self::Computed(args) => write!(f, "var({args})"),
        }
    }
}

impl fmt::Display for Args {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Each(items) => Listed(items).fmt(f),
            Self::Spread(item) => item.fmt(f),
        }
    }
}

/// Expressions with commas between them.
pub(super) struct Listed<'a>(pub(super) &'a [Expr]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, item) in self.0.iter().enumerate() {
            write!(f, "{}{item}", if i > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

impl Comparison {
    fn name(self) -> &'static str {
        Op::Compare(self).name()
    }
}
