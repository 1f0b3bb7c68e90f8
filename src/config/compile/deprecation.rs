//! Announced ends of versions: a version that exists, days in their order, a link that is one.

use super::services::{all, key_source};
use super::weights::{version_id, version_names};
use crate::config::node::quote;
use crate::config::problem::Problems;
use crate::config::read::At;
use crate::config::values::{Switch, Text};
use crate::config::written::{self, Service};
use crate::plan::{Announcement, Deprecation};

/// Callers that are counted by their names where nothing is said.
const MAX_CALLERS: u32 = 100;

/// The announced end of a version. `None` after noting why it is none.
pub(super) fn deprecation(
    written: &written::Deprecation,
    service: &Service,
    problems: &mut Problems<'_>,
) -> Option<Deprecation> {
    let named = written.version.as_ref();
    let version = named.and_then(|name| version_id(name, &version_names(service)?, problems));
    let callers = written.callers.iter().flat_map(|list| list.iter());
    let callers = all(callers.map(|written| key_source(written, problems)));
    let link = match &written.link {
        Some(link) => Some(url(link, problems)?),
        None => None,
    };
    let at = written.at.as_ref()?.value.0;
    if let Some(sunset) = &written.sunset
        && sunset.value.0 < at
    {
        problems
            .error(&sunset.spot, "`sunset` is before `at`")
            .expected("the same day, or a later one (RFC 9745, section 4)");
        return None;
    }
    Some(Deprecation::new(Announcement {
        version: version?,
        at,
        sunset: written.sunset.as_ref().map(|day| day.value.0),
        link,
        callers: callers?,
        hashed: written.hashed.as_ref().is_some_and(|switch| matches!(switch.value, Switch(true))),
        max_callers: written.max_callers.as_ref().map_or(MAX_CALLERS, |count| count.0) as usize,
    }))
}

fn url(link: &At<Text>, problems: &mut Problems<'_>) -> Option<String> {
    let text = &link.value.0;
    let scheme = text.parse::<http::Uri>().ok().and_then(|uri| uri.scheme_str().map(str::to_owned));
    // It stands between angle brackets in a header.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte));
    if !is_plain || !matches!(scheme.as_deref(), Some("http" | "https")) {
        problems
            .error(&link.spot, "not a link")
            .found(quote(text))
            .expected("an http or https URL, such as https://shop.example/moving-to-v2");
        return None;
    }
    Some(text.clone())
}
