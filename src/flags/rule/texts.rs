//! Operators on texts.

use super::number;
use super::op::Op;
use super::run::{Machine, Ran, TooMuch, Watch};
use super::semver::{Relation, Version};
use super::value::Val;

/// `cat` of arguments: one after the other, null is nothing.
pub(super) fn cat<'a, W: Watch>(machine: &mut Machine<'a, W>, values: &[Val<'a>]) -> Ran<'a> {
    let mut made = String::new();
    for value in values.iter().filter(|value| !value.is_null()) {
        made.push_str(&machine.text(value)?);
    }
    machine.made(made)
}

/// `cat` of one expression: of the items, if it gives a list.
pub(super) fn cat_one<'a, W: Watch>(machine: &mut Machine<'a, W>, value: Val<'a>) -> Ran<'a> {
    match value.items() {
        Some(items) => {
            machine.spend(items.len() as u64)?;
            let items: Vec<Val<'a>> = items.iter().collect();
            cat(machine, &items)
        }
        None if value.is_null() => Ok(Val::Str("")),
        None if value.as_text().is_some() => Ok(value),
        None => {
            let text = machine.text(&value)?.into_owned();
            machine.made(text)
        }
    }
}

/// `substr`: from a position, from the end if it is negative, as many characters as asked for, or all but so many.
/// Characters are UTF-16 units, as in JavaScript; half of one becomes U+FFFD.
pub(super) fn substr<'a, W: Watch>(machine: &mut Machine<'a, W>, values: &[Val<'a>]) -> Ran<'a> {
    let Some(text) = values.first().and_then(Val::as_text) else { return Ok(Val::Null) };
    let from = values.get(1).map_or(Ok(0.0), |from| whole(machine, from))?;
    let count = values.get(2).map(|count| whole(machine, count)).transpose()?;
    if text.is_ascii() {
        let (from, to) = range(text.len(), from, count);
        return match &values[0] {
            Val::Str(text) => Ok(Val::Str(&text[from..to])),
            _ => machine.made(text[from..to].to_owned()),
        };
    }
    let units: Vec<u16> = text.encode_utf16().collect();
    let (from, to) = range(units.len(), from, count);
    machine.made(String::from_utf16_lossy(&units[from..to]))
}

fn range(length: usize, from: f64, count: Option<f64>) -> (usize, usize) {
    let all = length as f64;
    let from = if from < 0.0 { (all + from).max(0.0) } else { from.min(all) };
    let to = match count {
        None => all,
        // As many as stand before the end. The same as from the other side.
        Some(count) if count < 0.0 => (all + count).max(from),
        Some(count) => (from + count).min(all),
    };
    (from as usize, to as usize)
}

/// JavaScript's `ToIntegerOrInfinity`.
fn whole<'a, W: Watch>(machine: &mut Machine<'a, W>, value: &Val<'a>) -> Result<f64, TooMuch> {
    let number = match value {
        Val::Null | Val::Bool(_) | Val::Number(_) => value.number().unwrap_or(0.0),
        _ => number::from_text(&machine.text(value)?),
    };
    Ok(if number.is_nan() { 0.0 } else { number.trunc() })
}

/// `starts_with` and `ends_with`: exactly two texts.
pub(super) fn affix<'a>(op: Op, values: &[Val<'a>]) -> Val<'a> {
    let [text, part] = values else { return Val::Null };
    let (Some(text), Some(part)) = (text.as_text(), part.as_text()) else { return Val::Null };
    Val::Bool(if op == Op::StartsWith { text.starts_with(part) } else { text.ends_with(part) })
}

/// `sem_ver`: a version, how it has to stand to the other, and the other.
pub(super) fn sem_ver<'a, W: Watch>(machine: &mut Machine<'a, W>, values: &[Val<'a>]) -> Ran<'a> {
    let [left, relation, right] = values else { return Ok(Val::Null) };
    let (left, relation, right) = (machine.text(left)?, machine.text(relation)?, machine.text(right)?);
    let relation = Relation::from_text(&relation);
    Ok(match (Version::parse(&left), relation, Version::parse(&right)) {
        (Some(left), Some(relation), Some(right)) => Val::Bool(relation.holds(&left, &right)),
        _ => Val::Null,
    })
}
