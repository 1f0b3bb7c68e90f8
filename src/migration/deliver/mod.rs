//! Taking writes to the version that does not have them yet, on a thread of its own.

use std::io;
use std::sync::Arc;

use super::journal::Journal;
use crate::plan::UpstreamSpec;

/// Where a version of a service answers, by the plan in force; `None`: there is no such version.
pub type Whereabouts = Box<dyn Fn(&str, &str) -> Option<Arc<UpstreamSpec>> + Send>;

/// Starts the thread. It ends when the journal is closed.
///
/// # Errors
/// Where the system gives no thread.
pub fn start(_journal: &Journal, _whereabouts: Whereabouts) -> io::Result<()> {
    todo!()
}
