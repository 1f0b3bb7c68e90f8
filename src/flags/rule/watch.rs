//! What happened while a rule ran, for the person who asks why.

use super::expr::{Expr, beginning};
use super::fractional::Draw;
use super::run::{Branch, Watch};
use super::value::Val;

/// Most operators that are told of; of what runs for every item of a long list, the beginning is enough.
const MOST: usize = 200;
/// Most characters of a rule or a value that are told.
const SHOWN: usize = 200;

/// Collects what happened.
#[derive(Debug, Default)]
pub(in crate::flags) struct Recorder {
    seen: Vec<Seen>,
    /// Those that have begun and not yet ended; `None` for one that is not told of.
    open: Vec<Option<usize>>,
    left_out: usize,
}

/// An operator that ran.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::flags) struct Seen {
    /// How many operators it stands in.
    pub(in crate::flags) depth: usize,
    /// The rule, in people's words.
    pub(in crate::flags) rule: String,
    /// What it came to.
    pub(in crate::flags) value: String,
    /// The paths it looked up and what was there; `None`: nothing.
    pub(in crate::flags) found: Vec<(String, Option<String>)>,
    pub(in crate::flags) branch: Option<Branch>,
    pub(in crate::flags) draw: Option<Draw>,
}

impl Recorder {
    /// What ran, in the order in which it began, and how much more there was.
    pub(in crate::flags) fn into_seen(self) -> (Vec<Seen>, usize) {
        (self.seen, self.left_out)
    }

    fn current(&mut self) -> Option<&mut Seen> {
        self.open.last().copied().flatten().map(|index| &mut self.seen[index])
    }
}

impl Watch for Recorder {
    fn enter(&mut self, rule: &Expr) {
        let told = self.seen.len() < MOST;
        self.open.push(told.then_some(self.seen.len()));
        if !told {
            self.left_out += 1;
            return;
        }
        self.seen.push(Seen {
            depth: self.open.len() - 1,
            rule: beginning(rule, SHOWN),
            value: String::new(),
            found: Vec::new(),
            branch: None,
            draw: None,
        });
    }

    fn leave(&mut self, value: &Val<'_>) {
        let value = told(value);
        if let Some(seen) = self.current() {
            seen.value = value;
        }
        self.open.pop();
    }

    fn found(&mut self, path: &str, value: Option<&Val<'_>>) {
        let value = value.map(told);
        if let Some(seen) = self.current() {
            seen.found.push((cut(path), value));
        }
    }

    fn branched(&mut self, branch: Branch) {
        if let Some(seen) = self.current() {
            seen.branch = Some(branch);
        }
    }

    fn drew(&mut self, draw: impl FnOnce() -> Draw) {
        if let Some(seen) = self.current() {
            seen.draw = Some(draw());
        }
    }
}

/// A value as JSON, as far as it is one.
fn told(value: &Val<'_>) -> String {
    let mut out = String::new();
    tell(value, &mut out);
    cut(&out)
}

fn tell(value: &Val<'_>, out: &mut String) {
    match value {
        Val::Str(_) | Val::Text(_) => {
            let text: String = value.text().chars().take(SHOWN).collect();
            out.push_str(&serde_json::Value::from(text).to_string());
        }
        Val::Json(json) => out.push_str(&json.to_string()),
        Val::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if out.len() > SHOWN {
                    break;
                }
                out.push_str(if i > 0 { "," } else { "" });
                tell(item, out);
            }
            out.push(']');
        }
        Val::Context => out.push_str("the context"),
        other => out.push_str(&other.text()),
    }
}

fn cut(text: &str) -> String {
    let more = if text.chars().nth(SHOWN).is_some() { "…" } else { "" };
    format!("{}{more}", text.chars().take(SHOWN).collect::<String>())
}
