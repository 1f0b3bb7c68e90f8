//! `serin flags`: what flags there are, and why somebody gets what they get; answered from the files alone.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::BAD_USAGE;
use super::check::read;
use super::print::{answer, complain, failed};
use crate::config::{self, Source};
use crate::flags::{Explanation, Flag, FlagSet, Told, explain};

/// What is asked of the flags.
#[derive(Debug, Subcommand)]
pub(super) enum FlagsCommand {
    /// List the flags of a flag file.
    List {
        #[command(flatten)]
        from: FlagSource,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Evaluate a flag for a context; asks the files, no server.
    Eval {
        /// The flag's key.
        key: String,
        /// The context, a JSON object: '{"targetingKey":"user-7","country":"de"}'; @FILE reads it from a file.
        #[arg(long, value_name = "JSON", default_value = "{}")]
        context: String,
        #[command(flatten)]
        from: FlagSource,
        /// Say which parts of the rule led there, and how the bucket came about.
        #[arg(long)]
        explain: bool,
        /// The time for rules that ask for it, in seconds of Unix time; default: now.
        #[arg(long, value_name = "SECONDS")]
        at: Option<u64>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Which flag file.
#[derive(Debug, Args)]
pub(super) struct FlagSource {
    /// The flag file.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    flags: Option<PathBuf>,
    /// The configuration file that names the flag file.
    #[arg(long, value_name = "FILE", default_value = "config/serin.yaml")]
    config: PathBuf,
}

/// Longest context that is read, in bytes.
const MAX_CONTEXT: usize = 10_000_000;

/// Runs the command; gives the exit code.
pub(super) fn run(command: FlagsCommand) -> ExitCode {
    let answered = match command {
        FlagsCommand::List { from, json } => load(&from).map(|set| (list(&set, json), true)),
        FlagsCommand::Eval { key, context, from, explain, at, json } => {
            let asked = Asked { key, context, now: at.unwrap_or_else(now), explain, json };
            load(&from).and_then(|set| asked.answer(&set))
        }
    };
    match answered {
        Ok((text, well)) => answer(&text, if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        Err(message) => failed(message, BAD_USAGE),
    }
}

fn now() -> u64 {
    // A clock before 1970 is as good as none.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The flags, after what is odd about them is said.
fn load(from: &FlagSource) -> Result<FlagSet, String> {
    let path = match &from.flags {
        Some(path) => path.clone(),
        None => beside(&from.config)?,
    };
    let name = path.display().to_string();
    let text = read(&path, &name, config::MAX_FLAG_FILE_BYTES)?;
    let loaded = config::flags(Source { name: &name, text: &text }).map_err(|errors| errors.to_string())?;
    for warning in &loaded.warnings {
        complain(format_args!("warning: {warning}"));
    }
    Ok(loaded.set)
}

/// The flag file that a `serin.yaml` names.
fn beside(path: &Path) -> Result<PathBuf, String> {
    let name = path.display().to_string();
    let text = read(path, &name, config::MAX_BYTES)?;
    let named = config::flags_path(Source { name: &name, text: &text });
    let named = named.ok_or_else(|| format!("{name}: names no flag file (`files: {{ flags: flags.yaml }}`)"))?;
    Ok(path.parent().map_or_else(|| named.clone(), |folder| folder.join(&named)))
}

// ---- list

fn list(set: &FlagSet, json: bool) -> String {
    if json {
        let flags: Vec<Value> = set.iter().map(|(_, flag)| listed(flag)).collect();
        return format!("{:#}\n", json!({ "flags": flags, "metadata": set.metadata() }));
    }
    let heads = ["FLAG", "STATE", "TYPE", "DEFAULT", "VARIANTS", "RULE", "CHANGED"].map(str::to_owned);
    let mut rows = vec![heads];
    rows.extend(set.iter().map(|(_, flag)| {
        let variants: Vec<&str> = flag.variants().iter().map(|variant| &*variant.name).collect();
        [
            flag.key().to_string(),
            flag.state().to_string(),
            kind(flag).to_owned(),
            default(flag).unwrap_or("none").to_owned(),
            variants.join(","),
            rule(flag).to_owned(),
            // The ledger of a running serin knows; the files do not.
            "unknown".to_owned(),
        ]
    }));
    table(&rows)
}

fn listed(flag: &Flag) -> Value {
    let variants: Map<String, Value> =
        flag.variants().iter().map(|variant| (variant.name.to_string(), variant.value.clone())).collect();
    json!({
        "key": &**flag.key(),
        "state": flag.state().to_string(),
        "type": kind(flag),
        "defaultVariant": default(flag),
        "variants": variants,
        "targeting": flag.targeting().is_some(),
        "error": flag.broken().map(ToString::to_string),
        "metadata": flag.metadata(),
        "changed": Value::Null,
    })
}

fn kind(flag: &Flag) -> &'static str {
    let kind = |value: &Value| match value {
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Object(_) => "object",
        Value::Array(_) => "list",
        Value::Null => "null",
    };
    let mut kinds = flag.variants().iter().map(|variant| kind(&variant.value));
    let Some(first) = kinds.next() else { return "none" };
    if kinds.all(|other| other == first) { first } else { "mixed" }
}

fn default(flag: &Flag) -> Option<&str> {
    flag.default_index().map(|index| &*flag.variants()[index].name)
}

fn rule(flag: &Flag) -> &'static str {
    match (flag.broken(), flag.targeting()) {
        (Some(_), _) => "broken",
        (None, Some(_)) => "yes",
        (None, None) => "no",
    }
}

fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default());
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

// ---- eval

/// A question for one flag.
struct Asked {
    key: String,
    context: String,
    now: u64,
    explain: bool,
    json: bool,
}

impl Asked {
    /// The answer, and whether the flag could be evaluated.
    fn answer(&self, set: &FlagSet) -> Result<(String, bool), String> {
        let context = context(&self.context)?;
        let id = set.get(&self.key).ok_or_else(|| {
            let keys: Vec<&str> = set.iter().take(20).map(|(_, flag)| &**flag.key()).collect();
            let more = if set.len() > keys.len() { ", …" } else { "" };
            let all = set.iter().map(|(_, flag)| &**flag.key());
            let meant = config::did_you_mean(&self.key, all).map(|meant| format!("; {meant}")).unwrap_or_default();
            format!("there is no flag `{}`; the file has: {}{more}{meant}", self.key, keys.join(", "))
        })?;
        let explanation = explain(set, id, &context, self.now);
        let well = explanation.result.is_ok();
        let flag = set.flag(id);
        let text = if self.json {
            format!("{:#}\n", self.as_json(flag, &explanation))
        } else {
            self.as_text(flag, &explanation)
        };
        Ok((text, well))
    }

    fn as_json(&self, flag: &Flag, explanation: &Explanation<'_>) -> Value {
        let mut answer = Map::new();
        let mut put = |name: &str, value: Value| _ = answer.insert(name.to_owned(), value);
        put("key", json!(self.key));
        match &explanation.result {
            Ok(evaluation) => {
                put("reason", json!(evaluation.reason.as_str()));
                if let (Some(variant), Some(value)) = (evaluation.variant, evaluation.value) {
                    put("variant", json!(variant));
                    put("value", value.clone());
                }
            }
            Err(error) => {
                put("reason", json!("ERROR"));
                put("errorCode", json!(error.code.as_str()));
                put("errorDetails", json!(error.details));
            }
        }
        if !flag.metadata().is_empty() {
            put("metadata", json!(flag.metadata()));
        }
        if self.explain {
            put("explanation", explanation.told.iter().map(told).collect());
        }
        Value::Object(answer)
    }

    fn as_text(&self, flag: &Flag, explanation: &Explanation<'_>) -> String {
        let mut rows = vec![["flag".to_owned(), self.key.clone()]];
        match &explanation.result {
            Ok(evaluation) => {
                let value =
                    evaluation.value.map_or("none: the application's own default holds".to_owned(), Value::to_string);
                rows.push(["value".to_owned(), value]);
                rows.push(["variant".to_owned(), evaluation.variant.unwrap_or("none").to_owned()]);
                rows.push(["reason".to_owned(), evaluation.reason.to_string()]);
            }
            Err(error) => rows.push(["error".to_owned(), error.to_string()]),
        }
        let mut out = table(&rows);
        if self.explain {
            out.push('\n');
            explain_to(flag, explanation, &mut out);
        }
        out
    }
}

fn context(text: &str) -> Result<Value, String> {
    let text = match text.strip_prefix('@') {
        Some(path) => read(Path::new(path), path, MAX_CONTEXT)?,
        None => text.to_owned(),
    };
    if text.len() > MAX_CONTEXT {
        return Err(format!("the context is too large: at most {MAX_CONTEXT} bytes"));
    }
    match serde_json::from_str(&text) {
        Ok(context @ Value::Object(_)) => Ok(context),
        Ok(_) => Err("the context is no JSON object; expected something like {\"targetingKey\":\"user-7\"}".to_owned()),
        Err(error) => Err(format!("the context is no JSON: {error}")),
    }
}

fn told(told: &Told) -> Value {
    let found: Map<String, Value> = told
        .found
        .iter()
        .map(|(path, value)| (path.clone(), value.as_ref().map_or(Value::Null, |v| json!(v))))
        .collect();
    let mut step = json!({ "depth": told.depth, "rule": told.rule, "value": told.value, "found": found });
    if let Some(branch) = &told.branch {
        step["branch"] = json!(branch);
    }
    if let Some(draw) = &told.draw {
        step["draw"] = json!({
            "key": draw.key, "hash": draw.hash, "bucket": draw.bucket, "of": draw.total, "from": draw.from, "to": draw.to,
        });
    }
    step
}

fn explain_to(flag: &Flag, explanation: &Explanation<'_>, out: &mut String) {
    // Writing to a text does not fail.
    if explanation.told.is_empty() {
        let why = match (&explanation.result, flag.targeting()) {
            (Err(_), _) => "the rule cannot be used, so nothing of it ran".to_owned(),
            (Ok(_), Some(_)) if flag.constant().is_some() => "the flag is disabled, so its rule did not run".to_owned(),
            (Ok(evaluation), None) if evaluation.variant.is_none() => {
                format!("the flag is {} and has no rule, and nothing to fall back to", flag.state())
            }
            (Ok(_), None) => "the flag has no rule: everybody gets the default variant".to_owned(),
            (Ok(_), Some(rule)) => format!("the rule is the value {rule}, the same for everybody"),
        };
        let _ = writeln!(out, "why: {why}");
        return;
    }
    let _ = writeln!(out, "why, from the outermost part of the rule inwards:");
    for told in &explanation.told {
        let indent = "  ".repeat(told.depth + 1);
        let _ = writeln!(out, "{indent}{}  is {}", told.rule, told.value);
        for (path, value) in &told.found {
            let value = value.as_deref().unwrap_or("not in the context");
            let _ = writeln!(out, "{indent}  · {path} is {value}");
        }
        if let Some(branch) = &told.branch {
            let _ = writeln!(out, "{indent}  · {branch}");
        }
        if let Some(draw) = &told.draw {
            let (hash, bucket, total) = (draw.hash, draw.bucket, draw.total);
            let _ = writeln!(
                out,
                "{indent}  · bucketing key {:?}, hash {hash:#010x}: bucket {bucket} of {total}",
                draw.key
            );
            let _ = writeln!(out, "{indent}  · {} has the buckets {} to {}", told.value, draw.from, draw.to - 1);
        }
    }
    if explanation.left_out > 0 {
        let _ = writeln!(out, "  … and {} parts more", explanation.left_out);
    }
    match &explanation.result {
        Ok(evaluation) if evaluation.reason == crate::flags::Reason::Default => {
            let _ = writeln!(
                out,
                "the rule gives null, which means the default variant: {}",
                default(flag).unwrap_or("none")
            );
        }
        Ok(evaluation) => {
            let _ = writeln!(out, "the rule gives the variant {}", evaluation.variant.unwrap_or("none"));
        }
        Err(_) => {}
    }
}
