//! The flag file: flagd's format, in YAML or JSON.
//!
//! What cannot be served is an error, and the file is refused whole: no YAML or JSON, no `flags`, a default that is no
//! variant, a key twice, evaluators in a circle. What only flagd's published JSON schema objects to (`flags.json` and
//! `targeting.json` of open-feature/flagd-schemas, as of npm's flagd-core 4.0.1) is a warning, and so is a rule that
//! makes its flag answer an error.

mod file;
mod shape;
mod trail;
mod value;

use crate::flags::{Evaluators, FlagSet};

use super::node::{self, Bounds, Kind};
use super::problem::{Errors, Problem, Problems, Source, Spot};

use self::file::File;

/// Most bytes of a flag file.
pub const MAX_FLAG_FILE_BYTES: usize = 10_000_000;

/// How much a flag file may hold.
const BOUNDS: Bounds = Bounds { bytes: MAX_FLAG_FILE_BYTES, depth: 256, nodes: 2_500_000 };

/// What a flag file holds.
#[derive(Debug)]
pub struct LoadedFlags {
    /// The flags, compiled.
    pub set: FlagSet,
    /// What flagd's schema objects to, and rules that make their flag answer an error: accepted where flags are served,
    /// an error where a file is checked.
    pub warnings: Vec<Problem>,
}

/// Reads a flag file.
///
/// # Errors
/// Every error of the file.
pub fn flags(source: Source<'_>) -> Result<LoadedFlags, Errors> {
    let mut problems = Problems::of(source);
    let set = read(source, &mut problems);
    let warnings = std::mem::take(&mut problems.warnings);
    let set = problems.into_result(set)?;
    let mut loaded = LoadedFlags { set, warnings };
    loaded.warnings.sort_by_key(|problem| (problem.line, problem.column));
    Ok(loaded)
}

fn read(source: Source<'_>, problems: &mut Problems<'_>) -> Option<FlagSet> {
    let root = node::parse_json_or_yaml(source, &BOUNDS, problems)?;
    if matches!(root.kind, Kind::Null) {
        let start = Spot { key: String::new(), line: 1, column: 1, width: 1 };
        problems.error(&start, "the file is empty").help("a flag file without flags is `flags: {}`");
        return None;
    }
    let file = File::read(&root, problems)?;
    let evaluators = match Evaluators::new(file.evaluators()) {
        Ok(evaluators) => evaluators,
        Err(cycle) => {
            file.say_cycle(&cycle, problems);
            return None;
        }
    };
    file.check_evaluators(&evaluators, problems);
    let (specs, metadata, nodes) = file.into_parts();
    let set = FlagSet::new(specs, &evaluators, metadata);
    for ((_, flag), written) in set.iter().zip(&nodes) {
        if let Some(error) = flag.broken() {
            written.say_broken(flag.key(), error, problems);
        }
    }
    Some(set)
}
