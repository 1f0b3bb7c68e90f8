//! `serin check`: are these files right? Reads them, never binds a port.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::BAD_USAGE;
use super::print::answer;
use crate::config::{self, Errors, Loaded, Problem, Source};
use crate::control;
use crate::flags::FlagSet;

/// What is checked if no file is named.
const DEFAULT_CONFIG: &str = "config/serin.yaml";

/// Checks the files named: one line for each on standard output and exit code 0 if they are valid, else every error on
/// standard error and exit code 2. With a `config`, its weight file is checked too, unless `weights` names another, and its
/// flag file, of which also what is accepted while serin runs but odd is an error.
pub(super) fn run(config: Option<&Path>, weights: Option<&Path>, flags: Option<&Path>, json: bool) -> ExitCode {
    let found = check(config, weights, flags);
    let code = if found.errors == 0 { ExitCode::SUCCESS } else { ExitCode::from(BAD_USAGE) };
    if json {
        let (valid, errors, warnings) = (found.errors == 0, &found.as_json.errors, &found.as_json.warnings);
        return answer(&format!("{}\n", json!({ "valid": valid, "errors": errors, "warnings": warnings })), code);
    }
    // Nothing is left to say or do if the terminal is gone.
    let _ = write!(io::stdout(), "{}", found.summary);
    let _ = write!(io::stderr(), "{}", found.complaints);
    code
}

/// What a check found, in words.
#[derive(Default)]
struct Found {
    /// A line for each valid file.
    summary: String,
    /// Every error and warning.
    complaints: String,
    errors: usize,
    as_json: AsJson,
}

/// The same for programs: errors and warnings as objects.
#[derive(Default)]
struct AsJson {
    errors: Vec<Value>,
    warnings: Vec<Value>,
}

/// A problem with its place.
fn placed(problem: &Problem) -> Value {
    let Problem { file, line, column, key, message, found, expected, help, .. } = problem;
    json!({ "file": file, "line": line, "column": column, "key": key, "message": message, "found": found,
            "expected": expected, "help": help })
}

/// A file that was read, or why it was not.
type Text = Result<String, String>;

fn check(config: Option<&Path>, weights: Option<&Path>, flags: Option<&Path>) -> Found {
    let mut found = Found::default();
    if let Some(flags) = flags {
        check_flags(flags, &mut found);
    }
    let nothing_named = config.is_none() && weights.is_none() && flags.is_none();
    match (config.or(nothing_named.then_some(Path::new(DEFAULT_CONFIG))), weights) {
        (Some(config), weights) => check_config(config, weights, &mut found),
        (None, Some(weights)) => check_weights(weights, &mut found),
        (None, None) => {}
    }
    found
}

fn check_config(path: &Path, weights: Option<&Path>, found: &mut Found) {
    let name = path.display().to_string();
    let Some(text) = found.take(read(path, &name, config::MAX_BYTES)) else {
        if let Some(weights) = weights {
            check_weights(weights, found);
        }
        return;
    };
    let serin = Source { name: &name, text: &text };
    let weights = weights.map(Path::to_owned).or_else(|| weights_beside(path, serin));
    let weights_name = weights.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let weights_text = weights.and_then(|path| found.take(read(&path, &weights_name, config::MAX_BYTES)));
    let weights = weights_text.as_ref().map(|text| Source { name: &weights_name, text });
    let loaded = config::load(serin, weights).and_then(|loaded| loaded.at(SystemTime::now())).and_then(|mut loaded| {
        control::read_certificates(&mut loaded, path)?;
        Ok(loaded)
    });
    match &loaded {
        Ok(loaded) => found.valid(&name, weights.map(|source| source.name), loaded),
        Err(errors) => found.refused(errors),
    }
    let flags = match config::flags_path(serin) {
        Some(flags) => check_flags(&control::beside(path, &flags), found),
        None => Some(FlagSet::default()),
    };
    if let (Ok(mut loaded), Some(flags)) = (loaded, flags) {
        loaded.plan.flags = Arc::new(flags);
        found.warnings(&loaded.settings.flag_uses.warnings(&loaded.plan));
    }
}

fn check_weights(path: &Path, found: &mut Found) {
    let name = path.display().to_string();
    let Some(text) = found.take(read(path, &name, config::MAX_BYTES)) else { return };
    match config::check_weights_alone(Source { name: &name, text: &text }) {
        Ok(services) => found.line(&format!("{name}: valid: weights of {}", counted(services, "service"))),
        Err(errors) => found.refused(&errors),
    }
}

