//! What a demo is made of before it is played: the two versions, its files, what the user asked for.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::files::Folder;
use super::messages::Messages;
use super::scenario::Scenario;
use super::upstream::Upstream;
use super::{NEW, OLD, VERSIONS};
use crate::config::Bind;
use crate::control;
use crate::plan::Plan;

/// What the user asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// How the new version behaves.
    pub scenario: Scenario,
    /// How long it lasts.
    pub total: Duration,
    /// Where the proxy is to listen.
    pub listen: SocketAddr,
    /// Where its admin API is to listen.
    pub admin: Bind,
}

/// The running proxy, as the demo needs to know it.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where its admin API listens, as a URL.
    pub admin: String,
    /// Where its rollout is started and seen.
    pub control: control::Handle,
    /// The plan in force.
    pub plan: Box<dyn Fn() -> Arc<Plan> + Send + Sync>,
}

/// Why the demo cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Standard output is gone.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    /// The system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

pub(super) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> DemoError {
    move |source| DemoError::System { what: what.into(), source }
}

/// A demo that is prepared, for a proxy that is yet to be started.
pub trait Show {
    /// The `serin.yaml` to start the proxy with.
    fn config(&self) -> PathBuf;

    /// Plays the script to its end, or until SIGINT or SIGTERM; then prints the summary. `messages` are kept from what is shown
    /// while it is drawn.
    ///
    /// # Errors
    /// If the system refuses something. The demo is over then.
    fn play(self, proxy: Proxy, messages: Messages) -> Result<(), DemoError>;
}

/// A demo whose versions run and whose files are written, for a proxy that is yet to be started.
#[derive(Debug)]
pub struct Demo {
    pub(super) options: Options,
    pub(super) folder: Folder,
    pub(super) upstreams: [Upstream; 2],
}

impl Demo {
    /// Starts the two versions and writes the files.
    ///
    /// # Errors
    /// If the system gives no socket, thread or folder.
    pub fn prepare(options: Options) -> Result<Self, DemoError> {
        let upstream = |version: usize, profile| {
            Upstream::start(VERSIONS[version], profile, version as u64 + 1)
                .map_err(system(format!("cannot start the version {}", VERSIONS[version])))
        };
        let upstreams = [upstream(OLD, Scenario::old())?, upstream(NEW, Scenario::new_at_first())?];
        let folder = Folder::new().map_err(system(format!("{}: no folder", std::env::temp_dir().display())))?;
        let addresses = upstreams.each_ref().map(|upstream| upstream.address);
        folder
            .write(options.listen, &options.admin, addresses, &options.scenario.script(options.total))
            .map_err(system(format!("{}: cannot be written", folder.config().display())))?;
        Ok(Self { options, folder, upstreams })
    }
}
