//! What is wrong with a file, said so that an operator can mend it: where, what was found, what was expected.

use std::fmt;
use std::path::{Path, PathBuf};

use super::read::did_you_mean;

/// The text of one file and the name it is spoken of by.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The file's name as the operator knows it; it begins every message.
    pub name: &'a str,
    /// The whole text.
    pub text: &'a str,
}

/// One thing that is wrong (or, as a warning, without effect).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The name of the file, as in [`Source::name`].
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// The key, such as `routes[0].matches[1].path.type`; empty for the file as a whole.
    pub key: String,
    /// What is wrong, in one line.
    pub message: String,
    /// What stands there instead.
    pub found: Option<String>,
    /// What would be right.
    pub expected: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    snippet: Option<Snippet>,
}

/// The piece of the line that a problem points at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Snippet {
    text: String,
    /// Characters of `text` before the marks.
    before: usize,
    /// Number of marks, at least one.
    marks: usize,
}

/// Every problem of the files that were read together, in the order of the text. Never empty when returned as an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Errors(pub Vec<Problem>);

/// The message about a key that is not known, also how such errors are told from others.
pub(super) const UNKNOWN_KEY: &str = "unknown key";
/// Most problems that are printed; the rest is counted.
const SHOWN: usize = 50;
/// Most characters of a line that are shown, so that a line without end does not fill the terminal.
const WIDTH: usize = 120;

/// A place in a file: the key it belongs to and where its text stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Spot {
    pub(super) key: String,
    pub(super) line: u32,
    pub(super) column: u32,
    /// Characters that are marked; they may reach beyond the line.
    pub(super) width: usize,
}

/// Collects the problems of one file while it is read; nothing stops at the first.
pub(super) struct Problems<'a> {
    file: &'a str,
    lines: Vec<&'a str>,
    pub(super) errors: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    /// Where other files are named, ready to say what is wrong with them.
    pub(super) places: Vec<(PathBuf, Problem)>,
}

impl<'a> Problems<'a> {
    pub(super) fn of(source: Source<'a>) -> Self {
        let lines = source.text.trim_start_matches('\u{feff}').lines().collect();
        Self { file: source.name, lines, errors: Vec::new(), warnings: Vec::new(), places: Vec::new() }
    }

    /// Notes an error; what is returned takes the details.
    pub(super) fn error(&mut self, spot: &Spot, message: impl Into<String>) -> &mut Problem {
        // Only what will be printed needs its line; this bounds the memory a hostile file can ask for.
        let snippet = if self.errors.len() < SHOWN { self.snippet(spot) } else { None };
        self.errors.push(self.problem(spot, message.into(), snippet));
        let last = self.errors.len() - 1;
        &mut self.errors[last]
    }

    /// Notes something that is accepted but has no effect.
    pub(super) fn warning(&mut self, spot: &Spot, message: impl Into<String>) {
        let snippet = if self.warnings.len() < SHOWN { self.snippet(spot) } else { None };
        self.warnings.push(self.problem(spot, message.into(), snippet));
    }

    /// Notes that a file is named here, which somebody else reads.
    pub(super) fn names_file(&mut self, spot: &Spot, path: &Path) {
        if self.places.iter().all(|(known, _)| known != path) {
            let place = self.aside(spot, "");
            self.places.push((path.to_owned(), place));
        }
    }

    /// The same where the line may hold what is known to few: nothing of its text will be shown.
    pub(super) fn names_file_unshown(&mut self, spot: &Spot, path: &Path) {
        if self.places.iter().all(|(known, _)| known != path) {
            let place = Problem { snippet: None, ..self.aside(spot, "") };
            self.places.push((path.to_owned(), place));
        }
    }

    /// A problem that is none yet: whether it is depends on what this text does not say.
    pub(super) fn aside(&self, spot: &Spot, message: impl Into<String>) -> Problem {
        self.problem(spot, message.into(), self.snippet(spot))
    }

