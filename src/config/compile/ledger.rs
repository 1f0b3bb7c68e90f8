//! The folder of the state, and the ledger in it.

use std::path::PathBuf;

use crate::config::problem::{Problem, Problems};
use crate::config::written::Serin;
use crate::ledger;

/// How large the ledger grows; what is not written has its default.
pub(super) fn ledger(written: &Serin, problems: &mut Problems<'_>) -> ledger::Settings {
    let default = ledger::Settings::default();
    let Some(ledger) = &written.ledger else { return default };
    if written.state_dir.is_none() {
        problems.warning(&ledger.spot, "without effect: without `stateDir` the ledger is kept in memory");
    }
    ledger::Settings {
        max_file_size: ledger.max_file_size.as_ref().map_or(default.max_file_size, |size| size.0),
        keep: ledger.keep.as_ref().map_or(default.keep, |count| count.0 as usize),
    }
}

/// The folder, and where it is named, ready to say what is wrong with it.
pub(super) fn state_dir(written: &Serin, problems: &Problems<'_>) -> Option<(PathBuf, Problem)> {
    let named = written.state_dir.as_ref()?;
    Some((named.value.0.clone(), problems.aside(&named.spot, "")))
}
