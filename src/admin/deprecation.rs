//! The announced end of a version as JSON shows it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::Service;
use crate::telemetry::{Registry, Rfc3339};

/// Most callers that are named.
const SHOWN: usize = 10;

/// The announced end of a version.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeprecationView {
    /// The version.
    pub version: String,
    /// Since when, or from when on, nobody is to begin to use it: RFC 3339, UTC.
    pub at: String,
    /// When it is expected to answer no more; nothing where that is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sunset: Option<String>,
    /// Where to read about it; nothing where that is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Requests since the start.
    pub requests: u64,
    /// The callers that sent most of them, at most 10.
    pub callers: Vec<CallerView>,
}

/// Somebody who still calls.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CallerView {
    /// The name, its hash, `unknown` or `other`.
    pub client: String,
    /// Requests since the start.
    pub requests: u64,
}

impl DeprecationView {
    pub(super) fn new(service: &Service, registry: &Registry) -> Option<Self> {
        let deprecation = &service.deprecation.as_ref()?.announced;
        let version = &service.version(deprecation.version).name;
        let mut counts = registry.caller_counts();
        counts.retain(|count| count.service == service.name && count.version == *version && count.requests > 0);
        counts.sort_by(|a, b| b.requests.cmp(&a.requests).then_with(|| a.caller.cmp(&b.caller)));
        let requests = counts.iter().map(|count| count.requests).sum();
        let callers = counts.into_iter().take(SHOWN);
        Some(Self {
            version: version.to_string(),
            at: Rfc3339(deprecation.at).to_string(),
            sunset: deprecation.sunset.map(|sunset| Rfc3339(sunset).to_string()),
            link: deprecation.link.clone(),
            requests,
            callers: callers
                .map(|count| CallerView { client: count.caller.to_string(), requests: count.requests })
                .collect(),
        })
    }
}
