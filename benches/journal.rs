//! What a write pays for being journaled: `cargo bench --bench journal`, or in a debug build
//! `cargo bench --profile dev --bench journal`.
//!
//! Two services in one serin have the same two versions; one of them is under migration at dualWrite, so that its writes are on
//! the disk before they are sent. Both get PUTs at a fixed rate over keep-alive connections, each timed from the moment it was
//! due, in windows that follow each other. The state is on the disk that `target/` is on.

mod support;

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use support::rated::{self, upstream};
use support::{quantile, serin::Serin};

const WINDOWS: usize = 8;
const LENGTH: Duration = Duration::from_secs(3);
const CONNECTIONS: u32 = 32;
const KEYS: u32 = 1000;
const BODY: usize = 100;

fn main() {
    let rate = std::env::var("RATE").ok().and_then(|rate| rate.parse().ok()).unwrap_or(1000);
    let serin = start(upstream(BODY), upstream(BODY));
    for service in ["plain", "moving"] {
        load(serin.web, service, rate);
    }
    let (mut plain, mut moving) = (Vec::new(), Vec::new());
    for _ in 0..WINDOWS {
        plain.extend(load(serin.web, "plain", rate));
        moving.extend(load(serin.web, "moving", rate));
    }
    println!("{rate} writes a second");
    println!("{:>12} {:>9} {:>9} {:>9} {:>9}", "", "count", "p50 ms", "p99 ms", "p99.9 ms");
    for (name, times) in [("plain", &mut plain), ("journaled", &mut moving)] {
        times.sort_unstable();
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|order| quantile(times, order));
        println!("{name:>12} {:>9} {p50:>9.3} {p99:>9.3} {p999:>9.3}", times.len());
    }
    println!("added p50: {:.3} ms", quantile(&moving, 0.5) - quantile(&plain, 0.5));
    let mut metrics = serin.ask("GET", "/metrics", "");
    for _ in 0..200 {
        if metrics.lines().filter(|line| line.starts_with("serin_journal_entries{")).all(|line| line.ends_with(" 0")) {
            break;
        }
        sleep(Duration::from_millis(50));
        metrics = serin.ask("GET", "/metrics", "");
    }
    for line in metrics.lines().filter(|line| line.starts_with("serin_journal_")) {
        if !line.contains("_bucket") && !line.ends_with(" 0") {
            println!("{line}");
        }
    }
}

/// Writes at a fixed rate; how long each took from when it was due.
fn load(address: SocketAddr, service: &'static str, rate: u32) -> Vec<Duration> {
    let request = move |number: u32| {
        let key = number % KEYS;
        let head = format!("PUT /items/{key} HTTP/1.1\r\nhost: {service}\r\ncontent-length: {BODY}\r\n\r\n");
        [head.as_bytes(), &[b'x'; BODY]].concat()
    };
    rated::load(address, (CONNECTIONS, rate), |due| due <= LENGTH, request)
}

fn start(old: SocketAddr, new: SocketAddr) -> Serin {
    let versions =
        format!("versions: {{ old: {{ upstream: \"http://{old}\" }}, new: {{ upstream: \"http://{new}\" }} }}");
    Serin::on_disk(&format!(
        "listeners: [ {{ name: web, address: 127.0.0.1:0 }} ]\nadmin: {{ address: 127.0.0.1:0, open: true }}\nworkers: 2\n\
         stateDir: state\nservices:\n  plain:\n    {versions}\n  moving:\n    {versions}\n    migration: {{ stage: \
         dualWrite, from: old, to: new, key: [ {{ pathSegment: 2 }} ], idempotent: [ old, new ] }}\nroutes:\n  - {{ \
         hostnames: [ plain ], service: plain }}\n  - {{ hostnames: [ moving ], service: moving }}\n"
    ))
}
