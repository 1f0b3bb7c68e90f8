//! A timeline as Markdown, ready to be pasted into a review.

use std::fmt;

use serde_json::Value;

use super::{Counted, Judged, Timeline, Validation, Withdrawal};
use crate::ledger::{Count, Time, Weights};

impl fmt::Display for Timeline {
    /// As Markdown, with tables as GitHub's and `CommonMark`'s extensions have them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (service, to) = (plain(&self.service), plain(&self.to));
        writeln!(f, "# Rollout {} of {service}: {}\n", self.rollout, spelled(&self.state))?;
        writeln!(f, "{}\n", self.summary())?;
        f.write_str("| | |\n|---|---|\n")?;
        let mut row = |name: &str, value: String| writeln!(f, "| {name} | {value} |");
        if let Some(started) = &self.started {
            row("Started", format!("{} by {}: {}", time(started.time), plain(&started.actor), plain(&started.reason)))?;
        }
        if let Some(plan) = &self.plan {
            row("Plan", steps(plan))?;
        }
        if let Some(withdrawal) = &self.withdrawal {
            row("Withdrawn", format!("{} by {}", time(withdrawal.said.time), plain(&withdrawal.said.actor)))?;
            row(&format!("First failure of {to}"), failures(withdrawal))?;
        }
        if let Some(Counted { from, to: of_to, restarts }) = &self.counted {
            let missing = match restarts {
                0 => String::new(),
                n => format!("; counted anew after {n} restart{}, what was between is missing", plural(*n)),
            };
            row(&format!("Requests {to} answered"), format!("{}{missing}", share(*of_to)))?;
            row(&format!("Requests {} answered meanwhile", plain(&self.from)), share(*from))?;
        }
        if let Some(validation) = &self.validation {
            row("Validation", validated(validation))?;
        }
        let approvals: Vec<String> = self
            .approvals
            .iter()
            .map(|one| format!("{} at {} (entry {})", plain(&one.actor), time(one.time), one.entry))
            .collect();
        row("Approvals", if approvals.is_empty() { "none".to_owned() } else { approvals.join("; ") })?;
        row("Last entry", time(self.last))?;
        self.verdict(f)?;
        self.weights(f)?;
        self.moments(f)
    }
}

impl Timeline {
    fn summary(&self) -> String {
        let (from, to) = (plain(&self.from), plain(&self.to));
        let mut sentences = vec![format!("{to} was widened beside {from} from {}.", time(self.began))];
        sentences.extend(self.withdrawal.as_ref().map(|withdrawal| {
            let said = &withdrawal.said;
            let who = if said.actor == "rollout" { "serin".to_owned() } else { plain(&said.actor) };
            let since = withdrawal.seconds_since_first_failure_of_step;
            let after = since.map(|seconds| format!(", {} after its first failure in the step", spoken(seconds)));
            format!("{who} withdrew it at {}{}.", time(said.time), after.unwrap_or_default())
        }));
        let failed = |counted: &Counted| number(counted.to.failures);
        sentences.extend(
            self.counted
                .as_ref()
                .map(|counted| format!("{} of the requests that it answered failed.", failed(counted))),
        );
        sentences.extend(self.validation.as_ref().map(|validation| {
            let not = if validation.well { "" } else { "not " };
            format!("The service was {not}seen to be as before after that.")
        }));
        sentences.join(" ")
    }

    fn verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Judged { entry, verdict }) = &self.verdict else { return Ok(()) };
        let word = |value: &Value| plain(value.as_str().unwrap_or("-"));
        writeln!(f, "\n## Verdict: {} (entry {entry})\n", word(&verdict["verdict"]))?;
        if let Some(reason) = verdict["reason"].as_str() {
            writeln!(f, "> {}\n", plain(reason))?;
        }
        let (from, to) = (plain(&self.from), plain(&self.to));
        writeln!(f, "| metric | {from} | {to} | at most | verdict |\n|---|---|---|---|---|")?;
        for metric in verdict["metrics"].as_array().into_iter().flatten() {
            let unit = Unit::of(metric);
            let (old, new) = (unit.estimate(&metric["old"]), unit.estimate(&metric["new"]));
            let (name, verdict) = (word(&metric["metric"]), word(&metric["verdict"]));
            writeln!(f, "| {name} | {old} | {new} | {} | {verdict} |", unit.allowed(&metric["allowed"], &from))?;
        }
        Ok(())
    }

    fn weights(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\n## Weights\n\n| time (UTC) | weights | by | entry |\n|---|---|---|---|\n")?;
        for one in &self.weights {
            let weights = one.weights.as_ref().map_or("no such service".to_owned(), Weights::to_string);
            writeln!(f, "| {} | {} | {} | {} |", time(one.time), plain(&weights), plain(&one.actor), one.entry)?;
        }
        Ok(())
    }

    fn moments(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\n## What happened\n\n| time (UTC) | entry | what | by | why |\n|---|---|---|---|---|\n")?;
        for one in &self.moments {
            let said = &one.said;
            let what = spelled(&one.what);
            let what = if one.late { format!("{what}, written late") } else { what };
            let (actor, reason) = (plain(&said.actor), plain(&said.reason));
            writeln!(f, "| {} | {} | {what} | {actor} | {reason} |", time(said.time), said.entry)?;
        }
        let hash = self.plan_hash.as_deref().unwrap_or("unknown");
        writeln!(
            f,
            "\nFrom serin's ledger; `serin ledger verify` says whether it is what was written. Plan: `{}`.",
            plain(hash)
        )
    }
}

