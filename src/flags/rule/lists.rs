//! Operators on lists.

use std::rc::Rc;

use super::expr::Expr;
use super::op::Op;
use super::path::Path;
use super::run::{Machine, Ran, TooMuch, Watch};
use super::value::{Items, Val};

/// `map`, `filter`, `reduce`, `all`, `none`, `some`: a rule for every item of a list.
pub(super) fn iterate<'a, W: Watch>(machine: &mut Machine<'a, W>, op: Op, args: &'a [Expr], data: &Val<'a>) -> Ran<'a> {
    let selected = match args.first() {
        Some(list) => machine.eval(list, data)?,
        None => Val::Null,
    };
    // What is false in JavaScript counts as a list without items, anything else that is no list as a mistake.
    let items = match selected.items() {
        Some(items) => items,
        None if selected.is_falsy_in_js() => Items::Made(&[]),
        None => return Ok(Val::Null),
    };
    let rule = args.get(1);
    match op {
        Op::Map => {
            let mut made = Vec::with_capacity(items.len().min(1024));
            for item in items.iter() {
                made.push(apply(machine, rule, &item)?);
            }
            Ok(Val::List(made.into()))
        }
        Op::Filter => {
            let mut kept = Vec::new();
            for item in items.iter() {
                if apply(machine, rule, &item)?.is_truthy() {
                    kept.push(item);
                }
            }
            Ok(Val::List(kept.into()))
        }
        Op::All => {
            for item in items.iter() {
                if !apply(machine, rule, &item)?.is_truthy() {
                    return Ok(Val::Bool(false));
                }
            }
            Ok(Val::Bool(items.len() > 0))
        }
        Op::Some | Op::None => {
            for item in items.iter() {
                if apply(machine, rule, &item)?.is_truthy() {
                    return Ok(Val::Bool(op == Op::Some));
                }
            }
            Ok(Val::Bool(op == Op::None))
        }
        _ => reduce(machine, items, rule, args.get(2), data),
    }
}

fn apply<'a, W: Watch>(machine: &mut Machine<'a, W>, rule: Option<&'a Expr>, item: &Val<'a>) -> Ran<'a> {
    machine.spend(1)?;
    rule.map_or(Ok(Val::Null), |rule| machine.eval(rule, item))
}

/// Without a value to begin with, the first item is one. The accumulator holds no lists within lists, so that it
/// cannot grow without end.
fn reduce<'a, W: Watch>(
    machine: &mut Machine<'a, W>,
    items: Items<'_, 'a>,
    rule: Option<&'a Expr>,
    start: Option<&'a Expr>,
    data: &Val<'a>,
) -> Ran<'a> {
    let mut items = items.iter();
    let mut accumulator = match start {
        Some(start) => {
            let start = machine.eval(start, data)?;
            if start.is_nested() {
                return Ok(Val::Null);
            }
            start
        }
        None => match items.next() {
            Some(first) => first,
            None => return Ok(Val::Null),
        },
    };
    for current in items {
        let seen = Val::Pair(Rc::new((accumulator, current)));
        accumulator = apply(machine, rule, &seen)?;
        machine.spend(accumulator.size())?;
        if accumulator.is_nested() {
            return Ok(Val::Null);
        }
    }
    Ok(accumulator)
}

/// `merge`: the items of all lists in one, and what is no list beside them.
pub(super) fn merge<'a, W: Watch>(machine: &mut Machine<'a, W>, values: &[Val<'a>]) -> Ran<'a> {
    let mut merged = Vec::new();
    for value in values {
        match value.items() {
            None => merged.push(value.clone()),
            Some(items) => {
                machine.spend(items.len() as u64)?;
                merged.extend(items.iter());
            }
        }
    }
    Ok(Val::List(merged.into()))
}

/// `in`: whether a list has the item, or a text the part.
pub(super) fn contains<'a, W: Watch>(machine: &mut Machine<'a, W>, values: &[Val<'a>]) -> Ran<'a> {
    let (item, within) = (values.first().unwrap_or(&Val::Null), values.get(1).unwrap_or(&Val::Null));
    if let Some(items) = within.items() {
        machine.spend(items.len() as u64)?;
        return Ok(Val::Bool(items.iter().any(|one| one.is_same(item))));
    }
    if within.is_falsy_in_js() {
        return Ok(Val::Bool(false));
    }
    let Some(text) = within.as_text() else { return Ok(Val::Null) };
    machine.spend(within.size())?;
    let part = machine.text(item)?;
    Ok(Val::Bool(text.contains(&*part)))
}

/// `missing`: those of the paths that lead to nothing.
pub(super) fn missing<'a, W: Watch>(machine: &mut Machine<'a, W>, paths: &[Val<'a>], data: &Val<'a>) -> Ran<'a> {
    let missing = not_there(machine, paths.iter().cloned(), data)?;
    Ok(Val::List(missing.into()))
}

/// `missing_some`: the same, but nothing as long as enough are there.
pub(super) fn missing_some<'a, W: Watch>(machine: &mut Machine<'a, W>, values: &[Val<'a>], data: &Val<'a>) -> Ran<'a> {
    let (Some(needed), Some(paths)) = (values.first(), values.get(1).and_then(Val::items)) else {
        return Ok(Val::Null);
    };
    let missing = not_there(machine, paths.iter(), data)?;
    let there = (paths.len() - missing.len()) as f64;
    let enough = needed.number().is_some_and(|needed| there >= needed);
    Ok(Val::List(if enough { Rc::default() } else { missing.into() }))
}

fn not_there<'a, W: Watch>(
    machine: &mut Machine<'a, W>,
    paths: impl Iterator<Item = Val<'a>>,
    data: &Val<'a>,
) -> Result<Vec<Val<'a>>, TooMuch> {
    let mut missing = Vec::new();
    for path in paths {
        let there = Path::parse(&machine.text(&path)?).is_there(data, &machine.scope);
        if !there {
            missing.push(path);
        }
    }
    Ok(missing)
}
