//! `serin ledger`: the record of changes, asked of a running serin or read from its folder.

mod print;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::value::RawValue;

use self::print::{broken, details, row, verified};
use super::client::{Client, ClientError, encode};
use super::print::{answer, complain, failed};
use super::progress::Progress;
use super::{BAD_USAGE, Global};
use crate::config::{self, Source};
use crate::control::beside;
use crate::ledger::{Break, Dot, Entry, MAX_PAGE, Mermaid, Page, Query, ReadError, Reader, Timeline, Verified};

/// Longest that a running serin may take to look at all entries.
const VERIFIES: Duration = Duration::from_mins(10);

/// What `serin ledger` takes.
#[derive(Debug, Args)]
pub(super) struct LedgerArgs {
    /// Read the ledger in this folder instead of asking a running serin.
    #[arg(long, global = true, value_name = "DIR", conflicts_with = "config")]
    state_dir: Option<PathBuf>,
    /// Read the ledger in the `stateDir` of this configuration file.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<LedgerCommand>,
}

#[derive(Debug, Subcommand)]
enum LedgerCommand {
    /// Print entries, one a line: the last there are, or those after a number.
    List {
        #[command(flatten)]
        which: Which,
        /// Print the entries as they are written, one a line.
        #[arg(long)]
        json: bool,
    },
    /// Print one entry, or what happened in a rollout.
    Show {
        /// Its number.
        #[arg(value_parser = clap::value_parser!(u64).range(1..), required_unless_present = "rollout")]
        number: Option<u64>,
        /// What happened in the rollout with this number, for a review.
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "number")]
        rollout: Option<u64>,
        /// How a rollout is printed.
        #[arg(long, value_name = "FORMAT", default_value = "markdown", requires = "rollout")]
        format: TimelineFormat,
        /// Print the entry as it is written, a rollout as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check that every entry is what was written.
    Verify {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Draw changes and what depends on them.
    Graph {
        #[command(flatten)]
        which: Which,
        /// How.
        #[arg(long, value_name = "FORMAT", default_value = "mermaid")]
        format: GraphFormat,
    },
}

