//! `fractional`: a share of users for each variant, the same user always in the same one.
//!
//! flagd's since its core 0.15: `bucket = (hash × total weight) >> 32`, with the hash of [`murmur`]; the first variant
//! whose cumulative weight is above the bucket.

use std::fmt;

use serde_json::Value;
use smallvec::SmallVec;

use super::expr::{Args, Expr, Listed};
use super::murmur;
use super::run::{Machine, Ran, TooMuch, Watch};
use super::value::Val;

/// Largest sum of weights.
const MAX_TOTAL: u64 = i32::MAX as u64;

/// A compiled `fractional`.
#[derive(Debug)]
pub(super) struct Fractional {
    /// What users are told apart by; `None`: by the flag's key and the targeting key.
    key: Option<Expr>,
    buckets: Buckets,
}

#[derive(Debug)]
enum Buckets {
    /// Nothing in them depends on the context.
    Fixed(Box<[Fixed]>),
    Each(Box<[Expr]>),
    /// The key and the buckets are known only when the rule runs.
    Spread(Expr),
    /// They are not what buckets have to be: the result is null.
    Bad(Box<[Expr]>),
}

/// A variant and the sum of the weights up to and with its own.
#[derive(Debug)]
struct Fixed {
    variant: Value,
    up_to: u64,
}

/// How a user came to a variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draw {
    /// What was hashed.
    pub key: String,
    /// The hash of the key.
    pub hash: u32,
    /// The bucket: `(hash × total) >> 32`, from 0 and below `total`.
    pub bucket: u64,
    /// The sum of all weights.
    pub total: u64,
    /// The first bucket of the variant that was drawn.
    pub from: u64,
    /// The first bucket that is not its own any more.
    pub to: u64,
}

/// Buckets that were evaluated: a variant and its weight each.
type Weighed<'a> = SmallVec<[(Val<'a>, u64); 8]>;

impl Fractional {
    pub(super) fn new(args: Args) -> Self {
        let items = match args {
            Args::Each(items) => items,
            Args::Spread(args) => return Self { key: None, buckets: Buckets::Spread(*args) },
        };
        let mut items = Vec::from(items);
        let has_key =
            items.first().is_some_and(|first| !matches!(first.plain(), Expr::List(_) | Expr::Literal(Value::Array(_))));
        let key = has_key.then(|| items.remove(0));
        let constant = items.iter().all(|item| item.as_literal().is_some());
        let buckets = match constant.then(|| fixed(&items)) {
            None => Buckets::Each(items.into()),
            Some(Some(buckets)) => Buckets::Fixed(buckets),
            Some(None) => Buckets::Bad(items.into()),
        };
        Self { key, buckets }
    }

    pub(super) fn run<'a, W: Watch>(&'a self, machine: &mut Machine<'a, W>, data: &Val<'a>) -> Ran<'a> {
        let given = match &self.key {
            None => None,
            Some(key) => match machine.eval(key, data)? {
                Val::Null => None,
                other => Some(other),
            },
        };
        match &self.buckets {
            Buckets::Bad(_) => Ok(Val::Null),
            Buckets::Fixed(buckets) => {
                let total = buckets.last().map_or(0, |last| last.up_to);
                let Some(drawn) = draw(machine, given, data, total)? else { return Ok(Val::Null) };
                let at = buckets.partition_point(|fixed| fixed.up_to <= drawn.bucket);
                let from = if at == 0 { 0 } else { buckets[at - 1].up_to };
                machine.watch.drew(|| drawn.told(from, buckets[at].up_to));
                Ok(Val::from(&buckets[at].variant))
            }
            Buckets::Each(items) => {
                let mut weighed = Weighed::new();
                for item in items {
                    let bucket = machine.bucket(item, data)?;
                    let Some(bucket) = bucket else { return Ok(Val::Null) };
                    weighed.push(bucket);
                }
                choose(machine, given, data, &weighed)
            }
            Buckets::Spread(args) => {
                let args = machine.eval(args, data)?;
                let Some(items) = args.items() else { return Ok(Val::Null) };
                machine.spend(items.len() as u64)?;
                let mut items = items.iter().peekable();
                let given = items.next_if(|first| first.items().is_none()).filter(|key| !key.is_null());
                let weighed: Option<Weighed<'_>> = items.map(|item| bucket_of(&item)).collect();
                weighed.map_or(Ok(Val::Null), |weighed| choose(machine, given, data, &weighed))
            }
        }
    }
}

