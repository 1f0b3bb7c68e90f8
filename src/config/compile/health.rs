//! How addresses are watched: what is asked of them, and when they are ejected.

use std::sync::Arc;
use std::time::Duration;

use http::uri::{Authority, PathAndQuery};

use crate::plan;

use super::settings::period;
use crate::config::problem::{Problems, Spot};
use crate::config::read::At;
use crate::config::values::{ProbeType, Text};
use crate::config::written::{Health, Outliers, SuccessRate};

const INTERVAL: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(1);
const HEALTHY_AFTER: u32 = 2;
const UNHEALTHY_AFTER: u32 = 3;

/// `None` after noting why.
pub(super) fn health_check(written: &Health, problems: &mut Problems<'_>) -> Option<Arc<plan::HealthCheck>> {
    // Without a readable type nothing can be said of what belongs to it.
    let kind = written.kind.as_ref()?;
    let only_with = |types: &[ProbeType], key: Option<&Spot>, problems: &mut Problems<'_>| {
        if let Some(spot) = key.filter(|_| !types.contains(&kind.value)) {
            let words: Vec<_> = types.iter().map(|known| known.word()).collect();
            problems
                .error(spot, format!("does not belong to type {}", kind.word()))
                .expected(format!("this key only with type {}", words.join(" or ")));
        }
    };
    let expected = written.expect.as_ref().and_then(|list| list.first());
    only_with(&[ProbeType::Http], written.path.as_ref().map(|path| &path.spot), problems);
    only_with(&[ProbeType::Http], expected.map(|status| &status.spot), problems);
    only_with(&[ProbeType::Http, ProbeType::Grpc], written.host.as_ref().map(|host| &host.spot), problems);
    only_with(&[ProbeType::Grpc], written.service.as_ref().map(|service| &service.spot), problems);
    let host = written.host.as_ref().map_or(Some(None), |written| host(written, problems).map(Some));
    let path = written.path.as_ref().map_or_else(|| Some("/".into()), |written| path(written, problems));
    let (host, path) = (host?, path?);
    let probe = match kind.value {
        ProbeType::Http => plan::Probe::Http {
            path,
            host,
            expect: written
                .expect
                .as_ref()
                .map_or_else(|| vec![200], |list| list.iter().map(|status| status.0 as u16).collect()),
        },
        ProbeType::Grpc => {
            plan::Probe::Grpc { host, service: written.service.as_ref().map_or("", |service| &service.0).into() }
        }
        ProbeType::Tcp => plan::Probe::Tcp,
    };
    Some(Arc::new(plan::HealthCheck {
        probe,
        interval: period(written.interval.as_ref(), INTERVAL),
        timeout: period(written.timeout.as_ref(), TIMEOUT),
        healthy_after: written.healthy_after.as_ref().map_or(HEALTHY_AFTER, |count| count.0),
        unhealthy_after: written.unhealthy_after.as_ref().map_or(UNHEALTHY_AFTER, |count| count.0),
    }))
}

/// `None` after noting why.
pub(super) fn outliers(written: &Outliers, problems: &mut Problems<'_>) -> Option<plan::Outliers> {
    let default = plan::Outliers::default();
    let base_ejection = period(written.base_ejection.as_ref(), default.base_ejection);
    if let Some(longest) = written.max_ejection.as_ref().filter(|longest| longest.0 < base_ejection) {
        problems
            .error(&longest.spot, "the longest ejection is shorter than the first")
            .expected("at least as long as `baseEjection` (default: 30s)");
        return None;
    }
    let percent = written.max_ejected_percent.as_ref();
    Some(plan::Outliers {
        consecutive_failures: written
            .consecutive_failures
            .as_ref()
            .map_or(default.consecutive_failures, |count| count.0),
        success_rate: written.success_rate.as_ref().map(success_rate),
        interval: period(written.interval.as_ref(), default.interval),
        base_ejection,
        max_ejection: period(written.max_ejection.as_ref(), default.max_ejection.max(base_ejection)),
        max_ejected_percent: percent.map_or(default.max_ejected_percent, |count| count.0),
    })
}

fn success_rate(written: &SuccessRate) -> plan::SuccessRate {
    let default = plan::SuccessRate::default();
    plan::SuccessRate {
        min_requests: written.min_requests.as_ref().map_or(default.min_requests, |count| u64::from(count.0)),
        stdev_factor: written.stdev_factor.as_ref().map_or(default.stdev_factor, |factor| factor.0),
    }
}

fn path(written: &At<Text>, problems: &mut Problems<'_>) -> Option<Arc<str>> {
    let is_path = written.0.starts_with('/') && PathAndQuery::try_from(&*written.0).is_ok_and(|p| p == *written.0);
    if !is_path {
        problems.error(&written.spot, "not a path").expected("a path that begins with `/`, such as /healthz");
    }
    is_path.then(|| (&*written.0).into())
}

fn host(written: &At<Text>, problems: &mut Problems<'_>) -> Option<Arc<str>> {
    let is_host = Authority::try_from(&*written.0).is_ok_and(|host| !host.as_str().contains('@'));
    if !is_host {
        problems.error(&written.spot, "not a host").expected("a host name, with a port or without");
    }
    is_host.then(|| (&*written.0).into())
}
