//! Single values: each type says what it expects, parses it, and describes itself in JSON Schema.

mod access;
mod address;
mod choice;
mod collector;
mod document;
mod duration;
mod field;
mod flag;
mod migration;
mod moment;
mod name;
mod number;
mod origin;
mod percent;
mod rate;
mod rollout;
mod tls;
mod tolerance;
mod webhook;

pub(super) use access::{RoleName, Sha256Hex, Switch};
pub use address::Bind;
pub(super) use address::{Cidr, Upstream};
pub(super) use choice::{
    CertificatePart, ClientAuth, Durability, EvidenceNeeded, FallbackCause, FilterType, FollowSource, Guarded,
    LogFormat, MatchType, OnFull, OnRegression, PathMatchType, PathModifierType, Priority, ProbeType, Protocol,
    RedirectStatus, RepairBy, Scheme, WithoutKey,
};
pub(super) use collector::Collector;
pub(super) use document::{DocumentPath, Spread};
pub(super) use duration::{Period, Timeout};
pub(super) use field::{FieldName, FieldValue, Hostname, HttpMethod};
pub(super) use flag::{AttributeName, FlagKey, VariantName};
pub(super) use migration::StageName;
pub(super) use moment::{Day, Moment};
pub(super) use name::{FilePath, Name, Text, Yes};
pub(super) use number::{Count, Factor, Share, Size};
pub(super) use origin::{ANY, Origin};
pub(super) use percent::Percent;
pub(super) use rate::PerSecond;
pub(super) use rollout::{Alpha, ArmWeight, Order, StepWeight};
pub(super) use tls::{ServerName, TlsVersion};
pub(super) use tolerance::Tolerance;
pub(super) use webhook::{EventName, HookUrl};

use serde_json::Value;

use super::node::Kind;
use super::problem::Problems;
use super::read::{At, Cursor, Read};

/// A value written as one scalar.
pub(super) trait Scalar: Sized {
    /// What is expected, as the end of "expected: …".
    fn expected() -> String;
    /// JSON Schema of it.
    fn schema() -> Value;

    fn from_text(_text: &str) -> Result<Self, Wrong> {
        Err(Wrong::kind())
    }

    fn from_integer(_number: i128) -> Result<Self, Wrong> {
        Err(Wrong::kind())
    }

    fn from_float(_number: f64) -> Result<Self, Wrong> {
        Err(Wrong::kind())
    }

    fn from_bool(_value: bool) -> Result<Self, Wrong> {
        Err(Wrong::kind())
    }
}

/// Why a scalar is not of its type.
pub(super) struct Wrong {
    message: String,
    help: Option<String>,
}

impl Wrong {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    /// The scalar is of another kind altogether.
    fn kind() -> Self {
        Self::new("wrong type")
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// A value as it is written outside of any file, such as on the command line.
pub(super) fn parse<T: Scalar>(text: &str) -> Result<T, String> {
    // A bare number means there what it means in a file: no text.
    let read = text.parse().map_or_else(|_| T::from_text(text), T::from_integer);
    read.map_err(|Wrong { message, help }| {
        let help = help.map(|help| format!("; {help}")).unwrap_or_default();
        format!("{message}: expected {}{help}", T::expected())
    })
}

impl<T: Scalar> Read for At<T> {
    fn read(at: &Cursor<'_>, problems: &mut Problems<'_>) -> Option<Self> {
        let read = match &at.node.kind {
            Kind::Text(text) => T::from_text(text),
            Kind::Integer(number) => T::from_integer(*number),
            Kind::Float(number) => T::from_float(*number),
            Kind::Bool(value) => T::from_bool(*value),
            Kind::Null | Kind::List(_) | Kind::Map(_) => {
                at.mismatch(&T::expected(), problems);
                return None;
            }
        };
        match read {
            Ok(value) => Some(Self { value, spot: at.spot() }),
            Err(Wrong { message, help }) => {
                let problem = problems.error(&at.spot(), message);
                problem.found(at.node.describe()).expected(T::expected()).maybe_help(help);
                None
            }
        }
    }

    fn schema() -> Value {
        T::schema()
    }
}
