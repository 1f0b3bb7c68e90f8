//! Flags as data: immutable once built, shared by whoever evaluates them.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::evaluate::{Evaluation, EvaluationError, Reason};
use super::rule::{Copied, Evaluators, Rule, RuleError};

/// All flags of a flag file, compiled. The default is a set without flags.
#[derive(Debug, Default)]
pub struct FlagSet {
    /// In the order of the file.
    flags: Vec<Flag>,
    by_key: HashMap<Arc<str>, FlagId>,
    metadata: Map<String, Value>,
}

/// Which flag of a [`FlagSet`]; of no meaning in another set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlagId(u32);

/// One flag.
#[derive(Debug)]
pub struct Flag {
    key: Arc<str>,
    state: State,
    variants: Vec<Variant>,
    default: Option<usize>,
    /// The rule as written, for people; `None` where there is none or it asks nothing.
    targeting: Option<Value>,
    rule: Option<Result<Rule, RuleError>>,
    metadata: Map<String, Value>,
}

/// One of the values a flag can have.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// Its name, unique within the flag.
    pub name: Arc<str>,
    /// Its value: any JSON, numbers in the form in which they were written.
    pub value: Value,
}

/// Whether a flag is evaluated at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is.
    Enabled,
    /// It has no value: callers fall back to their own.
    Disabled,
}

/// A flag as written, to be compiled by [`FlagSet::new`].
#[derive(Debug)]
pub struct FlagSpec {
    /// Unique within the set.
    pub key: String,
    /// Whether it is evaluated.
    pub state: State,
    /// Names and values; names are unique.
    pub variants: Vec<(String, Value)>,
    /// The index of the default variant.
    pub default: Option<usize>,
    /// The rule as written.
    pub targeting: Option<Value>,
    /// The flag's own metadata.
    pub metadata: Map<String, Value>,
}

impl FlagSet {
    /// Compiles flags whose keys are unique. A rule that is none makes that flag alone answer an error: see
    /// [`Flag::broken`].
    #[must_use]
    pub fn new(specs: Vec<FlagSpec>, evaluators: &Evaluators, metadata: Map<String, Value>) -> Self {
        let mut by_key = HashMap::with_capacity(specs.len());
        let mut flags = Vec::with_capacity(specs.len());
        let copied = Copied::default();
        for spec in specs {
            let flag = Flag::new(spec, evaluators, &metadata, &copied);
            // A file has at most 100,000 flags.
            by_key.insert(Arc::clone(&flag.key), FlagId(flags.len() as u32));
            flags.push(flag);
        }
        Self { flags, by_key, metadata }
    }

    /// The flag of this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<FlagId> {
        self.by_key.get(key).copied()
    }

    /// The flag of an id that this set gave.
    ///
    /// # Panics
    /// If the id is of a larger set.
    #[must_use]
    pub fn flag(&self, id: FlagId) -> &Flag {
        &self.flags[id.index()]
    }

    /// All flags in the order of the file.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (FlagId, &Flag)> + DoubleEndedIterator {
        self.flags.iter().enumerate().map(|(i, flag)| (FlagId(i as u32), flag))
    }

    /// How many flags there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.flags.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flags.is_empty()
    }

    /// The set's own metadata.
    #[must_use]
    pub fn metadata(&self) -> &Map<String, Value> {
        &self.metadata
    }
}

impl FlagId {
    /// Its position in the file, from 0: below [`FlagSet::len`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl Flag {
    fn new(spec: FlagSpec, evaluators: &Evaluators, set: &Map<String, Value>, copied: &Copied) -> Self {
        let mut metadata = set.clone();
        metadata.extend(spec.metadata);
        // As flagd: a rule without anything in it is none.
        let asks = |rule: &Value| match rule {
            Value::Object(fields) => !fields.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::String(text) => !text.is_empty(),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        };
        let targeting = spec.targeting.filter(asks);
        let rule = targeting.as_ref().map(|rule| Rule::compile(rule, evaluators, copied));
        let variants = spec.variants.into_iter().map(|(name, value)| Variant { name: name.into(), value }).collect();
        Self { key: spec.key.into(), state: spec.state, variants, default: spec.default, targeting, rule, metadata }
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> &Arc<str> {
        &self.key
    }

    /// Whether it is evaluated.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Its variants in the order of the file.
    #[must_use]
    pub fn variants(&self) -> &[Variant] {
        &self.variants
    }

    /// The index of the variant of this name among [`variants`](Self::variants).
    #[must_use]
    pub fn variant_index(&self, name: &str) -> Option<usize> {
        self.variants.iter().position(|variant| &*variant.name == name)
    }

    /// The index of the default variant.
    #[must_use]
    pub fn default_index(&self) -> Option<usize> {
        self.default
    }

    /// The flag's metadata over the set's.
    #[must_use]
    pub fn metadata(&self) -> &Map<String, Value> {
        &self.metadata
    }

    /// The rule as written; `None` where there is none.
    #[must_use]
    pub fn targeting(&self) -> Option<&Value> {
        self.targeting.as_ref()
    }

    /// What the flag is whatever the context and the time. `None`: it has to be evaluated.
    #[must_use]
    pub fn constant(&self) -> Option<Result<Evaluation<'_>, EvaluationError>> {
        if self.state == State::Disabled {
            return Some(Ok(Evaluation::without_value(Reason::Disabled)));
        }
        match &self.rule {
            None => Some(Ok(self.default_as(Reason::Static))),
            Some(Err(error)) => Some(Err(EvaluationError::parse(&self.key, error))),
            Some(Ok(_)) => None,
        }
    }

    /// Why every evaluation of this flag answers an error.
    #[must_use]
    pub fn broken(&self) -> Option<&RuleError> {
        self.rule.as_ref()?.as_ref().err()
    }

    pub(super) fn rule(&self) -> Option<&Rule> {
        self.rule.as_ref()?.as_ref().ok()
    }

    /// The default variant, or no value where there is none, which flagd always calls `DEFAULT`.
    pub(super) fn default_as(&self, reason: Reason) -> Evaluation<'_> {
        self.default.map_or(Evaluation::without_value(Reason::Default), |index| self.variant_as(index, reason))
    }

    pub(super) fn variant_as(&self, index: usize, reason: Reason) -> Evaluation<'_> {
        let variant = &self.variants[index];
        Evaluation { index: Some(index), variant: Some(&variant.name), value: Some(&variant.value), reason }
    }
}
