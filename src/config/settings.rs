//! What a loaded configuration holds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::flags::Flag;
use crate::plan::{MEASURED_VARIANTS, Plan, ServiceId, Share, Weight, flag_header_value, version_of};
use crate::tls;

use super::node::quote;
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
    /// Where flags are named; to be held against the flag file by [`Loaded::flag_warnings`].
    pub(super) flag_uses: Vec<FlagUse>,
}

/// A place that names a flag.
#[derive(Debug)]
pub(super) struct FlagUse {
    pub(super) key: String,
    pub(super) role: FlagRole,
    /// To be said where something is wrong with it.
    pub(super) place: Problem,
}

/// What a flag is named for.
#[derive(Debug, Clone, Copy)]
pub(super) enum FlagRole {
    /// Its value is sent to the upstream.
    Header,
    /// Its variant is the version.
    VersionFrom(ServiceId),
    /// It takes a version's share away.
    KillSwitch,
    /// Requests are measured by its variants.
    MeasureBy,
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

    /// What becomes of the flags that are named, held against the plan's flag set: the names of flags that there are not, and
    /// flags that cannot do what they are named for. Nothing of it is an error, as the flag file may come later.
    #[must_use]
    pub fn flag_warnings(&self) -> Vec<Problem> {
        let warning = |found: &FlagUse| {
            let key = quote(&found.key);
            let message = match self.plan.flags.get(&found.key) {
                None => format!("there is no flag {key}: {}", found.role.without()),
                Some(id) => found.role.objection(&key, self.plan.flags.flag(id), &self.plan)?,
            };
            let mut problem = found.place.clone();
            problem.message = message;
            Some(problem)
        };
        self.flag_uses.iter().filter_map(warning).collect()
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

impl FlagRole {
    /// What follows where there is no such flag.
    fn without(self) -> &'static str {
        match self {
            Self::Header => "no header is sent for it",
            Self::VersionFrom(_) => "the weights decide",
            Self::KillSwitch => "the version keeps its share",
            Self::MeasureBy => "all requests count as those of no variant",
        }
    }

    /// What keeps a flag from being what it is named for.
    fn objection(self, key: &str, flag: &Flag, plan: &Plan) -> Option<String> {
        let variants = flag.variants();
        match self {
            Self::Header => {
                let unfit = variants.iter().find(|variant| flag_header_value(&variant.value).is_none())?;
                let name = quote(&unfit.name);
                Some(format!(
                    "the value of variant {name} of flag {key} is none that a header can carry: it is not sent"
                ))
            }
            Self::VersionFrom(id) => {
                let service = plan.service(id);
                let names = variants.iter().any(|variant| version_of(service, variant).is_some());
                (!names).then(|| format!("no variant of flag {key} is a version of this service: the weights decide"))
            }
            Self::KillSwitch => {
                let kills = variants.iter().any(|variant| variant.value == Value::Bool(true));
                (!kills).then(|| format!("no variant of flag {key} is true: the version keeps its share"))
            }
            Self::MeasureBy => (variants.len() > MEASURED_VARIANTS).then(|| {
                format!(
                    "flag {key} has {} variants: those after the first {MEASURED_VARIANTS} count together",
                    variants.len()
                )
            }),
        }
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
    /// Spans of requests. `None`: none.
    pub tracing: Option<TracingSettings>,
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
