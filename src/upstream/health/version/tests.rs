use std::sync::Barrier;
use std::sync::atomic::AtomicU8;

use super::*;
use crate::config::{Source, load};
use crate::plan::Plan;
use crate::telemetry::Failure;
use crate::upstream::Health;

const WORKERS: usize = 4;

/// A plan of the service `shop` with one version `v` at `upstreams`; `service`: further lines of the service.
fn plan(upstreams: &str, service: &str) -> Plan {
    let text = format!(
        "listeners: [{{ address: 127.0.0.1:0 }}]\nservices:\n  shop:\n    versions: {{ v: {{ upstreams: {upstreams} }} }}\n\
         {service}routes: [{{ service: shop }}]\n"
    );
    load(Source { name: "serin.yaml", text: &text }, None).expect("a configuration").plan
}

fn watched(plan: &Plan, resolver: &Resolver) -> (Health, Arc<VersionHealth>) {
    let health = Health::new(WORKERS, plan, resolver);
    let version = health.known("shop", "v").expect("the version");
    (health, version)
}

/// The addresses in use, by the last part of theirs.
fn used(version: &Arc<VersionHealth>) -> Vec<String> {
    let last =
        |witness: &Witness| witness.target().to_string().rsplit(['.', ':']).nth(1).unwrap_or_default().to_owned();
    version.witnesses(0).iter().filter(|witness| witness.is_used()).map(last).collect()
}

const FOUR: &str = "[ http://10.0.0.1, http://10.0.0.2, http://10.0.0.3, http://10.0.0.4 ]";

#[test]
fn the_last_failure_in_a_row_ejects_whichever_worker_sees_it() {
    let resolver = Resolver::default();
    let (_health, version) = watched(&plan(FOUR, ""), &resolver);
    let witnesses: Vec<_> = (0..WORKERS).map(|worker| version.witnesses(worker)).collect();
    let report = |worker: usize, failure| witnesses[worker][1].failed(failure);
    for worker in 0..4 {
        report(worker, Failure::Connect);
    }
    witnesses[3][1].answered(true);
    for failure in [Failure::Reset, Failure::Timeout, Failure::Truncated, Failure::Protocol] {
        report(0, failure);
    }
    // Not its doing.
    for failure in [Failure::ClientGone, Failure::BodyTooLarge, Failure::NoAddress, Failure::Internal] {
        report(1, failure);
    }
    assert_eq!(used(&version), ["1", "2", "3", "4"]);
    report(2, Failure::ConnectTimeout);
    assert_eq!(used(&version), ["1", "3", "4"]);
    assert!(witnesses.iter().all(|of_worker| !of_worker[1].is_used()), "every worker sees it");
    let ejected = &version.addresses()[1];
    assert!(ejected.ejected_for.is_some_and(|left| left <= Duration::from_secs(30)) && ejected.unhealthy.is_none());
}

#[test]
fn however_many_workers_report_at_once_the_cap_holds() {
    let resolver = Resolver::default();
    let (_health, version) = watched(&plan(FOUR, "    outliers: { consecutiveFailures: 1 }\n"), &resolver);
    let start = Barrier::new(WORKERS);
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (start, version) = (&start, &version);
            scope.spawn(move || {
                let witnesses = version.witnesses(worker);
                start.wait();
                for round in 0..1000 {
                    witnesses[(worker + round) % 4].failed(Failure::Reset);
                    assert!(witnesses.iter().filter(|witness| !witness.is_used()).count() <= 2);
                }
            });
        }
    });
    assert_eq!(used(&version).len(), 2);
    // What found the lock taken is looked after by the control plane.
    version.tick(Instant::now());
    assert_eq!(used(&version).len(), 2);
}

#[test]
fn what_is_known_outlives_a_reload_unless_the_version_answers_elsewhere() {
    let resolver = Resolver::default();
    let (health, version) = watched(&plan(FOUR, ""), &resolver);
    for _ in 0..5 {
        version.witnesses(0)[0].failed(Failure::Connect);
    }
    health.follow(&plan(FOUR, "    outliers: { consecutiveFailures: 1 }\n"), &resolver);
    let after = health.known("shop", "v").expect("the version");
    assert!(Arc::ptr_eq(&version, &after));
    after.witnesses(0)[1].failed(Failure::Connect);
    assert_eq!(used(&after), ["3", "4"], "by the new rules");
    health.follow(&plan("[ http://10.0.0.1, http://10.0.0.2 ]", ""), &resolver);
    let elsewhere = health.known("shop", "v").expect("the version");
    assert!(!Arc::ptr_eq(&version, &elsewhere));
    assert_eq!(used(&elsewhere), ["1", "2"]);
}

#[test]
fn a_version_is_down_when_its_checks_say_so_and_the_service_knows() {
    let resolver = Resolver::default();
    let checks = "    health: { type: tcp, healthyAfter: 1, unhealthyAfter: 1 }\n";
    let plan_with_checks = plan("[ http://10.0.0.1, http://10.0.0.2 ]", checks);
    let (health, version) = watched(&plan_with_checks, &resolver);
    let service = health.service("shop");
    let (_, addresses) = version.checks().expect("checks");
    version.checked(&addresses[0], Err("no".into()));
    assert!(version.is_up() && service.all_up());
    version.checked(&addresses[1], Err("no".into()));
    assert!(!version.is_up() && !service.all_up());
    assert_eq!(version.addresses()[1].unhealthy.as_deref(), Some("no"));
    version.checked(&addresses[1], Ok(()));
    assert!(version.is_up() && service.all_up());
    // A version that goes while it is down leaves nothing behind.
    version.checked(&addresses[1], Err("no".into()));
    drop((version, addresses));
    health.follow(&plan("[ http://10.0.0.9 ]", ""), &resolver);
    assert!(service.all_up());
}

#[tokio::test]
async fn addresses_follow_their_name_and_what_is_known_of_those_that_stay_stays() {
    let (round, outages) = (Arc::new(AtomicU8::new(0)), Arc::new(AtomicU32::new(0)));
    let (now, count) = (Arc::clone(&round), Arc::clone(&outages));
    let resolver = Resolver::asking(move |_, _| {
        let last: &[u8] = [&[1, 2, 3][..], &[2, 3, 4, 5], &[]][usize::from(now.load(Relaxed))];
        count.fetch_add(u32::from(last.is_empty()), Relaxed);
        let found: Vec<_> = last.iter().map(|last| SocketAddr::from(([10, 0, 0, *last], 80))).collect();
        Box::pin(async move { if found.is_empty() { Err(std::io::ErrorKind::NotFound.into()) } else { Ok(found) } })
    });
    let (_health, version) = watched(&plan("[ http://shop.internal ]", ""), &resolver);
    assert!(version.is_up(), "nothing is known against it yet");
    let running = resolver.run(|| Duration::from_millis(1));
    let following = async {
        resolver.changed().await;
        assert_eq!(used(&version), ["1", "2", "3"]);
        for _ in 0..5 {
            version.witnesses(1)[1].failed(Failure::Reset);
        }
        assert_eq!(used(&version), ["1", "3"]);
        round.store(1, Relaxed);
        resolver.changed().await;
        assert_eq!(used(&version), ["3", "4", "5"]);
        round.store(2, Relaxed);
        while outages.load(Relaxed) < 3 {
            tokio::task::yield_now().await;
        }
        assert_eq!(used(&version), ["3", "4", "5"]);
        assert!(version.is_up());
    };
    tokio::select! {
        () = running => {}
        () = following => {}
    }
}
