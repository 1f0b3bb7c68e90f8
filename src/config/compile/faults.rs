//! Faults for drills: versions that exist, effects that go together, and when each of them ends.

use std::num::NonZeroU64;
use std::time::Duration;

use http::{HeaderValue, StatusCode};

use super::services::all;
use crate::config::node::quote;
use crate::config::problem::Problems;
use crate::config::read::At;
use crate::config::settings::Ending;
use crate::config::values::Period;
use crate::config::written::{Fault, FaultAbort, FaultDelay, Header, Service};
use crate::plan::{self, Abort, Delay, Share, Strike, VersionId};

/// The longest delay, and the longest mean of one.
const LONGEST: Duration = Duration::from_mins(5);
/// Requests under one fault at one time, where nothing else is said.
const MAX_CONCURRENT: u32 = 100;
const EFFECTS: [&str; 4] = ["delay", "abort", "reset", "slowBody"];

/// The faults of a service whose versions have these names. `None` after noting why one of them is none.
pub(super) fn faults(
    service: &Service,
    versions: Option<&[&str]>,
    problems: &mut Problems<'_>,
) -> Option<Vec<plan::Fault>> {
    let written = || service.faults.iter().flat_map(|list| list.iter());
    for (index, name) in written().enumerate().filter_map(|(index, fault)| Some((index, fault.name.as_ref()?))) {
        let mut before = written().take(index).filter_map(|fault| fault.name.as_ref());
        if before.any(|other| other.value == name.value) {
            let message = format!("`{}` is the name of another fault of this service", &*name.0);
            problems.error(&name.spot, message).expected("a name of its own for each fault");
            return None;
        }
    }
    all(written().map(|written| fault(written, versions, problems)))
}

/// When each fault of a service ends, with what is to be said of one that has ended or ends too late.
pub(super) fn endings<'a>(service: &'a Service, problems: &'a Problems<'_>) -> impl Iterator<Item = Ending> {
    service.faults.iter().flat_map(|list| list.iter()).filter_map(|fault| fault.until.as_ref()).map(|until| {
        let mut too_late = problems.aside(&until.spot, "more than 24 hours ahead");
        too_late.expected("a time within 24 hours: a drill that nobody remembers is an outage");
        let over = problems.aside(&until.spot, "this time has passed: the fault does nothing");
        Ending { at: until.value.0, over, too_late }
    })
}

fn fault(written: &Fault, versions: Option<&[&str]>, problems: &mut Problems<'_>) -> Option<plan::Fault> {
    let version = written.version.as_ref().and_then(|name| version(name, versions, problems));
    let delay = written.delay.as_ref().map(|written| delay(written, problems));
    let strike = strike(written, problems);
    if written.share.is_none() && written.header.is_none() && !problems.noted(&written.spot, &["share", "header"]) {
        problems
            .error(&written.spot, "it does not say which requests are hurt")
            .expected("`share`, `header`, or both")
            .help("`share: 100%` is all of them");
        return None;
    }
    if written.delay.is_none()
        && strike.as_ref().is_some_and(Option::is_none)
        && !problems.noted(&written.spot, &EFFECTS)
    {
        problems
            .error(&written.spot, "it does not say what happens to a request")
            .expected(format!("one of: {}", EFFECTS.join(", ")));
        return None;
    }
    let name = written.name.as_ref()?;
    Some(plan::Fault {
        name: name.0.clone(),
        // Invariant: a `Name` holds nothing but letters, digits, `-`, `_` and `.`.
        header: HeaderValue::from_str(&name.0).expect("names are plain ASCII"),
        version: version?,
        share: written.share.as_ref().map_or(Share::ALL, |share| share.value.0),
        only: match &written.header {
            Some(Header { name, value, .. }) => Some((name.as_ref()?.0.clone(), value.as_ref()?.0.clone())),
            None => None,
        },
        delay: match delay {
            Some(delay) => Some(delay?),
            None => None,
        },
        strike: strike?,
        max_concurrent: written.max_concurrent.as_ref().map_or(MAX_CONCURRENT, |count| count.0),
        until: written.until.as_ref()?.value.0,
    })
}

fn version(
    name: &At<crate::config::values::Name>,
    versions: Option<&[&str]>,
    problems: &mut Problems<'_>,
) -> Option<VersionId> {
    let versions = versions?;
    let found = versions.iter().position(|version| **version == *name.0);
    if found.is_none() {
        problems
            .error(&name.spot, "the service has no such version")
            .found(quote(&name.0))
            .expected(format!("one of: {}", versions.join(", ")))
            .suggest(&name.0, versions.iter().copied());
    }
    found.map(VersionId::from_index)
}

fn delay(written: &FaultDelay, problems: &mut Problems<'_>) -> Option<Delay> {
    let FaultDelay { fixed, uniform, exponential, spot } = written;
    match (fixed, uniform, exponential) {
        (Some(fixed), None, None) => Some(Delay::Fixed(bounded(fixed, problems)?)),
        (None, Some(uniform), None) => {
            // One that could not be read is noted already.
            let [from, to] = &**uniform else { return None };
            if from.value.0 > to.value.0 {
                problems.error(&from.spot, "longer than the second").expected("the shorter of the two first");
                return None;
            }
            Some(Delay::Uniform(from.value.0, bounded(to, problems)?))
        }
        (None, None, Some(mean)) => Some(Delay::Exponential(bounded(mean, problems)?)),
        (None, None, None) if problems.noted(spot, &["fixed", "uniform", "exponential"]) => None,
        _ => {
            problems.error(spot, "not one delay").expected("exactly one of: fixed, uniform, exponential");
            None
        }
    }
}

fn bounded(period: &At<Period>, problems: &mut Problems<'_>) -> Option<Duration> {
    let is_short = period.value.0 <= LONGEST;
    if !is_short {
        problems.error(&period.spot, "too long").expected("a delay of at most 5m");
    }
    is_short.then_some(period.value.0)
}

/// What happens after the delay; the outer `None` after noting why that cannot be.
#[expect(clippy::option_option, reason = "noted as wrong, nothing, or what happens")]
fn strike(written: &Fault, problems: &mut Problems<'_>) -> Option<Option<Strike>> {
    match (&written.abort, &written.reset, &written.slow_body) {
        (None, None, None) => Some(None),
        (Some(written), None, None) => Some(Some(Strike::Abort(abort(written, problems)?))),
        (None, Some(_), None) => Some(Some(Strike::Reset)),
        (None, None, Some(slow)) => {
            let rate = NonZeroU64::new(slow.bytes_per_second.as_ref()?.0)?;
            Some(Some(Strike::SlowBody(rate)))
        }
        _ => {
            problems
                .error(&written.spot, "these effects do not go together")
                .expected("at most one of: abort, reset, slowBody, each with a delay or without");
            None
        }
    }
}

fn abort(written: &FaultAbort, problems: &mut Problems<'_>) -> Option<Abort> {
    let FaultAbort { status, grpc_status, spot } = written;
    match (status, grpc_status) {
        (Some(status), None) => StatusCode::from_u16(status.0 as u16).ok().map(Abort::Http),
        (None, Some(code)) => Some(Abort::Grpc(code.0 as u8)),
        (None, None) if problems.noted(spot, &["status", "grpcStatus"]) => None,
        _ => {
            problems.error(spot, "not one error").expected("exactly one of: status, grpcStatus");
            None
        }
    }
}
