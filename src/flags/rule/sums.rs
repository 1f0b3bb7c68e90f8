//! Arithmetic.

use super::op::Op;
use super::value::Val;

/// `None`: an argument is missing or no number, or so is the result.
pub(super) fn sum(op: Op, values: &[Val<'_>]) -> Option<f64> {
    let result = match op {
        Op::Add => values.iter().try_fold(0.0, |sum, value| Some(sum + value.number()?))?,
        Op::Multiply => values.iter().try_fold(1.0, |product, value| Some(product * value.number()?))?,
        Op::Subtract => match values {
            [one] => -one.number()?,
            _ => fold(values, |left, right| left - right)?,
        },
        Op::Divide => match values {
            [one] => divide(1.0, one.number()?),
            _ => fold(values, divide)?,
        },
        Op::Remainder if values.len() < 2 => return None,
        Op::Remainder => fold(values, |left, right| left % right)?,
        Op::Max => extreme(values, |best, next| next > best)?,
        Op::Min => extreme(values, |best, next| next < best)?,
        _ => return None,
    };
    Some(result).filter(|result| !result.is_nan())
}

/// Nothing can be divided by 0, and no result is endless.
fn divide(left: f64, right: f64) -> f64 {
    let result = left / right;
    if right == 0.0 || result == f64::INFINITY { f64::NAN } else { result }
}

fn fold(values: &[Val<'_>], apply: impl Fn(f64, f64) -> f64) -> Option<f64> {
    let (first, rest) = values.split_first()?;
    rest.iter().try_fold(first.number()?, |result, value| Some(apply(result, value.number()?)))
}

/// Only numbers count here: neither texts nor booleans.
fn extreme(values: &[Val<'_>], better: impl Fn(f64, f64) -> bool) -> Option<f64> {
    let number = |value: &Val<'_>| if let Val::Number(number) = value { Some(*number) } else { None };
    let (first, rest) = values.split_first()?;
    rest.iter().try_fold(number(first)?, |best, value| {
        let next = number(value)?;
        Some(if better(best, next) { next } else { best })
    })
}
