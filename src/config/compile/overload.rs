//! What a service does when it is asked for too much: bounds that agree with each other.

use http::HeaderName;

use crate::plan;

use crate::config::problem::Problems;
use crate::config::read::At;
use crate::config::values::{Count, Priority};
use crate::config::written::{MAX_CONCURRENCY, Overload, PriorityHeader};

type Concurrency = Count<1, MAX_CONCURRENCY>;

/// The bounds of a service; what is not written has its default, or the nearest to it that what is written allows.
pub(super) fn overload(written: &Overload, problems: &mut Problems<'_>) -> plan::Overload {
    let default = plan::Overload::default();
    let Overload { initial, min, max, .. } = written;
    ordered(("min", min), ("max", max), problems);
    ordered(("initial", initial), ("max", max), problems);
    ordered(("min", min), ("initial", initial), problems);
    let value = |count: &Option<At<Concurrency>>| count.as_ref().map(|count| count.0);
    let (initial, min, max) = (value(initial), value(min), value(max));
    let upper = max.unwrap_or(default.max.max(min.unwrap_or(0)).max(initial.unwrap_or(0)));
    let lower = min.unwrap_or(default.min.min(upper).min(initial.unwrap_or(u32::MAX)));
    plan::Overload {
        initial: initial.unwrap_or(default.initial).min(upper).max(lower.min(upper)),
        min: lower,
        max: upper,
        queue: written.queue.as_ref().map_or(default.queue, |count| count.0),
        queue_timeout: written.queue_timeout.as_ref().map_or(default.queue_timeout, |period| period.0),
        tolerance: written.tolerance.as_ref().map_or(default.tolerance, |tolerance| tolerance.0),
        priority_header: written.priority_header.as_ref().map(priority_header),
    }
}

/// Notes that `low` is written above `high`.
fn ordered(
    (low_key, low): (&str, &Option<At<Concurrency>>),
    (high_key, high): (&str, &Option<At<Concurrency>>),
    problems: &mut Problems<'_>,
) {
    if let (Some(low), Some(high)) = (low, high)
        && low.0 > high.0
    {
        problems
            .error(&low.spot, format!("`{low_key}` is more than `{high_key}`"))
            .found(low.0.to_string())
            .expected(format!("at most `{high_key}`, which is {}", high.0));
    }
}

fn priority_header(written: &PriorityHeader) -> plan::PriorityHeader {
    let name = written.name.as_ref().map_or(HeaderName::from_static("x-priority"), |name| name.0.clone());
    let from = written.from.iter().flat_map(|list| list.iter()).map(|range| range.value.0).collect();
    plan::PriorityHeader { name, from }
}

/// How much a route's requests matter.
pub(super) fn priority(written: Option<&At<Priority>>) -> plan::Priority {
    match written.map(|priority| priority.value) {
        Some(Priority::High) => plan::Priority::High,
        None | Some(Priority::Normal) => plan::Priority::Normal,
        Some(Priority::Low) => plan::Priority::Low,
    }
}