/// Which entries.
#[derive(Debug, Args)]
struct Which {
    /// Only those that concern this service.
    #[arg(long)]
    service: Option<String>,
    /// Only those with a greater number.
    #[arg(long, value_name = "NUMBER")]
    after: Option<u64>,
    /// Most of them.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GraphFormat {
    /// A flow chart for Markdown.
    Mermaid,
    /// For Graphviz.
    Dot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TimelineFormat {
    /// To be pasted into a review.
    Markdown,
    /// For programs.
    Json,
}

/// Most entries of a rollout, and of its service meanwhile, that are put together.
const MAX_ENTRIES: usize = 100_000;

/// Carries out what is asked; gives the exit code.
pub(super) fn run(global: &Global, args: &LedgerArgs) -> ExitCode {
    let list = LedgerCommand::List { which: Which { service: None, after: None, limit: 100 }, json: false };
    let command = args.command.as_ref().unwrap_or(&list);
    match Asked::of(global, args).and_then(|asked| asked.answer(command)) {
        Ok(Answer::Text(text)) => answer(&text, ExitCode::SUCCESS),
        Ok(Answer::Broken(text)) => answer(&text, ExitCode::FAILURE),
        Err(error @ (LedgerError::Usage(_) | LedgerError::Read(ReadError::NoLedger(_)))) => failed(error, BAD_USAGE),
        Err(error) => failed(error, ExitCode::FAILURE),
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum LedgerError {
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Read(#[from] ReadError),
    #[error("{0}")]
    Client(#[from] ClientError),
    #[error("there is no entry {0} in the ledger")]
    NoEntry(u64),
    #[error("there is no entry of a rollout {0} in the ledger")]
    NoRollout(u64),
    #[error(
        "rollout {0} and what happened meanwhile have more than {MAX_ENTRIES} entries: too many to be put together"
    )]
    TooMany(u64),
    #[error("an entry is not what this version of serin writes: {0}")]
    Entry(#[from] serde_json::Error),
}

enum Answer {
    Text(String),
    Broken(String),
}

/// Who is asked.
enum Asked {
    Folder(Reader),
    Serin(Box<Client>),
}

/// A page as the admin API gives it, the entries untouched.
#[derive(Deserialize)]
struct PageView<'a> {
    #[serde(borrow)]
    entries: Vec<&'a RawValue>,
    next: Option<u64>,
}

/// What the admin API says of all entries.
#[derive(Deserialize)]
struct VerifyView {
    verified: Option<Verified>,
    broken: Option<Break>,
}

impl Asked {
    fn of(global: &Global, args: &LedgerArgs) -> Result<Self, LedgerError> {
        let folder = match (&args.state_dir, &args.config) {
            (Some(folder), _) => Some(folder.clone()),
            (None, Some(config)) => Some(state_dir_of(config)?),
            (None, None) => None,
        };
        match folder {
            Some(folder) => Ok(Self::Folder(Reader::of_folder(folder))),
            None => match Client::new(global) {
                Ok(client) => Ok(Self::Serin(Box::new(client))),
                Err(error) => Err(LedgerError::Usage(error.to_string())),
            },
        }
    }

    fn answer(&self, command: &LedgerCommand) -> Result<Answer, LedgerError> {
        match command {
            LedgerCommand::List { which, json } => {
                let lines = self.lines(which)?;
                if *json {
                    return Ok(Answer::Text(lines.iter().flat_map(|line| [line, "\n"]).collect()));
                }
                let entries = parsed(&lines)?;
                if let (true, Some(service)) = (entries.is_empty(), &which.service) {
                    complain(format_args!("the ledger has no entry that concerns a service `{service}`"));
                }
                Ok(Answer::Text(entries.iter().map(row).collect()))
            }
            LedgerCommand::Show { rollout: Some(rollout), format, json, .. } => {
                let timeline = self.timeline(*rollout)?;
                let as_json = *json || *format == TimelineFormat::Json;
                Ok(Answer::Text(if as_json {
                    format!("{}\n", serde_json::to_string_pretty(&timeline)?)
                } else {
                    timeline.to_string()
                }))
            }
            LedgerCommand::Show { number, json, .. } => {
                // Invariant: clap asks for one of the two.
                let line = self.entry(number.unwrap_or_default())?;
                Ok(Answer::Text(if *json { format!("{line}\n") } else { details(&line)? }))
            }
            LedgerCommand::Verify { json } => self.verify(*json),
            LedgerCommand::Graph { which, format } => {
                let entries = parsed(&self.lines(which)?)?;
                Ok(Answer::Text(match format {
                    GraphFormat::Mermaid => Mermaid(&entries).to_string(),
                    GraphFormat::Dot => Dot(&entries).to_string(),
                }))
            }
        }
    }

    /// The entries asked for, page by page.
    fn lines(&self, which: &Which) -> Result<Vec<String>, LedgerError> {
        let mut left = which.limit as usize;
        let mut after = which.after;
        if after.is_none() && left > MAX_PAGE {
            let message =
                format!("--limit {left}: the last {MAX_PAGE} at most; for more name a beginning with --after");
            return Err(LedgerError::Usage(message));
        }
        let mut lines = Vec::new();
        while left > 0 {
            let limit = left.min(MAX_PAGE);
            let page = self.page(&Query { service: which.service.clone(), after, limit, rollout: None })?;
            left -= page.lines.len();
            lines.extend(page.lines);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        Ok(lines)
    }

    /// What happened in a rollout: its own entries, and those of its service between the first and the last of them.
    fn timeline(&self, rollout: u64) -> Result<Timeline, LedgerError> {
        let own = self.entries(rollout, Query { rollout: Some(rollout), ..Query::default() }, 0, u64::MAX)?;
        let none = || LedgerError::NoRollout(rollout);
        let service = own.iter().find_map(|entry| entry.draft.service.clone()).ok_or_else(none)?;
        let (first, last) =
            own.first().zip(own.last()).map(|(first, last)| (first.number, last.number)).ok_or_else(none)?;
        let all = self.entries(rollout, Query { service: Some(service), ..Query::default() }, first - 1, last)?;
        Timeline::of(rollout, &all).ok_or_else(none)
    }

    /// The entries that are asked for with numbers above `after`, up to `last`.
    fn entries(&self, rollout: u64, query: Query, after: u64, last: u64) -> Result<Vec<Entry>, LedgerError> {
        let mut query = Query { after: Some(after), limit: MAX_PAGE, ..query };
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let page = self.page(&query)?;
            entries.extend(parsed(&page.lines)?);
            if entries.len() > MAX_ENTRIES {
                return Err(LedgerError::TooMany(rollout));
            }
            match page.next {
                Some(next) if next < last => query.after = Some(next),
                _ => break,
            }
        }
        entries.retain(|entry| entry.number <= last);
        Ok(entries)
    }

    fn page(&self, query: &Query) -> Result<Page, LedgerError> {
        match self {
            Self::Folder(reader) => Ok(reader.page(query)?),
            Self::Serin(client) => {
                let service = query.service.iter().map(|service| format!("&service={}", encode(service)));
                let after = query.after.iter().map(|after| format!("&after={after}"));
                let rollout = query.rollout.iter().map(|rollout| format!("&rollout={rollout}"));
                let more: String = service.chain(after).chain(rollout).collect();
                let body = client.get(&format!("/api/v1/ledger?limit={}{more}", query.limit))?;
                let view: PageView<'_> = serde_json::from_slice(&body).map_err(ClientError::from)?;
                let lines = view.entries.iter().map(|entry| entry.get().to_owned()).collect();
                Ok(Page { lines, next: view.next })
            }
        }
    }

    fn entry(&self, number: u64) -> Result<String, LedgerError> {
        match self {
            Self::Folder(reader) => reader.entry(number)?.ok_or(LedgerError::NoEntry(number)),
            Self::Serin(client) => {
                let body = client.get(&format!("/api/v1/ledger/{number}"))?;
                Ok(String::from_utf8_lossy(&body).into_owned())
            }
        }
    }

    fn verify(&self, json: bool) -> Result<Answer, LedgerError> {
        let (found, body) = match self {
            Self::Folder(reader) => {
                let mut progress = Progress::new(json);
                let found = reader.verify(|file| progress.at(None, &format!("reading {file}")))?;
                drop(progress);
                let body = match &found {
                    Ok(verified) => serde_json::json!({ "verified": verified }),
                    Err(broken) => serde_json::json!({ "broken": broken }),
                };
                (found, body.to_string())
            }
            Self::Serin(client) => {
                let mut progress = Progress::new(json);
                let body = client.get_slowly("/api/v1/ledger/verify", VERIFIES, &mut || {
                    progress.at(None, "serin reads its ledger");
                })?;
                drop(progress);
                let view: VerifyView = serde_json::from_slice(&body).map_err(ClientError::from)?;
                let body = String::from_utf8_lossy(&body).into_owned();
                match (view.verified, view.broken) {
                    (Some(verified), None) => (Ok(verified), body),
                    (_, Some(broken)) => (Err(broken), body),
                    (None, None) => return Err(LedgerError::Usage("the answer says neither yes nor no".to_owned())),
                }
            }
        };
        let text = if json { format!("{body}\n") } else { found.as_ref().map_or_else(broken, verified) };
        Ok(if found.is_ok() { Answer::Text(text) } else { Answer::Broken(text) })
    }
}

/// The `stateDir` of a configuration file.
fn state_dir_of(config: &Path) -> Result<PathBuf, LedgerError> {
    let name = config.display().to_string();
    let bytes =
        std::fs::read(config).map_err(|error| LedgerError::Usage(format!("{name}: cannot be read: {error}")))?;
    let text = config::text(&name, &bytes).map_err(|errors| LedgerError::Usage(errors.to_string()))?;
    let none =
        || LedgerError::Usage(format!("{name} names no stateDir: its ledger is in memory; ask the running serin"));
    config::state_dir(Source { name: &name, text }).map(|folder| beside(config, &folder)).ok_or_else(none)
}

fn parsed(lines: &[String]) -> Result<Vec<Entry>, LedgerError> {
    lines.iter().map(|line| Ok(serde_json::from_str(line)?)).collect()
}
