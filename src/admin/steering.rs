//! What flags do to a service, as JSON shows it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::{Effect, Service, Standing};

/// What flags do to the split of a service.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SteeringView {
    /// The flag whose variant is the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_from: Option<VersionFromView>,
    /// The flags that take versions away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kill_switches: Vec<KillSwitchView>,
    /// The flag by whose variants requests are measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure_by: Option<String>,
}

/// The flag whose variant is the version.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionFromView {
    /// Its key.
    pub flag: String,
    /// For which requests it says something.
    pub says: SaysView,
    /// The version it names for all of them; nothing where it names none, or not the same for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// A flag that takes a version away.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KillSwitchView {
    /// Which version.
    pub version: String,
    /// The flag's key.
    pub flag: String,
    /// For which requests it says something.
    pub says: SaysView,
    /// Whether the version is taken away from all requests.
    pub on: bool,
}

/// For which requests a flag says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SaysView {
    /// The same for all of them.
    Always,
    /// It has a rule.
    ByRequest,
    /// None: there is no such flag, it is disabled, broken, or has no value.
    Nothing,
}

impl<T> From<Effect<T>> for SaysView {
    fn from(effect: Effect<T>) -> Self {
        match effect {
            Effect::Always(_) => Self::Always,
            Effect::ByRequest => Self::ByRequest,
            Effect::Nothing => Self::Nothing,
        }
    }
}

impl SteeringView {
    pub(super) fn new(standing: &Standing, service: &Service) -> Self {
        let name = |id| service.version(id).name.to_string();
        let version_from = standing.version_from.as_ref().map(|(flag, effect)| VersionFromView {
            flag: flag.to_string(),
            says: (*effect).into(),
            version: if let Effect::Always(version) = effect { version.map(name) } else { None },
        });
        let kill_switch = |(version, flag, on): &(_, std::sync::Arc<str>, Effect<bool>)| KillSwitchView {
            version: name(*version),
            flag: flag.to_string(),
            says: (*on).into(),
            on: *on == Effect::Always(true),
        };
        Self {
            version_from,
            kill_switches: standing.kill_switches.iter().map(kill_switch).collect(),
            measure_by: standing.measure_by.as_ref().map(ToString::to_string),
        }
    }
}