impl<'a, W: Watch> Machine<'a, W> {
    /// A variant and its weight, without making a list of them first.
    fn bucket(&mut self, written: &'a Expr, data: &Val<'a>) -> Result<Option<(Val<'a>, u64)>, TooMuch> {
        let Expr::List(parts) = written.plain() else { return Ok(bucket_of(&self.eval(written, data)?)) };
        let (variant, share) = match &**parts {
            [variant] => (self.eval(variant, data)?, Some(1)),
            [variant, share] => (self.eval(variant, data)?, weight(&self.eval(share, data)?)),
            _ => return Ok(None),
        };
        Ok(share.filter(|_| !variant.is_object()).map(|share| (variant, share)))
    }
}

fn choose<'a, W: Watch>(
    machine: &mut Machine<'a, W>,
    given: Option<Val<'a>>,
    data: &Val<'a>,
    buckets: &[(Val<'a>, u64)],
) -> Ran<'a> {
    // Fewer than 2^32 weights of at most 2^31: the sum stays in bounds.
    let total = buckets.iter().map(|(_, weight)| weight).sum();
    let Some(drawn) = draw(machine, given, data, total)? else { return Ok(Val::Null) };
    let mut up_to = 0;
    for (variant, weight) in buckets {
        let from = up_to;
        up_to += weight;
        if up_to > drawn.bucket {
            machine.watch.drew(|| drawn.told(from, up_to));
            return Ok(variant.clone());
        }
    }
    Ok(Val::Null)
}

/// Where a key fell.
struct Drawn<'a> {
    /// The flag's key, where users are told apart by their targeting key.
    flag: &'a str,
    key: Val<'a>,
    hash: u32,
    bucket: u64,
    total: u64,
}

impl Drawn<'_> {
    fn told(&self, from: u64, to: u64) -> Draw {
        let key = [self.flag, &self.key.text()].concat();
        Draw { key, hash: self.hash, bucket: self.bucket, total: self.total, from, to }
    }
}

/// Hashes the key. `None`: there is no key, or nothing to draw from. `given` is what the key's own expression gave.
fn draw<'a, W: Watch>(
    machine: &mut Machine<'a, W>,
    given: Option<Val<'a>>,
    data: &Val<'a>,
    total: u64,
) -> Result<Option<Drawn<'a>>, TooMuch> {
    // Within `map` and its like, neither the flag nor the user can be seen.
    if !matches!(data, Val::Context) || total == 0 || total > MAX_TOTAL {
        return Ok(None);
    }
    let (flag, key) = match given {
        Some(given) => ("", given),
        None => match machine.targeting_key()? {
            Some(key) => (machine.scope.flag, key),
            None => return Ok(None),
        },
    };
    let Some(text) = key.as_text() else { return Ok(None) };
    let hash = murmur::hash(&[flag, text]);
    Ok(Some(Drawn { flag, hash, bucket: (u64::from(hash) * total) >> 32, total, key }))
}

fn fixed(items: &[Expr]) -> Option<Box<[Fixed]>> {
    let mut up_to = 0_u64;
    let bucket = |item: &Expr| {
        let Value::Array(parts) = item.as_literal()? else { return None };
        let (variant, share) = match &**parts {
            [variant] => (variant, Some(1)),
            [variant, share] => (variant, weight(&Val::from(share))),
            _ => return None,
        };
        up_to += share.filter(|_| !variant.is_object() && !variant.is_array())?;
        Some(Fixed { variant: variant.clone(), up_to })
    };
    items.iter().map(bucket).collect()
}

fn bucket_of<'a>(entry: &Val<'a>) -> Option<(Val<'a>, u64)> {
    let parts = entry.items()?;
    let share = match parts.len() {
        1 => Some(1),
        2 => weight(&parts.get(1)?),
        _ => None,
    };
    Some((parts.get(0).filter(|variant| !variant.is_object())?, share?))
}

/// A whole number; a negative one counts as 0. What is above the largest sum there may be is cut to just above it.
fn weight(share: &Val<'_>) -> Option<u64> {
    match share {
        Val::Number(number) if number.fract() == 0.0 => Some(number.clamp(0.0, (MAX_TOTAL + 1) as f64) as u64),
        _ => None,
    }
}

impl fmt::Display for Fractional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fractional(")?;
        match &self.key {
            Some(key) => write!(f, "by {key}: ")?,
            None => f.write_str("by flag key and targetingKey: ")?,
        }
        match &self.buckets {
            Buckets::Spread(args) => write!(f, "{args}")?,
            Buckets::Each(items) | Buckets::Bad(items) => write!(f, "{}", Listed(items))?,
            Buckets::Fixed(buckets) => {
                let mut from = 0;
                for (i, bucket) in buckets.iter().enumerate() {
                    write!(f, "{}{} {}", if i > 0 { ", " } else { "" }, bucket.variant, bucket.up_to - from)?;
                    from = bucket.up_to;
                }
            }
        }
        f.write_str(")")
    }
}
