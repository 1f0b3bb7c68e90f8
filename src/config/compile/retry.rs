//! Retries, their budget, and the version that answers for the others.

use std::time::Duration;

use crate::plan::{DEFAULT_BODY_BYTES, Fallback, FallbackOn, Retry, RetryBudget};

use super::weights::{version_id, version_names};
use crate::config::problem::Problems;
use crate::config::read::At;
use crate::config::values::{FallbackCause, Size};
use crate::config::written;

/// Tries after the first where nothing is said.
const ATTEMPTS: u32 = 1;
/// Shortest wait before the next try where nothing is said.
const BACKOFF: Duration = Duration::from_millis(25);
/// A version's share of failures that another one answers for, in hundredths of a percent, where nothing is said.
const FALLBACK_BUDGET: u32 = 2_000;

/// What is not written has its default.
pub(super) fn budget(written: Option<&written::RetryBudget>) -> RetryBudget {
    let default = RetryBudget::default();
    let Some(written) = written else { return default };
    RetryBudget {
        percent: written.percent.as_ref().map_or(default.percent, |count| count.0),
        min_per_second: written.min_per_second.as_ref().map_or(default.min_per_second, |count| count.0),
    }
}

pub(super) fn retry(written: &written::Retry) -> Retry {
    Retry {
        codes: written.codes.iter().flat_map(|codes| codes.iter()).map(|code| code.0 as u16).collect(),
        attempts: written.attempts.as_ref().map_or(ATTEMPTS, |count| count.0),
        backoff: written.backoff.as_ref().map_or(BACKOFF, |period| period.0),
        body_bytes: body_bytes(written.body_bytes.as_ref()),
    }
}

/// Which version answers for the others of `service`. `None` after noting why it is none of them.
pub(super) fn fallback(
    written: &written::Fallback,
    service: &written::Service,
    problems: &mut Problems<'_>,
) -> Option<Fallback> {
    let to = written.to.as_ref()?;
    let names = version_names(service)?;
    let version = version_id(to, &names, problems)?;
    if names.len() == 1 {
        problems
            .error(&to.spot, "there is no other version that this one could answer for")
            .expected("a service of at least two versions");
        return None;
    }
    Some(Fallback {
        to: version,
        on: written.on.as_ref().map_or(FallbackOn::ALL, |listed| {
            let has = |cause: FallbackCause| listed.iter().any(|written| written.value == cause);
            FallbackOn {
                connect: has(FallbackCause::Connect),
                timeout: has(FallbackCause::Timeout),
                reset: has(FallbackCause::Reset),
                server_error: has(FallbackCause::ServerError),
                grpc_unavailable: has(FallbackCause::GrpcUnavailable),
            }
        }),
        budget: written.budget.as_ref().map_or(FALLBACK_BUDGET, |share| share.value.0.hundredths()),
        body_bytes: body_bytes(written.body_bytes.as_ref()),
    })
}

fn body_bytes<const MAX: u64>(written: Option<&At<Size<0, MAX>>>) -> usize {
    written.map_or(DEFAULT_BODY_BYTES, |size| size.0 as usize)
}
