//! Whether recording changes, each on the disk before it takes effect, is felt by the traffic beside it.
//!
//!     cargo bench --bench ledger
//!
//! One upstream in this process, serin with two workers and a `stateDir` on this disk, requests at a fixed rate on 16
//! connections, each timed from the moment it was due. Windows without changes and windows with a hundred of them follow each
//! other, until a thousand are made.

mod support;

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use support::rated::{self, upstream};
use support::{quantile, serin::Serin};

const CHANGES: usize = 1000;
const WINDOWS: usize = 10;
const QUIET: Duration = Duration::from_secs(3);
const CONNECTIONS: u32 = 16;
const RATE: u32 = 2000;

fn main() {
    let mut serin = start(upstream(0));
    load(serin.web, &Arc::default(), Some(QUIET));
    let (mut without, mut with) = (Vec::new(), Vec::new());
    let mut changes = Vec::new();
    for window in 0..WINDOWS {
        without.extend(load(serin.web, &Arc::default(), Some(QUIET)));
        let over = Arc::<AtomicBool>::default();
        let (stop, web) = (Arc::clone(&over), serin.web);
        let loading = spawn(move || load(web, &stop, None));
        for change in 0..CHANGES / WINDOWS {
            let began = Instant::now();
            put(&serin, (window * 7 + change) % 100);
            changes.push(began.elapsed());
            // So that a window with changes is about as long as one without.
            sleep((QUIET / (CHANGES / WINDOWS) as u32).saturating_sub(began.elapsed()));
        }
        over.store(true, Relaxed);
        with.extend(loading.join().expect("the load ends well"));
    }
    println!("{:>16} {:>9} {:>9} {:>9} {:>9}", "", "count", "p50 ms", "p99 ms", "p99.9 ms");
    for (name, times) in
        [("without changes", &mut without), ("with changes", &mut with), ("a change itself", &mut changes)]
    {
        times.sort_unstable();
        let at = |order: f64| quantile(times, order);
        println!("{name:>16} {:>9} {:>9.3} {:>9.3} {:>9.3}", times.len(), at(0.5), at(0.99), at(0.999));
    }
    serin.kill();
    let verify = Command::new(env!("CARGO_BIN_EXE_serin"))
        .args(["ledger", "verify", "--state-dir"])
        .arg(serin.folder().join("state"))
        .output();
    let said = verify.map(|verify| String::from_utf8_lossy(&verify.stdout).into_owned());
    println!("{} changes; {}", changes.len(), said.unwrap_or_default().trim());
}

/// Requests at the fixed rate, for so long or until told; how long each took from when it was due.
fn load(address: SocketAddr, over: &Arc<AtomicBool>, length: Option<Duration>) -> Vec<Duration> {
    let over = Arc::clone(over);
    let goes_on = move |due| !over.load(Relaxed) && length.is_none_or(|length| due <= length);
    let request = |number: u32| format!("GET / HTTP/1.1\r\nhost: shop\r\nx-user-id: {number}\r\n\r\n").into_bytes();
    rated::load(address, (CONNECTIONS, RATE), goes_on, request)
}

fn start(upstream: SocketAddr) -> Serin {
    Serin::on_disk(&format!(
        "listeners: [ {{ name: web, address: 127.0.0.1:0 }} ]\nadmin: {{ address: 127.0.0.1:0, open: true }}\nworkers: 2\n\
         stateDir: state\nservices:\n  shop:\n    sticky: [ {{ header: x-user-id }} ]\n    versions: {{ old: {{ \
         upstream: \"http://{upstream}\" }}, new: {{ upstream: \"http://{upstream}\" }} }}\n\
         routes: [ {{ service: shop }} ]\n"
    ))
}

fn put(serin: &Serin, new: usize) {
    let body = format!(r#"{{"weights":{{"old":{},"new":{new}}},"reason":"a bench"}}"#, 100 - new);
    let answer = serin.ask("PUT", "/api/v1/services/shop/weights", &body);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
