//! The data plane as the one writer sees it.

use std::sync::Arc;

use super::flags::FlagsInForce;
use crate::config::{AdminSettings, Listener};
use crate::diff::Evidence;
use crate::migration::gates::Facts;
use crate::plan::{Plan, Service, VersionSet};
use crate::stats::Alpha;

/// What carries out what is in force. The data plane, seen from here.
pub trait DataPlane {
    /// Starts listening wherever `listeners` name an address that is not listened on yet.
    ///
    /// # Errors
    /// A sentence for the operator; then nothing has changed.
    fn open(&mut self, listeners: &[Listener]) -> Result<(), String>;

    /// Has a journal ready for the migrations of a plan that is to come in force.
    ///
    /// # Errors
    /// A sentence for the operator.
    fn keep_journal(&mut self, plan: &Plan) -> Result<(), String>;

    /// Has new connections at `listeners` find the TLS they have now; open ones keep theirs.
    fn secure(&mut self, listeners: &[Listener]);

    /// Has the admin API answer as `admin` says from now on, but for its address.
    fn admit(&mut self, admin: Option<&AdminSettings>);

    /// Puts a plan in force.
    fn publish(&mut self, plan: &Arc<Plan>);

    /// Tells whoever waits for it that the flags of the plan in force are others now.
    fn tell_of_flags(&mut self, flags: FlagsInForce);

    /// Stops listening wherever `listeners` does not name the address any more.
    fn close_others(&mut self, listeners: &[Listener]);

    /// Whether the answers of `to` differ from those of the service's other versions in more than `most` of the requests,
    /// 0 to 1; wrong with probability `alpha` at most. `None`: nothing was compared with that version.
    fn differences(&self, service: &str, to: &str, most: f64, alpha: Alpha) -> Option<Evidence>;

    /// The versions of `service` that have an address which can take requests.
    fn up(&self, service: &Service) -> VersionSet;

    /// What is known of the migration of a service; `None` where it has none.
    fn facts(&self, service: &str) -> Option<Facts>;
}
