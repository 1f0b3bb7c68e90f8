//! What a loaded configuration holds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::access::Access;
use crate::events::{Kind, Secret};
use crate::plan::{Address, Plan, ServiceId, Share, UpstreamTls, Weight};
use crate::{ledger, tls};

use super::flag_uses::FlagUses;
use super::problem::{Errors, Problem};
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
    /// When drills end; to be held against a clock by [`Loaded::at`].
    pub(super) endings: Vec<Ending>,
    /// The files of certificates, keys and CAs, as written, and where each is named.
    pub(super) places: Vec<(PathBuf, Problem)>,
    /// `stateDir` as written, and where it is named.
    pub(super) state_dir: Option<(PathBuf, Problem)>,
}

/// When a fault of a drill ends.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) at: SystemTime,
    /// To be said where that has passed.
    pub(super) over: Problem,
    /// What is wrong where that is too far ahead.
    pub(super) too_late: Problem,
}

/// How far ahead of its reading a file may let a drill end: long enough for a working day, too short to be forgotten.
const LONGEST_DRILL: Duration = Duration::from_hours(24);

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

    /// What is wrong with `stateDir`, said at the place where it is named.
    #[must_use]
    pub fn problem_with_state_dir(&self, message: &str) -> Option<Problem> {
        let (_, place) = self.state_dir.as_ref()?;
        let mut problem = place.clone();
        message.clone_into(&mut problem.message);
        Some(problem)
    }

    /// The same, held against the time at which it is read: a drill that has ended is warned of.
    ///
    /// # Errors
    /// Drills that end more than 24 hours later.
    pub fn at(mut self, now: SystemTime) -> Result<Self, Errors> {
        let endings = std::mem::take(&mut self.endings);
        let (too_late, sooner): (Vec<_>, Vec<_>) =
            endings.into_iter().partition(|ending| ending.at > now + LONGEST_DRILL);
        if !too_late.is_empty() {
            return Err(Errors(too_late.into_iter().map(|ending| ending.too_late).collect()));
        }
        self.warnings.extend(sooner.into_iter().filter(|ending| ending.at <= now).map(|ending| ending.over));
        Ok(self)
    }
}

/// What is outside the plan: sockets, workers, files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where clients connect; at least one.
    pub listeners: Vec<Listener>,
    /// Where the admin API answers. `None`: nowhere.
    pub admin: Option<AdminSettings>,
    /// The flag evaluation API. `None`: there is none.
    pub ofrep: Option<OfrepSettings>,
    /// Number of workers. `None`: as many as the cgroup grants cores.
    pub workers: Option<usize>,
    /// Folder of the ledger, as written: relative to the folder of `serin.yaml`. `None`: it is kept in memory.
    pub state_dir: Option<PathBuf>,
    /// How large the ledger grows.
    pub ledger: ledger::Settings,
    /// How long requests in flight may take to finish once serin is told to stop.
    pub drain_timeout: Duration,
    /// One line for every request. `None`: none.
    pub access_log: Option<AccessLogSettings>,
    /// Spans of requests. `None`: none.
    pub tracing: Option<TracingSettings>,
    /// Who is told of what happens; at most 16, each with a URL of its own.
    pub webhooks: Vec<WebhookSettings>,
    /// The weight file, as written: relative to the folder of `serin.yaml`.
    pub weights_file: Option<PathBuf>,
    /// The flag definitions, as written: relative to the folder of `serin.yaml`.
    pub flags_file: Option<PathBuf>,
    /// Where flags are named.
    pub flag_uses: FlagUses,
}

/// Where the admin API answers, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSettings {
    /// Where.
    pub address: Bind,
    /// TLS. `None`: plain HTTP.
    pub tls: Option<ListenerTls>,
    /// Who may do what; with the tokens, once their file was read.
    pub access: Access,
    /// The tokens file, as written: relative to the folder of `serin.yaml`.
    pub tokens_file: Option<PathBuf>,
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

/// The flag evaluation API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfrepSettings {
    /// Where it answers.
    pub address: Bind,
    /// Which pages of other origins may ask.
    pub origins: Origins,
    /// Most bytes of a request body.
    pub max_body: usize,
    /// Most connections, at least 2.
    pub connections: usize,
}

/// Origins whose pages may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// All.
    Any,
    /// Only these, each as browsers send it.
    These(Vec<String>),
}

impl Default for Origins {
    /// None at all.
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

/// Where spans go, and which are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracingSettings {
    /// Host of the collector: a name, or an address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The path that spans are posted to.
    pub path: String,
    /// How many of the traces that begin here are recorded.
    pub sample: Share,
    /// `service.name` of the spans.
    pub service_name: String,
}

/// A receiver that is told of what happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Where it is; no unix socket.
    pub address: Address,
    /// The path and query that are posted to. They may be known to few: not to be shown.
    pub target: String,
    /// TLS towards it. `None`: plain HTTP.
    pub tls: Option<UpstreamTls>,
    /// Of which events it is told.
    pub kinds: Vec<Kind>,
    /// The file with the secret, as written: relative to the folder of `serin.yaml`.
    pub secret_file: PathBuf,
    /// What is in it, once it was read.
    pub secret: Option<Arc<Secret>>,
    /// Longest time for one try.
    pub timeout: Duration,
}

impl WebhookSettings {
    /// Whether both are the same receiver, whatever else is said of it.
    #[must_use]
    pub fn is_same_receiver(&self, other: &Self) -> bool {
        let of = |hook: &Self| (hook.address.clone(), hook.target.clone(), hook.tls.is_some());
        of(self) == of(other)
    }
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
