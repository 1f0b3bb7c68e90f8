//! The flag file. A first reader: enough to run, without places.

use serde_json::{Map, Value};

use super::problem::{Errors, Problem, Problems, Source, Spot};
use crate::flags::{Evaluators, FlagSet, FlagSpec, State};

/// Longest flag file, in bytes.
pub const MAX_FLAG_BYTES: usize = 10_000_000;

/// What a flag file says.
#[derive(Debug)]
pub struct LoadedFlags {
    /// The flags.
    pub set: FlagSet,
    /// What is accepted but odd.
    pub warnings: Vec<Problem>,
}

/// A flag file as a whole.
///
/// # Errors
/// What is wrong with it.
pub fn flags(source: Source<'_>) -> Result<LoadedFlags, Errors> {
    let mut problems = Problems::of(source);
    let start = Spot { key: String::new(), line: 1, column: 1, width: 1 };
    let root: Value = match serde_yaml::from_str(source.text) {
        Ok(root) => root,
        Err(error) => {
            problems.error(&start, error.to_string());
            return Err(problems.into_errors());
        }
    };
    let Some(Value::Object(flags)) = root.get("flags") else {
        problems.error(&start, "the key `flags` is missing here");
        return Err(problems.into_errors());
    };
    let mut specs = Vec::new();
    for (key, flag) in flags {
        let object = |name: &str| flag[name].as_object().cloned().unwrap_or_default();
        let variants: Vec<(String, Value)> = object("variants").into_iter().collect();
        let default = match &flag["defaultVariant"] {
            Value::String(name) => {
                let found = variants.iter().position(|(known, _)| known == name);
                if found.is_none() {
                    problems.error(&start, format!("`{name}` is no variant of `{key}`"));
                }
                found
            }
            _ => None,
        };
        specs.push(FlagSpec {
            key: key.clone(),
            state: if flag["state"] == "DISABLED" { State::Disabled } else { State::Enabled },
            variants,
            default,
            targeting: flag.get("targeting").cloned(),
            metadata: object("metadata"),
        });
    }
    let metadata = root["metadata"].as_object().cloned().unwrap_or_else(Map::new);
    let set = FlagSet::new(specs, &Evaluators::default(), metadata);
    problems.into_result(Some(LoadedFlags { set, warnings: Vec::new() }))
}
