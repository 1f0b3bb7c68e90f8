//! Dotted paths into a context: `user.roles.0`.

use std::rc::Rc;

use serde_json::Value;

use super::Scope;
use super::value::Val;

/// A path, split once.
#[derive(Debug)]
pub(super) struct Path {
    text: Box<str>,
    parts: Box<[Part]>,
}

#[derive(Debug)]
struct Part {
    name: Box<str>,
    /// The name as an index into a list, if it is one.
    index: Option<usize>,
}

impl Path {
    /// Splits at dots that no backslash precedes.
    pub(super) fn parse(text: &str) -> Self {
        let mut names = Vec::new();
        let mut name = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' => name.push(chars.next_if(|next| matches!(next, '.' | '/' | '\\')).unwrap_or('\\')),
                '.' => names.push(std::mem::take(&mut name)),
                other => name.push(other),
            }
        }
        // A path of nothing but dots has as many names as dots, one of anything else has one name more.
        if names.len() != text.encode_utf16().count() {
            names.push(name);
        }
        let parts = names.into_iter().map(|name| Part { index: index(&name), name: name.into() }).collect();
        Self { text: text.into(), parts }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// What the path leads to within `from`; `None` if it leads nowhere.
    pub(super) fn follow<'a>(&self, from: &Val<'a>, scope: &Scope<'a>) -> Option<Val<'a>> {
        let (first, rest) = self.parts.split_first()?;
        rest.iter().try_fold(first.of(from, scope)?, |value, part| part.of(&value, scope))
    }

    /// As [`follow`](Self::follow), but nothing is within what is false in JavaScript, and null is there.
    pub(super) fn is_there(&self, from: &Val<'_>, scope: &Scope<'_>) -> bool {
        let mut value = from.clone();
        self.parts.iter().all(|part| {
            !value.is_falsy_in_js()
                && part.of(&value, scope).is_some_and(|next| {
                    value = next;
                    true
                })
        })
    }
}

impl Part {
    fn of<'a>(&self, value: &Val<'a>, scope: &Scope<'a>) -> Option<Val<'a>> {
        match value {
            Val::Context if &*self.name == "$flagd" => Some(Val::Flagd),
            Val::Context => scope.context.attribute(&self.name).map(Val::from),
            Val::Flagd => match &*self.name {
                "flagKey" => Some(Val::Str(scope.flag)),
                "timestamp" => Some(Val::Number(scope.now as f64)),
                _ => None,
            },
            Val::Json(Value::Object(fields)) => fields.get(&*self.name).map(Val::from),
            Val::Pair(pair) => match &*self.name {
                "accumulator" => Some(pair.0.clone()),
                "current" => Some(pair.1.clone()),
                _ => None,
            },
            Val::Str(text) => self.of_text(text),
            Val::Text(text) => self.of_text(text),
            list => {
                let items = list.items()?;
                if &*self.name == "length" {
                    return Some(Val::Number(items.len() as f64));
                }
                items.get(self.index?)
            }
        }
    }

    /// JavaScript's texts have a length and characters, in UTF-16 units.
    fn of_text<'a>(&self, text: &str) -> Option<Val<'a>> {
        if &*self.name == "length" {
            return Some(Val::Number(text.encode_utf16().count() as f64));
        }
        let unit = text.encode_utf16().nth(self.index?)?;
        Some(Val::Text(Rc::from(String::from_utf16_lossy(&[unit]))))
    }
}

/// An index as JavaScript writes it: no sign, no leading zeros.
fn index(name: &str) -> Option<usize> {
    let plain = name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    plain.then(|| name.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        Path::parse(text).parts.iter().map(|part| part.name.to_string()).collect()
    }

    #[test]
    fn paths_are_split_at_dots_that_are_not_escaped() {
        assert_eq!(names("a.b.c"), ["a", "b", "c"]);
        assert_eq!(names("a\\.b.c"), ["a.b", "c"]);
        assert_eq!(names("a\\\\.b.c"), ["a\\", "b", "c"]);
        assert_eq!(names("hello\\"), ["hello\\"]);
        assert_eq!(names("."), [""]);
        assert_eq!(names(".h"), ["", "h"]);
        assert_eq!(names("ä.ö"), ["ä", "ö"]);
    }

    #[test]
    fn only_plain_digits_are_indexes() {
        assert_eq!(
            ["0", "7", "07", "", "-1", "1e3", "+1"].map(index),
            [Some(0), Some(7), None, None, None, None, None]
        );
    }
}
