//! Drills in force as JSON shows them.

use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::observer::Recent;
use crate::plan::{Abort, Delay, Fault, Service, Strike};
use crate::telemetry::{FaultSnapshot, Rfc3339};

/// A fault put into requests of one version on purpose, still in force.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrillView {
    /// Its name.
    pub name: String,
    /// Whose requests are hurt.
    pub version: String,
    /// How many of them, such as `10%`; where there is a header, of those that carry it.
    pub share: String,
    /// The header that requests must carry, as `name: value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// What happens to them, in words.
    pub effects: Vec<String>,
    /// When it stops by itself: RFC 3339, UTC.
    pub until: String,
    /// Requests under it now.
    pub active: u64,
    /// Effects that requests have met since the start of the process.
    pub injected: u64,
    /// Requests left alone because as many as allowed were under it.
    pub capped: u64,
}

/// The drills of a service that are in force.
pub(super) fn drills(service: &Service, recent: &Recent) -> Vec<DrillView> {
    let now = SystemTime::now();
    let in_force = service.faults.iter().filter(|fault| fault.until > now);
    in_force
        .map(|fault| {
            let version = &service.version(fault.version).name;
            DrillView::new(fault, version, recent.now.fault(&service.name, version, &fault.name))
        })
        .collect()
}

impl DrillView {
    fn new(fault: &Fault, version: &str, figures: Option<&FaultSnapshot>) -> Self {
        let header = fault.only.as_ref();
        Self {
            name: fault.name.to_string(),
            version: version.to_owned(),
            share: fault.share.to_string(),
            header: header.map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))),
            effects: effects(fault),
            until: Rfc3339(fault.until).to_string(),
            active: figures.map_or(0, |figures| figures.active),
            injected: figures.map_or(0, |figures| figures.injected.iter().sum()),
            capped: figures.map_or(0, |figures| figures.capped),
        }
    }
}

fn effects(fault: &Fault) -> Vec<String> {
    let ms = |duration: Duration| format!("{}ms", duration.as_millis());
    let delay = fault.delay.map(|delay| match delay {
        Delay::Fixed(delay) => format!("delay {}", ms(delay)),
        Delay::Uniform(from, to) => format!("delay {} to {}", ms(from), ms(to)),
        Delay::Exponential(mean) => format!("delay {} on average", ms(mean)),
    });
    let strike = fault.strike.map(|strike| match strike {
        Strike::Abort(Abort::Http(status)) => format!("abort {}", status.as_u16()),
        Strike::Abort(Abort::Grpc(code)) => format!("abort grpc-status {code}"),
        Strike::Reset => "reset".to_owned(),
        Strike::SlowBody(rate) => format!("body at {rate} bytes/s"),
    });
    delay.into_iter().chain(strike).collect()
}
