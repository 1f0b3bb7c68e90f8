//! How long what an entry says may be. What a person says is refused where it is longer; what serin itself says is clipped
//! beforehand, with the number of characters left out.

use super::{Draft, What};

/// Longest reason, in characters.
pub const MAX_REASON: usize = 1000;
/// Most entries that one may depend on.
pub const MAX_DEPENDENCIES: usize = 32;
/// Longest name of an actor, in characters.
const MAX_ACTOR: usize = 200;
/// Longest of the other texts, in characters.
const MAX_TEXT: usize = 8000;
/// Most lines of a diff.
const MAX_DIFF: usize = 1000;
/// Most bytes of what others give as JSON: a verdict, a rollout's state, the fields of an event.
const MAX_JSON: usize = 256 * 1024;
/// Most bytes of a line. Above everything but the state of a very large configuration, which has at most 1 MiB a file.
pub(super) const MAX_LINE: usize = 8 * 1024 * 1024;

/// Something that is longer than it may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is longer than {most}: {found}")]
pub struct OutOfBounds {
    what: &'static str,
    most: String,
    found: usize,
}

impl OutOfBounds {
    pub(super) fn line(found: usize) -> Self {
        Self { what: "the entry", most: format!("{MAX_LINE} bytes"), found }
    }
}

/// The text itself where it has at most `most` characters, else its beginning and how much was left out.
#[must_use]
pub fn clip(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    // Room for the words at the end.
    let kept = most.saturating_sub(40);
    let beginning: String = text.chars().take(kept).collect();
    format!("{beginning}… ({} more characters)", length - kept)
}

impl Draft {
    /// Whether it is within its bounds.
    ///
    /// # Errors
    /// What is not.
    pub fn check(&self) -> Result<(), OutOfBounds> {
        text("the actor", &self.actor, MAX_ACTOR)?;
        text("the reason", &self.reason, MAX_REASON)?;
        text("the service", self.service.as_deref().unwrap_or_default(), MAX_ACTOR)?;
        count("`dependsOn`", self.about.depends_on.len(), MAX_DEPENDENCIES, "entries")?;
        count("`approvals`", self.about.approvals.len(), MAX_DEPENDENCIES, "entries")?;
        json("the verdict", self.about.verdict.as_ref())?;
        json("the state of the rollout", self.about.state.as_ref())?;
        match &self.what {
            What::Files { problem, .. } => text("the problem", problem.as_deref().unwrap_or_default(), MAX_TEXT),
            What::Flags { diff, problem, .. } => {
                count("the diff", diff.len(), MAX_DIFF, "lines")?;
                diff.iter().try_for_each(|line| text("a line of the diff", line, MAX_TEXT))?;
                text("the problem", problem.as_deref().unwrap_or_default(), MAX_TEXT)
            }
            What::Event { event, fields } => {
                text("the event", event, MAX_ACTOR)?;
                json("what belongs to the event", Some(fields))
            }
            What::Approval { of } => text("what is approved", of, MAX_ACTOR),
            What::Refusal { asked } => text("what was asked for", asked, MAX_TEXT),
            What::Note { note } => text("the note", note, MAX_TEXT),
            What::Genesis { .. }
            | What::Started { .. }
            | What::Weights { .. }
            | What::Migration { .. }
            | What::Rotated { .. }
            | What::Unknown => Ok(()),
        }
    }
}

fn text(what: &'static str, text: &str, most: usize) -> Result<(), OutOfBounds> {
    count(what, text.chars().count(), most, "characters")
}

fn count(what: &'static str, found: usize, most: usize, unit: &str) -> Result<(), OutOfBounds> {
    if found <= most { Ok(()) } else { Err(OutOfBounds { what, most: format!("{most} {unit}"), found }) }
}

fn json(what: &'static str, value: Option<&impl serde::Serialize>) -> Result<(), OutOfBounds> {
    let Some(value) = value else { return Ok(()) };
    // JSON of what was JSON before cannot fail; if it did, its line would, too, and say why.
    let length = serde_json::to_vec(value).map_or(0, |bytes| bytes.len());
    count(what, length, MAX_JSON, "bytes")
}
