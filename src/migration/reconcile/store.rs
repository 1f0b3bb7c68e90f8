//! Runs as they are kept beside the ledger, so that one goes on where a process died.
//!
//! For each service two files: `reconcile-SERVICE.keys`, one JSON text a line, written once when a run begins; and
//! `reconcile-SERVICE.json`, the [`Run`], written anew again and again and put in place by renaming.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::run::{MAX_RUN_KEYS, Run};
use crate::plan::MAX_ENTITY_KEY;

/// Longest file of a run that is read.
const MAX_RUN: u64 = 16 << 20;
/// Longest file of keys.
const MAX_KEYS_FILE: u64 = (MAX_RUN_KEYS * (MAX_ENTITY_KEY + 3)) as u64;

/// A folder for runs; without one they end with the process.
#[derive(Debug, Clone)]
pub(super) struct Store(Option<PathBuf>);

impl Store {
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self(folder)
    }

    /// Whether runs outlive the process.
    pub(super) fn is_lasting(&self) -> bool {
        self.0.is_some()
    }

    /// Writes the keys of a run down.
    pub(super) fn put_keys(&self, service: &str, keys: &[Arc<str>]) -> io::Result<()> {
        let Some(path) = self.path(service, "keys") else { return Ok(()) };
        let mut text = Vec::new();
        for key in keys {
            serde_json::to_writer(&mut text, &**key)?;
            text.push(b'\n');
        }
        put(&path, &text)
    }

    /// Writes a run down.
    pub(super) fn put_run(&self, service: &str, run: &Run) -> io::Result<()> {
        let Some(path) = self.path(service, "json") else { return Ok(()) };
        put(&path, &serde_json::to_vec(run)?)
    }

    /// The last run of a service; `None`: there was none.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub(super) fn run(&self, service: &str) -> Result<Option<Run>, String> {
        let Some(path) = self.path(service, "json") else { return Ok(None) };
        let Some(text) = read(&path, MAX_RUN)? else { return Ok(None) };
        let run = serde_json::from_slice(&text);
        run.map(Some).map_err(|error| format!("{}: not the state of a reconciliation: {error}", path.display()))
    }

    /// The keys of the last run.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub(super) fn keys(&self, service: &str) -> Result<Vec<Arc<str>>, String> {
        let none = || "its keys are gone".to_owned();
        let path = self.path(service, "keys").ok_or_else(none)?;
        let text = read(&path, MAX_KEYS_FILE)?.ok_or_else(none)?;
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let keys = lines.map(|line| serde_json::from_slice::<String>(line).map(Arc::from));
        keys.collect::<Result<_, _>>().map_err(|error| format!("{}: not a list of keys: {error}", path.display()))
    }

    fn path(&self, service: &str, kind: &str) -> Option<PathBuf> {
        // Names of services are letters, digits, `-`, `_` and `.`: nothing that leads elsewhere.
        Some(self.0.as_ref()?.join(format!("reconcile-{service}.{kind}")))
    }
}

/// All of it or nothing, also where the machine loses power.
fn put(path: &Path, text: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(text)?;
    file.sync_data()?;
    fs::rename(&beside, path)
}

fn read(path: &Path, most: u64) -> Result<Option<Vec<u8>>, String> {
    let said = |error: io::Error| format!("{}: {error}", path.display());
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(said)?,
    };
    let mut text = Vec::new();
    file.take(most + 1).read_to_end(&mut text).map_err(said)?;
    if text.len() as u64 > most {
        return Err(format!("{}: longer than {most} bytes", path.display()));
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::super::run::{Asked, Keys};
    use super::*;

    fn run(total: u64) -> Run {
        let asked =
            Asked { keys: Keys::Given, repair: true, per_second: 1.5, actor: "ada".to_owned(), reason: String::new() };
        Run::new(asked, Some(total), 7)
    }

    #[test]
    fn what_is_kept_comes_back_and_services_do_not_mix() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(Some(folder.path().to_owned()));
        assert_eq!(store.run("shop"), Ok(None));
        let keys: Vec<Arc<str>> = vec!["a".into(), "with\nline \"ends\"".into(), "ü".into()];
        store.put_keys("shop", &keys).unwrap();
        store.put_run("shop", &run(3)).unwrap();
        store.put_keys("shop.two", &keys[..1]).unwrap();
        store.put_run("shop.two", &run(1)).unwrap();
        assert_eq!(store.keys("shop"), Ok(keys));
        assert_eq!(store.run("shop"), Ok(Some(run(3))));
        assert_eq!(store.run("shop.two"), Ok(Some(run(1))));
    }

    #[test]
    fn what_cannot_be_read_is_said_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(Some(folder.path().to_owned()));
        assert_eq!(store.keys("shop"), Err("its keys are gone".to_owned()));
        fs::write(folder.path().join("reconcile-shop.json"), "{\"asked\":").unwrap();
        fs::write(folder.path().join("reconcile-shop.keys"), "\"a\"\nb\n").unwrap();
        for error in [store.run("shop").unwrap_err(), store.keys("shop").unwrap_err()] {
            assert!(error.contains("reconcile-shop.") && error.contains(": not "), "{error}");
        }
    }

    #[test]
    fn without_a_folder_nothing_is_kept() {
        let store = Store::new(None);
        store.put_run("shop", &run(1)).unwrap();
        assert_eq!(store.run("shop"), Ok(None));
        assert!(!store.is_lasting());
    }
}
