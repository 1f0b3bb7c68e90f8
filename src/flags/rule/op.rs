//! The operators, by name.

/// An operator other than `var`, `fractional` and `$ref`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    If,
    Or,
    And,
    Not,
    Truthy,
    Compare(Comparison),
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Max,
    Min,
    Map,
    Filter,
    Reduce,
    All,
    None,
    Some,
    Merge,
    In,
    Cat,
    Substr,
    Log,
    Missing,
    MissingSome,
    StartsWith,
    EndsWith,
    SemVer,
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Same,
    NotSame,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Every name there is, and what it means; the first name of an operator is the one it is shown by.
const NAMES: [(&str, Op); 37] = [
    ("if", Op::If),
    ("?:", Op::If),
    ("or", Op::Or),
    ("and", Op::And),
    ("!", Op::Not),
    ("!!", Op::Truthy),
    ("==", Op::Compare(Comparison::Equal)),
    ("!=", Op::Compare(Comparison::Unequal)),
    ("===", Op::Compare(Comparison::Same)),
    ("!==", Op::Compare(Comparison::NotSame)),
    ("<", Op::Compare(Comparison::Less)),
    ("<=", Op::Compare(Comparison::LessOrEqual)),
    (">", Op::Compare(Comparison::Greater)),
    (">=", Op::Compare(Comparison::GreaterOrEqual)),
    ("+", Op::Add),
    ("-", Op::Subtract),
    ("*", Op::Multiply),
    ("/", Op::Divide),
    ("%", Op::Remainder),
    ("max", Op::Max),
    ("min", Op::Min),
    ("map", Op::Map),
    ("filter", Op::Filter),
    ("reduce", Op::Reduce),
    ("all", Op::All),
    ("none", Op::None),
    ("some", Op::Some),
    ("merge", Op::Merge),
    ("in", Op::In),
    ("cat", Op::Cat),
    ("substr", Op::Substr),
    ("log", Op::Log),
    ("missing", Op::Missing),
    ("missing_some", Op::MissingSome),
    ("starts_with", Op::StartsWith),
    ("ends_with", Op::EndsWith),
    ("sem_ver", Op::SemVer),
];

/// The names of all operators, for suggestions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(name, _)| *name).chain(["var", "fractional", "$ref"])
}

impl Op {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, op)| *op)
    }

    pub(super) fn name(self) -> &'static str {
        // Every operator is in the table.
        NAMES.iter().find(|(_, op)| *op == self).map_or("", |(name, _)| name)
    }

    /// Whether its arguments are evaluated by itself, not beforehand: then they must be written as a list.
    pub(super) fn is_lazy(self) -> bool {
        use Op::{All, And, Compare, Filter, If, Map, None, Or, Reduce, Some};
        matches!(self, If | Or | And | Compare(_) | Map | Filter | Reduce | All | None | Some)
    }
}
