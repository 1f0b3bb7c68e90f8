//! Comparisons, loose and strict.

use std::cmp::Ordering;

use super::expr::Expr;
use super::op::Comparison;
use super::run::{Machine, Ran, Watch};
use super::value::{Val, compare_texts};

/// Whether the comparison holds between each value and the next, from left to right, up to the first where it does
/// not.
pub(super) fn chain<'a, W: Watch>(
    machine: &mut Machine<'a, W>,
    comparison: Comparison,
    items: &'a [Expr],
    data: &Val<'a>,
) -> Ran<'a> {
    let Some((first, rest)) = items.split_first().filter(|(_, rest)| !rest.is_empty()) else { return Ok(Val::Null) };
    let mut left = machine.eval(first, data)?;
    for item in rest {
        let right = machine.eval(item, data)?;
        match comparison.holds(&left, &right) {
            None => return Ok(Val::Null),
            Some(false) => return Ok(Val::Bool(false)),
            Some(true) => left = comparison.carry(&left, right),
        }
    }
    Ok(Val::Bool(true))
}

impl Comparison {
    /// `None`: the two cannot be compared, one is a list, an object, or a text that is no number beside a number.
    fn holds(self, left: &Val<'_>, right: &Val<'_>) -> Option<bool> {
        if matches!(self, Self::Same | Self::NotSame) {
            return Some(left.is_same(right) == (self == Self::Same));
        }
        let order = match (left.as_text(), right.as_text()) {
            (Some(left), Some(right)) => Some(compare_texts(left, right)),
            (None, None) if left.is_null() && right.is_null() => Some(Ordering::Equal),
            // JavaScript: null is 0 in an order, but equal to no text.
            (Some(_), None) | (None, Some(_)) if left.is_null() || right.is_null() => {
                if matches!(self, Self::Equal | Self::Unequal) {
                    return Some(self == Self::Unequal);
                }
                left.number().zip(right.number()).and_then(|(left, right)| left.partial_cmp(&right))
            }
            _ => left.number()?.partial_cmp(&right.number()?),
        };
        Some(match self {
            Self::Equal | Self::Same => order == Some(Ordering::Equal),
            Self::Unequal | Self::NotSame => order != Some(Ordering::Equal),
            Self::Less => order.is_some_and(Ordering::is_lt),
            Self::LessOrEqual => order.is_some_and(Ordering::is_le),
            Self::Greater => order.is_some_and(Ordering::is_gt),
            Self::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
        })
    }

    /// What the next value is compared with: the right one, except that null beside 0 makes both of them what the left
    /// one is.
    fn carry<'a>(self, left: &Val<'a>, right: Val<'a>) -> Val<'a> {
        let textual = |value: &Val<'_>| value.is_null() || value.as_text().is_some();
        if matches!(self, Self::Same | Self::NotSame) || (textual(left) && textual(&right)) {
            right
        } else if left.is_null() && right.is_falsy_in_js() {
            Val::Null
        } else if right.is_null() && left.is_falsy_in_js() {
            Val::Number(0.0)
        } else {
            right
        }
    }
}
