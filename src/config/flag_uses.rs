//! Where `serin.yaml` names flags, to be held against the flag file, which is read by itself and may come later.

use serde_json::Value;

use super::node::quote;
use super::problem::Problem;
use crate::flags::Flag;
use crate::plan::{MEASURED_VARIANTS, Plan, ServiceId, flag_header_value, version_of};

/// Every place that names a flag.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlagUses(pub(super) Vec<FlagUse>);

/// A place that names a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FlagUse {
    pub(super) key: String,
    pub(super) role: FlagRole,
    /// To be said where something is wrong with it.
    pub(super) place: Problem,
}

/// What a flag is named for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FlagRole {
    /// Its value is sent to the upstream.
    Header,
    /// Its variant is the version.
    VersionFrom(ServiceId),
    /// It takes a version's share away.
    KillSwitch,
    /// Requests are measured by its variants.
    MeasureBy,
    /// One of its variants is what the others are compared with.
    Baseline(ServiceId),
}

impl FlagUses {
    /// What there is to say of them with the flags of `plan`: flags that there are not, and flags that cannot do what they
    /// are named for. Nothing of it is an error.
    #[must_use]
    pub fn warnings(&self, plan: &Plan) -> Vec<Problem> {
        let warning = |found: &FlagUse| {
            let key = quote(&found.key);
            let message = match plan.flags.get(&found.key) {
                None => format!("there is no flag {key}: {}", found.role.without()?),
                Some(id) => found.role.objection(&key, plan.flags.flag(id), plan)?,
            };
            let mut problem = found.place.clone();
            problem.message = message;
            Some(problem)
        };
        self.0.iter().filter_map(warning).collect()
    }
}

impl FlagRole {
    /// What follows where there is no such flag; `None` where another role of the flag says it.
    fn without(self) -> Option<&'static str> {
        match self {
            Self::Header => Some("no header is sent for it"),
            Self::VersionFrom(_) => Some("the weights decide"),
            Self::KillSwitch => Some("the version keeps its share"),
            Self::MeasureBy => Some("nothing is measured by it"),
            Self::Baseline(_) => None,
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
            Self::Baseline(id) => {
                let baseline = plan.service(id).flags.baseline.as_deref()?;
                match flag.variant_index(baseline) {
                    Some(index) if index < MEASURED_VARIANTS => None,
                    Some(_) => Some(format!(
                        "{} is not among the first {MEASURED_VARIANTS} variants of flag {key}: nothing is compared",
                        quote(baseline)
                    )),
                    None => Some(format!("flag {key} has no variant {}: nothing is compared", quote(baseline))),
                }
            }
        }
    }
}
