//! A serin that is not there, for tests.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::state::{Minute, Point, Screen, Snapshot};
use crate::admin::{ServiceView, ServicesView};
use crate::ledger::Entry;

/// 2026-11-21, 12:34:56 UTC.
pub(super) const AT: u64 = 1_795_264_496_000;

/// A service `service-N` with versions of falling shares, the last of which fails now and then.
pub(super) fn service(number: usize, versions: usize) -> ServiceView {
    named(&format!("service-{number}"), versions, "version")
}

/// The same with other names.
pub(super) fn named(name: &str, versions: usize, version: &str) -> ServiceView {
    let share = 1.0 / versions as f64;
    let versions: Vec<Value> = (1..=versions)
        .map(|number| {
            let failures = if number == versions { 1.5 } else { 0.0 };
            let latency = json!({ "p50": 0.00123, "p90": 0.0045, "p99": 0.0678, "p99.9": 1.2 });
            json!({
                "name": format!("{version}-{number}"), "weight": 1, "share": share, "effectiveShare": share,
                "addresses": [{ "address": "127.0.0.1:9001", "state": "up" }], "inFlight": 3, "requests": 1000,
                "failures": 10, "requestsPerSecond": 120.0, "failuresPerSecond": failures, "latency": latency,
                "latencyTotal": latency,
            })
        })
        .collect();
    let view = json!({ "name": name, "windowSeconds": 10, "versions": versions });
    serde_json::from_value(view).expect("a service as the admin API shows it")
}

/// The same with a rollout and a verdict that say `words`.
pub(super) fn rolling(service: ServiceView, words: &str) -> ServiceView {
    let rollout = json!({
        "state": "baking", "run": 3, "planHash": "abc", "from": "old", "to": "new", "step": 2, "reason": words,
        "steps": [{ "weight": 5, "bakeSeconds": 60 }, { "weight": 25, "bakeSeconds": 60 }],
        "waitingFor": ["20s of its bake time"],
    });
    let verdict =
        json!({ "verdict": "healthy", "reason": words, "metrics": [], "from": "old", "to": "new", "windowSeconds": 9 });
    ServiceView {
        rollout: Some(serde_json::from_value(rollout).expect("a rollout")),
        verdict: Some(serde_json::from_value(verdict).expect("a verdict")),
        ..service
    }
}

/// An entry of the ledger, a change of weights for this reason.
pub(super) fn entry(number: u64, service: &str, reason: &str) -> Entry {
    let entry = json!({
        "number": number, "time": "2026-11-21T12:30:00.000Z", "kind": "weights", "source": "admin", "service": service,
        "from": { "old": 95, "new": 5 }, "to": { "old": 75, "new": 25 }, "actor": "ada", "reason": reason,
        "before": "0".repeat(64),
    });
    serde_json::from_value(entry).expect("an entry")
}

/// A minute in which every version had more and more requests.
pub(super) fn minute(service: &ServiceView) -> Minute {
    let points = (0..60_u64).map(|second| Point {
        at: AT - 59_000 + second * 1000,
        seconds: 1.0,
        requests: second as f64,
        failures: f64::from(u8::from(second == 30)),
        p99: (second % 2 == 0).then_some(second as f64 / 1e3),
    });
    let versions = service.versions.iter().map(|version| (version.name.clone(), points.clone().collect()));
    Minute { newest: AT, versions: versions.collect() }
}

/// All services shown to somebody with a keyboard.
pub(super) fn of(services: Vec<ServiceView>, changes: Vec<Entry>) -> Screen {
    let minutes: BTreeMap<_, _> = services.iter().map(|service| (service.name.clone(), minute(service))).collect();
    let snapshot = Snapshot { at: AT, state: ServicesView { generation: 7, services }, minutes, changes };
    let admin = "http://127.0.0.1:9901".to_owned();
    Screen { admin, snapshot, lost: None, frozen: false, focus: None, keys: true }
}

/// So many services with so many versions each, under rollouts, and some changes.
pub(super) fn screen(services: usize, versions: usize) -> Screen {
    let said = "p99 of new is between 0.94 and 1.17 times old's, which is less than 1.2 times and 10 ms";
    let all = (1..=services).map(|number| rolling(service(number, versions), said)).collect();
    of(all, (0..20).map(|number| entry(30 - number, "service-1", "more, as it looks good")).collect())
}