    /// Whether one of `keys` of the mapping at `spot` is noted as wrong, or may be what a misspelt key was meant to be:
    /// then it is not missing.
    pub(super) fn noted(&self, spot: &Spot, keys: &[&str]) -> bool {
        let parent = if spot.key.is_empty() { String::new() } else { format!("{}.", spot.key) };
        self.errors.iter().filter_map(|problem| Some((problem, problem.key.strip_prefix(&parent)?))).any(
            |(problem, rest)| {
                let unknown = problem.message == UNKNOWN_KEY && !rest.contains(['.', '[']);
                unknown
                    || keys
                        .iter()
                        .any(|key| rest.strip_prefix(key).is_some_and(|r| r.is_empty() || r.starts_with(['.', '['])))
            },
        )
    }

    /// The value, if there were no errors; all errors in the order of the text otherwise.
    pub(super) fn into_result<T>(self, value: Option<T>) -> Result<T, Errors> {
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => Err(self.into_errors()),
        }
    }

    /// All errors in the order of the text.
    pub(super) fn into_errors(mut self) -> Errors {
        self.errors.sort_by_key(|p| (p.line, p.column));
        Errors(self.errors)
    }

    fn problem(&self, spot: &Spot, message: String, snippet: Option<Snippet>) -> Problem {
        Problem {
            file: self.file.to_owned(),
            line: spot.line,
            column: spot.column,
            key: spot.key.clone(),
            message,
            found: None,
            expected: None,
            help: None,
            snippet,
        }
    }

    fn snippet(&self, spot: &Spot) -> Option<Snippet> {
        let line = self.lines.get((spot.line as usize).checked_sub(1)?)?;
        let column = (spot.column as usize).checked_sub(1)?;
        // A long line is cut to what stands around the place.
        let skipped = if column + 20 < WIDTH { 0 } else { column - WIDTH / 2 };
        let shown = |c: char| if c.is_control() { ' ' } else { c };
        // A tab or a control character would move the marks away from what they mark.
        let text: String = line.chars().skip(skipped).take(WIDTH).map(shown).collect();
        let more = if line.chars().nth(skipped + WIDTH).is_some() { " …" } else { "" };
        let (text, less) = (text.trim_end(), if skipped > 0 { "… " } else { "" });
        let room = text.chars().count().saturating_sub(column - skipped);
        let before = column - skipped + less.chars().count();
        Some(Snippet { before, marks: spot.width.min(room).max(1), text: format!("{less}{text}{more}") })
    }
}

impl Problem {
    pub(super) fn found(&mut self, found: impl Into<String>) -> &mut Self {
        self.found = Some(found.into());
        self
    }

    pub(super) fn expected(&mut self, expected: impl Into<String>) -> &mut Self {
        self.expected = Some(expected.into());
        self
    }

    pub(super) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// Helps with a word that is not one of the known ones but close to one of them.
    pub(super) fn suggest<'a>(&mut self, typed: &str, known: impl Iterator<Item = &'a str>) -> &mut Self {
        // Thousands of names against thousands of others take seconds; what is not printed needs no help.
        if self.snippet.is_some() {
            self.help = did_you_mean(typed, known);
        }
        self
    }

    pub(super) fn maybe_help(&mut self, help: Option<String>) -> &mut Self {
        self.help = help;
        self
    }
}

impl Errors {
    /// The same without the text of the file, which may hold secrets that somebody has put there by mistake. What is
    /// found under `secret` is not said either.
    pub(super) fn veiled(mut self, secret: &str) -> Self {
        for problem in &mut self.0 {
            problem.snippet = None;
            if problem.found.is_some() && problem.key.ends_with(secret) {
                problem.found("something else, which is not shown as it may be a secret");
            }
        }
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}", self.message)?;
        let margin = self.line.to_string().len();
        let found = self.found.as_ref().map(|found| format!("found {found}")).unwrap_or_default();
        if let Some(Snippet { text, before, marks }) = &self.snippet {
            let marked = format!("{:before$}{:^<marks$} {found}", "", "");
            write!(f, "\n{:margin$} |\n{} | {text}\n{:margin$} | {}", "", self.line, "", marked.trim_end())?;
        } else if !found.is_empty() {
            write!(f, "\n{:margin$} = {found}", "")?;
        }
        if let Some(expected) = &self.expected {
            write!(f, "\n{:margin$} = expected: {expected}", "")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n{:margin$} = help: {help}", "")?;
        }
        Ok(())
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().take(SHOWN).enumerate() {
            if i > 0 {
                f.write_str("\n\n")?;
            }
            problem.fmt(f)?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n\n… and {more} more"),
        }
    }
}