/// What flagd's schema objects to is an error here: a flag file that is checked is one that is about to be used. `None`
/// where it says nothing that could be used.
fn check_flags(path: &Path, found: &mut Found) -> Option<FlagSet> {
    let name = path.display().to_string();
    let text = found.take(read(path, &name, config::MAX_FLAG_FILE_BYTES))?;
    match config::flags(Source { name: &name, text: &text }) {
        Ok(loaded) if loaded.warnings.is_empty() => {
            found.line(&format!("{name}: valid: {}", counted(loaded.set.len(), "flag")));
            Some(loaded.set)
        }
        Ok(loaded) => {
            found.refused(&Errors(loaded.warnings));
            Some(loaded.set)
        }
        Err(errors) => {
            found.refused(&errors);
            None
        }
    }
}

/// The weight file that a `serin.yaml` names, relative to its folder.
fn weights_beside(path: &Path, serin: Source<'_>) -> Option<PathBuf> {
    let weights = config::weights_path(serin)?;
    Some(path.parent().map_or_else(|| weights.clone(), |folder| folder.join(&weights)))
}

/// The text of a file of at most so many bytes; of a longer one a byte more.
pub(super) fn read(path: &Path, name: &str, most: usize) -> Text {
    let mut bytes = Vec::new();
    // One byte more than is allowed, so that too much is seen to be too much.
    let read = File::open(path).and_then(|file| file.take(most as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|error| format!("{name}: cannot be read: {error}"))?;
    config::text(name, &bytes).map(str::to_owned).map_err(|errors| errors.to_string())
}

impl Found {
    fn line(&mut self, line: &str) {
        self.summary.push_str(line);
        self.summary.push('\n');
    }

    fn complain(&mut self, text: &str) {
        self.complaints.push_str(text);
        self.complaints.push('\n');
    }

    fn error(&mut self, text: &str) {
        self.errors += 1;
        self.as_json.errors.push(json!({ "message": text }));
        self.complain(text);
    }

    fn take(&mut self, text: Text) -> Option<String> {
        text.map_err(|error| self.error(&error)).ok()
    }

    fn refused(&mut self, errors: &Errors) {
        self.errors += errors.0.len();
        self.as_json.errors.extend(errors.0.iter().map(placed));
        self.complain(&format!("{errors}\n\n{}", counted(errors.0.len(), "error")));
    }

    fn warnings(&mut self, warnings: &[Problem]) {
        self.as_json.warnings.extend(warnings.iter().map(placed));
        for warning in warnings {
            self.complain(&format!("warning: {warning}"));
        }
    }

    fn valid(&mut self, name: &str, weights: Option<&str>, loaded: &Loaded) {
        self.warnings(&loaded.warnings);
        let listeners = counted(loaded.settings.listeners.len(), "listener");
        let services = counted(loaded.plan.services.len(), "service");
        let routes = counted(loaded.plan.routes.routes().len(), "route");
        self.line(&format!("{name}: valid: {listeners}, {services}, {routes}"));
        if let Some(weights) = weights {
            self.line(&format!("{weights}: valid: weights of {}", counted(loaded.file_weights.len(), "service")));
        }
    }
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIN: &str = "\
listeners: [{ address: 127.0.0.1:8080 }]
files: { weights: weights.yaml }
services: { shop: { versions: { old: { upstream: http://127.0.0.1:9001 }, new: { upstream: http://127.0.0.1:9002 } } } }
routes: [{ service: shop }]
";

    fn folder(serin: &str, weights: &str) -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (config, beside) = (folder.path().join("serin.yaml"), folder.path().join("weights.yaml"));
        std::fs::write(&config, serin).unwrap();
        std::fs::write(&beside, weights).unwrap();
        (folder, config, beside)
    }

    #[test]
    fn valid_files_are_summed_up_one_line_each() {
        let (_folder, config, _) = folder(SERIN, "shop: { old: 95, new: 5 }\n");
        let found = check(Some(&config), None, None);
        assert_eq!((found.errors, &*found.complaints), (0, ""));
        let lines: Vec<&str> = found.summary.lines().map(|line| line.split("yaml: ").nth(1).unwrap()).collect();
        assert_eq!(lines, ["valid: 1 listener, 1 service, 1 route", "valid: weights of 1 service"]);
    }

    #[test]
    fn the_weight_file_beside_a_broken_configuration_is_checked_in_the_same_run() {
        let (_folder, config, _) = folder(&SERIN.replace("listeners", "listners"), "shop: { old: -1 }\n");
        let found = check(Some(&config), None, None);
        assert!(found.complaints.contains("listners"), "{}", found.complaints);
        assert!(found.complaints.contains("weights.yaml:1:14: shop.old"), "{}", found.complaints);
        assert_eq!(found.summary, "");
    }

    #[test]
    fn a_weight_file_named_alone_is_checked_without_knowing_the_services() {
        let (_folder, _, weights) = folder(SERIN, "any: { thing: 1 }\n");
        assert_eq!(check(None, Some(&weights), None).errors, 0);
        std::fs::write(&weights, "any: { thing: .nan }\n").unwrap();
        assert_eq!(check(None, Some(&weights), None).errors, 1);
    }

    #[test]
    fn files_that_are_missing_too_large_or_no_text_are_errors() {
        let (folder, config, weights) = folder(SERIN, "");
        let missing = check(Some(&folder.path().join("none.yaml")), None, None);
        assert!(missing.complaints.contains("none.yaml: cannot be read"), "{}", missing.complaints);
        std::fs::write(&weights, vec![b'#'; config::MAX_BYTES + 5]).unwrap();
        assert!(check(None, Some(&weights), None).complaints.contains("too large"));
        std::fs::write(&weights, b"shop:\n  \xff").unwrap();
        assert!(check(Some(&config), None, None).complaints.contains("weights.yaml:2:3: the file is not text"));
        std::fs::remove_file(&weights).unwrap();
        assert_eq!(check(Some(&config), None, None).errors, 1);
    }

    #[test]
    fn the_flag_file_beside_a_configuration_is_checked_in_the_same_run() {
        let with_flags = SERIN.replace("weights: weights.yaml", "flags: flags.yaml");
        let (folder, config, _) = folder(&with_flags, "");
        let flags = folder.path().join("flags.yaml");
        let missing = check(Some(&config), None, None);
        assert!(missing.complaints.contains("flags.yaml: cannot be read"), "{}", missing.complaints);
        std::fs::write(&flags, "flags: { a: { state: ENABLED, variants: { x: 1 }, defaultVariant: x } }\n").unwrap();
        let found = check(Some(&config), None, None);
        assert_eq!((found.errors, &*found.complaints), (0, ""));
        assert!(found.summary.ends_with("flags.yaml: valid: 1 flag\n"), "{}", found.summary);
        // What would only be warned of while serin runs.
        std::fs::write(&flags, "flags: { a: { state: ON, variants: { x: 1 }, defaultVariant: x } }\n").unwrap();
        assert!(check(Some(&config), None, None).complaints.contains("flags.yaml:1:"));
        std::fs::write(&flags, "flags: { a: { variants: { x: 1 }, defaultVariant: z } }\n").unwrap();
        std::fs::write(&config, with_flags.replace("listeners", "listners")).unwrap();
        let both = check(Some(&config), None, None);
        assert!(
            both.complaints.contains("listners") && both.complaints.contains("flags.yaml:1:"),
            "{}",
            both.complaints
        );
    }

    #[test]
    fn what_the_schema_objects_to_in_a_flag_file_is_an_error_here() {
        let (folder, ..) = folder(SERIN, "");
        let flags = folder.path().join("flags.yaml");
        let write = |variants: &str| {
            let text = format!("flags: {{ a: {{ state: ENABLED, variants: {variants}, defaultVariant: on }} }}\n");
            std::fs::write(&flags, text).unwrap();
        };
        write("{ on: true, off: false }");
        let found = check(None, None, Some(&flags));
        assert_eq!((found.errors, &*found.complaints), (0, ""));
        assert!(found.summary.ends_with("flags.yaml: valid: 1 flag\n"), "{}", found.summary);
        write("{ on: true, off: 0 }");
        let found = check(None, None, Some(&flags));
        assert_eq!(found.errors, 1);
        assert!(found.complaints.contains("flags.a.variants.off: variants of mixed"), "{}", found.complaints);
    }
}