fn failures(withdrawal: &Withdrawal) -> String {
    let Withdrawal { first_failure, seconds_since_first_failure: since, .. } = withdrawal;
    let Withdrawal { first_failure_of_step: of_step, seconds_since_first_failure_of_step: since_step, .. } = withdrawal;
    let one = |at: &Option<Time>, seconds: &Option<f64>| {
        at.zip(*seconds).map(|(at, seconds)| format!("{}, {} before the withdrawal", time(at), spoken(seconds)))
    };
    match (one(of_step, since_step), one(first_failure, since)) {
        (Some(step), Some(_)) if first_failure == of_step => step,
        (Some(step), Some(run)) => format!("in the step {step}; in the run {run}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "none was seen".to_owned(),
    }
}

fn validated(validation: &Validation) -> String {
    let within =
        validation.seconds_since_withdrawal.map_or(String::new(), |s| format!(" {} after the withdrawal", spoken(s)));
    let well = if validation.well { "as before" } else { "not seen to be as before" };
    format!("{well}{within}: {}", plain(&validation.said.reason))
}

fn steps(plan: &Value) -> String {
    let step = |step: &Value| {
        let weight = step["weight"].as_f64().unwrap_or_default();
        format!("{weight}% for {}", spoken(step["bakeMs"].as_f64().unwrap_or_default() / 1e3))
    };
    let steps: Vec<String> = plan["steps"].as_array().into_iter().flatten().map(step).collect();
    let (from, to) = (plan["from"].as_str().unwrap_or("?"), plan["to"].as_str().unwrap_or("?"));
    format!("from {} to {}: {}", plain(from), plain(to), steps.join(", "))
}

/// What a metric is counted in.
enum Unit {
    Share,
    Seconds,
}

impl Unit {
    fn of(metric: &Value) -> Self {
        if metric["unit"] == "share" { Self::Share } else { Self::Seconds }
    }

    fn value(&self, value: &Value) -> String {
        match (value.as_f64(), self) {
            (None, _) => "?".to_owned(),
            (Some(share), Self::Share) => format!("{:.2}%", share * 100.0),
            (Some(seconds), Self::Seconds) => format!("{:.1} ms", seconds * 1e3),
        }
    }

    fn estimate(&self, estimate: &Value) -> String {
        let [value, low, high] = ["estimate", "low", "high"].map(|key| self.value(&estimate[key]));
        let n = estimate["n"].as_u64().unwrap_or_default();
        format!("{value} ({low} to {high}), n = {}", number(n))
    }

    fn allowed(&self, allowed: &Value, old: &str) -> String {
        let ratio = allowed["ratio"].as_f64().unwrap_or(1.0);
        let slack = match allowed["slack"].as_f64() {
            Some(slack) if slack > 0.0 => format!(" + {}", self.value(&allowed["slack"])),
            _ => String::new(),
        };
        let times = if (ratio - 1.0).abs() < 1e-9 { String::new() } else { format!(" × {ratio}") };
        format!("{old}{times}{slack}")
    }
}

/// Requests, and how many of them failed.
fn share(count: Count) -> String {
    let Count { requests, failures } = count;
    let percent = failures as f64 / requests.max(1) as f64 * 100.0;
    format!("{}, of which {} failed ({percent:.2}%)", number(requests), number(failures))
}

/// With commas between thousands.
fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn plural(number: usize) -> &'static str {
    if number == 1 { "" } else { "s" }
}

/// `2026-11-21 17:07:38.123`.
fn time(time: Time) -> String {
    time.to_string().replace('T', " ").trim_end_matches('Z').to_owned()
}

fn spoken(seconds: f64) -> String {
    let whole = seconds as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0 | 1, _) => format!("{seconds:.1} s"),
        (0, minutes, seconds) => format!("{minutes} m {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} m"),
    }
}

/// `rolledBack` as `rolled back`.
fn spelled(word: &str) -> String {
    let mut text = String::with_capacity(word.len() + 2);
    for character in plain(word).chars() {
        if character.is_ascii_uppercase() {
            text.push(' ');
        }
        text.push(character.to_ascii_lowercase());
    }
    text
}

/// What others said as text within a table: nothing in it is a mark, a tag, a link or an end of the line.
fn plain(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '|' | '*' | '`' | '[' | ']' | '#' | '~' => escaped.extend(['\\', character]),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            control if control.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}
