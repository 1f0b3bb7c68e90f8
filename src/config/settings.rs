//! What a loaded configuration holds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::plan::{Plan, ServiceId, Weight};
use crate::tls;

use super::problem::Problem;
use super::values::Bind;

/// Everything the files say.
#[derive(Debug)]
pub struct Loaded {
    /// What is outside the plan.
    pub settings: Settings,
    /// What workers need, with generation 0; the weight file's weights are in force in it.
    pub plan: Plan,
    /// By service: the weights that `serin.yaml` itself gives, in force where the weight file does not name the service.
    pub own_weights: Vec<Vec<Weight>>,
    /// The services that the weight file names, with the weights of all their versions.
    pub file_weights: Vec<(ServiceId, Vec<Weight>)>,
    /// What is accepted but has no effect; to be said aloud.
    pub warnings: Vec<Problem>,
    /// The files of certificates, keys and CAs, as written, and where each is named.
    pub(crate) places: Vec<(PathBuf, Problem)>,
}

impl Loaded {
    /// What is wrong with a file that `serin.yaml` names, said at the place where it is named.
    #[must_use]
    pub fn problem_with(&self, path: &Path, message: &str) -> Option<Problem> {
        let (_, place) = self.places.iter().find(|(known, _)| known == path)?;
        let message = if path == Path::new("") { message.to_owned() } else { format!("{}: {message}", path.display()) };
        let mut problem = place.clone();
        problem.message = message;
        Some(problem)
    }
}

/// What is outside the plan: sockets, workers, files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where clients connect; at least one.
    pub listeners: Vec<Listener>,
    /// Where the admin API answers. `None`: nowhere.
    pub admin: Option<Bind>,
    /// Where the flag evaluation API is to answer; no effect yet.
    pub ofrep: Option<Bind>,
    /// Number of workers. `None`: as many as the cgroup grants cores.
    pub workers: Option<usize>,
    /// Folder of the ledger and the journal; no effect yet.
    pub state_dir: Option<PathBuf>,
    /// How long requests in flight may take to finish once serin is told to stop.
    pub drain_timeout: Duration,
    /// One line for every request. `None`: none.
    pub access_log: Option<AccessLogSettings>,
    /// The weight file, as written: relative to the folder of `serin.yaml`.
    pub weights_file: Option<PathBuf>,
    /// The flag definitions, as written; no effect yet.
    pub flags_file: Option<PathBuf>,
}

/// An address that clients connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Unique among listeners; the address where none is given.
    pub name: String,
    /// Where.
    pub address: Bind,
    /// TLS. `None`: plain HTTP.
    pub tls: Option<ListenerTls>,
}

/// TLS of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// What is written, paths relative to the folder of `serin.yaml`.
    pub files: tls::ServerFiles,
    /// What that makes, once the files were read.
    pub server: Option<Arc<tls::Server>>,
}

/// Where access log lines go, and how they look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLogSettings {
    /// Where they go.
    pub target: AccessLogTarget,
    /// How they look.
    pub format: AccessLogFormat,
}

/// Where access log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLogTarget {
    /// Standard output.
    Stdout,
    /// Appended to this file, as written: relative to the folder of `serin.yaml`.
    File(PathBuf),
}

/// How an access log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccessLogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// Words for people.
    Text,
}
