//! Entries as people read them.

use std::fmt::Write as _;

use crate::cli::text::plain;
use crate::ledger::{Break, Entry, Verified, What};

/// An entry in a line.
pub(super) fn row(entry: &Entry) -> String {
    let draft = &entry.draft;
    let time = entry.time.to_string();
    let time = time.split_once('.').map_or(&*time, |(seconds, _)| seconds);
    let service = draft.service.as_deref().unwrap_or("-");
    let reason = if draft.reason.is_empty() { String::new() } else { format!(": {}", draft.reason) };
    let late = if entry.late { " (written late)" } else { "" };
    let line = format!("{:>6}  {time}Z  {:<8} {service:<16} {}", entry.number, draft.what.kind(), draft.what);
    let what = plain(&format!("{line}  [{}{reason}]{late}", draft.actor));
    format!("{what}\n")
}

/// An entry with one thing a line.
pub(super) fn details(line: &str) -> serde_json::Result<String> {
    let entry: Entry = serde_json::from_str(line)?;
    let draft = &entry.draft;
    let mut text = format!("entry {}\n", entry.number);
    let mut add = |name: &str, value: String| {
        for (index, line) in value.lines().enumerate() {
            let name = if index == 0 { name } else { "" };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {name:<12} {}", plain(line));
        }
    };
    let list = |items: Vec<String>| items.join(", ");
    add("time", entry.time.to_string() + if entry.late { " (written late)" } else { "" });
    add("kind", draft.what.kind().to_owned());
    add("service", draft.service.clone().unwrap_or_default());
    add("what", draft.what.to_string());
    add("actor", draft.actor.clone());
    add("reason", draft.reason.clone());
    add("depends on", list(draft.about.depends_on.iter().map(ToString::to_string).collect()));
    let approvals = draft.about.approvals.iter();
    add("approved by", list(approvals.map(|approval| format!("{} ({})", approval.actor, approval.entry)).collect()));
    add("decision", draft.about.decision.clone().unwrap_or_default());
    add("rollout", draft.about.rollout.map(|rollout| rollout.to_string()).unwrap_or_default());
    if let Some(figures) = &draft.about.figures {
        add("figures", format!("{:#}", serde_json::to_value(figures)?));
    }
    for (name, value) in [("verdict", &draft.about.verdict), ("state", &draft.about.state)] {
        add(name, value.as_ref().map(|value| format!("{value:#}")).unwrap_or_default());
    }
    match &draft.what {
        What::Files { problem: Some(problem), .. } | What::Flags { problem: Some(problem), .. } => {
            add("problem", problem.clone());
        }
        What::Flags { diff, .. } => add("diff", diff.join("\n")),
        What::Event { fields, .. } if !fields.is_empty() => {
            add("fields", format!("{:#}", serde_json::Value::Object(fields.clone())));
        }
        _ => {}
    }
    add("plan", draft.plan.map(|plan| plan.to_string()).unwrap_or_default());
    for (name, sha256) in &draft.files {
        add("file", format!("{sha256} {name}"));
    }
    add("with", entry.with.map(|with| with.to_string()).unwrap_or_default());
    add("before", entry.before.to_string());
    Ok(text)
}

pub(super) fn verified(found: &Verified) -> String {
    let Verified { entries, files, first, last, sha256, notes } = found;
    let files = match files {
        0 => "in memory".to_owned(),
        1 => "in 1 file".to_owned(),
        files => format!("in {files} files"),
    };
    let mut text = format!("verified: {entries} entries {files}, {first} to {last}; the last is {sha256}\n");
    text.extend(notes.iter().flat_map(|note| ["note: ", note, "\n"]));
    text
}

pub(super) fn broken(found: &Break) -> String {
    format!("not verified: {found}\n")
}
