//! A service, its versions and where they answer.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use ipnet::IpNet;

use super::{
    ControlArm, Deprecation, DiffPlan, Fallback, Fault, Follow, HealthCheck, KeySource, Migration, Outliers, Overload,
    RolloutPlan, ServiceFlags, Shadow, Side, Split,
};
use crate::tls;

/// Position of a service in its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId(u32);

/// Position of a version within its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VersionId(u16);

macro_rules! position {
    ($name:ident, $int:ty) => {
        impl $name {
            /// The position as an index.
            #[must_use]
            pub fn index(self) -> usize {
                usize::from_index(self.0)
            }

            /// The id of the item at `index`.
            ///
            /// # Panics
            /// If `index` does not fit; configuration is bounded far below that.
            #[must_use]
            pub fn from_index(index: usize) -> Self {
                // Invariant: `config` bounds the number of services and versions below the type's range.
                Self(<$int>::try_from(index).expect("configuration bounds the number of items"))
            }
        }
    };
}
position!(ServiceId, u32);
position!(VersionId, u16);

/// Widening that cannot fail on the platforms serin runs on.
trait FromIndex<T> {
    fn from_index(value: T) -> Self;
}
impl FromIndex<u32> for usize {
    fn from_index(value: u32) -> Self {
        value as usize
    }
}
impl FromIndex<u16> for usize {
    fn from_index(value: u16) -> Self {
        usize::from(value)
    }
}

/// Some versions of one service, by position; no service has more than 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionSet(u64);

impl VersionSet {
    /// All there may be.
    pub const ALL: Self = Self(u64::MAX);

    /// The same without one version.
    #[must_use]
    pub fn without(self, version: VersionId) -> Self {
        Self(self.0 & !(1 << version.0))
    }

    /// Those that are also in `other`.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether a version is among them.
    #[must_use]
    pub fn contains(self, version: VersionId) -> bool {
        self.0 & (1 << version.0) != 0
    }
}

/// One service: several versions of the same thing, and how requests are shared among them.
#[derive(Debug, Clone)]
pub struct Service {
    /// The configured name.
    pub name: Arc<str>,
    /// In order of age: the last is the newest. Never empty.
    pub versions: Vec<Version>,
    /// Where the sticky key is looked for; the first source present in the request wins.
    pub sticky: Vec<KeySource>,
    /// How keys and draws are shared among the versions.
    pub split: Split,
    /// Who may choose a version by hand, and how. `None`: nobody.
    pub version_override: Option<VersionOverride>,
    /// Bounds on the requests each version is given at a time. `None`: no bound.
    pub overload: Option<Overload>,
    /// Which version answers what the others fail. `None`: none.
    pub fallback: Option<Fallback>,
    /// When an address of a version is ejected for how it treats requests.
    pub outliers: Outliers,
    /// Follows versions named in baggage, and announces its own. `None`: baggage is nothing to it.
    pub follow: Option<Follow>,
    /// Faults put into requests for drills; of those that strike a request, the first counts. Nearly always empty.
    pub faults: Vec<Fault>,
    /// How a version's share is to be widened. `None`: by hand. Nothing a worker looks at.
    pub rollout: Option<Arc<RolloutPlan>>,
    /// How its data moves from one version to another: then the stage, and nothing else, says which version answers.
    /// `None`: it stays where it is.
    pub migration: Option<Arc<Migration>>,
    /// Which requests are copied to which version. `None`: none.
    pub shadow: Option<Arc<Shadow>>,
    /// How answers are compared that two versions give to the same request. `None`: they are not.
    pub diff: Option<Arc<DiffPlan>>,
    /// The announced end of one of its versions. `None`: none is announced.
    pub deprecation: Option<Arc<Deprecation>>,
    /// What flags do to its split.
    pub flags: ServiceFlags,
    /// Requests whose figures are kept apart while a rollout compares with them. `None`: none are, which is the rule.
    pub control: Option<ControlArm>,
}

impl Service {
    /// The version with this id. Ids come from this service's own split, so they are always in range.
    #[must_use]
    pub fn version(&self, id: VersionId) -> &Version {
        &self.versions[id.index()]
    }

    /// The part of all requests that a version is to get: by its weight, or under a migration of reads by the stage; 0 to 1.
    #[must_use]
    pub fn intended_share(&self, id: VersionId) -> f64 {
        let Some(migration) = &self.migration else { return self.split.share(id) };
        let sides = [Side::From, Side::To];
        sides.into_iter().find(|side| migration.version(*side) == id).map_or(0.0, |side| migration.read_share(side))
    }

    /// Finds a version by its configured name.
    #[must_use]
    pub fn version_named(&self, name: &str) -> Option<VersionId> {
        self.versions.iter().position(|v| &*v.name == name).map(VersionId::from_index)
    }
}

/// One version of a service.
#[derive(Debug, Clone)]
pub struct Version {
    /// The configured name.
    pub name: Arc<str>,
    /// The name as `x-serin-version` carries it.
    pub header: HeaderValue,
    /// Where it answers.
    pub upstream: Arc<UpstreamSpec>,
    /// How its addresses are asked whether they are well. `None`: they are not.
    pub health: Option<Arc<HealthCheck>>,
}

/// Where a version answers. Two equal specs share connections across reloads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UpstreamSpec {
    /// At least one.
    pub addresses: Vec<Address>,
    /// The protocol spoken to it.
    pub protocol: Protocol,
    /// TLS. `None`: it is spoken to in plain.
    pub tls: Option<UpstreamTls>,
}

/// TLS towards a version. Two are equal if they come from the same files with the same content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UpstreamTls {
    /// What is written, paths relative to the folder of `serin.yaml`.
    pub files: tls::ClientFiles,
    /// What that makes, once the files were read.
    pub connector: Option<Arc<tls::Connector>>,
}

/// One configured upstream address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A literal IP address and port.
    Ip(SocketAddr),
    /// A DNS name and port; resolved again and again, all its addresses are used.
    Name(Arc<str>, u16),
    /// A unix socket.
    Unix(PathBuf),
}

impl std::fmt::Display for Address {
    /// As `Host` names it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
            Self::Unix(_) => f.write_str("localhost"),
        }
    }
}

/// The HTTP version spoken to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Protocol {
    /// HTTP/1.1, but HTTP/2 for gRPC requests that came over HTTP/2.
    #[default]
    Auto,
    /// Always HTTP/1.1.
    Http1,
    /// Always HTTP/2 with prior knowledge.
    H2,
}

/// Lets chosen clients pick a version by name.
#[derive(Debug, Clone)]
pub struct VersionOverride {
    /// The header that carries the version's name.
    pub header: HeaderName,
    /// Client addresses that may use it.
    pub from: Vec<IpNet>,
}
