//! How long a new version that turns bad is met by anybody: from its first harm to the rollback, on real sockets.
//!
//!     cargo bench --bench rollout
//!
//! Two versions that take about 20 ms (log-normal, σ 0.5), clients that ask 2,000 times a second in all over 100
//! connections, whether or not the others were answered; serin with two workers between them and the gates' defaults.
//! Once the rollout has been at 5 % for three seconds, new turns bad: it fails 20 % of its requests, or its slowest tenth
//! takes three times as long, which makes p99 three times as long and leaves the median. Each of them five times.

mod support;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use support::serin::Serin;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const CONNECTIONS: u64 = 100;
const RATE: u64 = 2_000;
const RUNS: usize = 5;
const MEDIAN: Duration = Duration::from_millis(20);
/// Longest wait for a rollback.
const PATIENCE: Duration = Duration::from_mins(1);
const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const BAD: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno";

#[derive(Clone, Copy)]
enum Harm {
    Fails,
    Tail,
}

fn main() {
    println!(
        "{:<28} {:>4} {:>16} {:>12} {:>14} {:>14}",
        "new", "run", "to rollback s", "met by", "failures seen", "all requests"
    );
    for (name, harm) in [("fails 20 %", Harm::Fails), ("slowest tenth × 3 (p99 × 3)", Harm::Tail)] {
        for run in 1..=RUNS {
            let Outcome { until, met, failures, requests } = measure(harm);
            let until = until.map_or("never".to_owned(), |until| format!("{:.2}", until.as_secs_f64()));
            println!("{name:<28} {run:>4} {until:>16} {met:>12} {failures:>14} {requests:>14}");
        }
    }
}

struct Outcome {
    /// From the first harm to the rollback.
    until: Option<Duration>,
    /// Requests that new answered since it turned bad.
    met: u64,
    /// Failures that clients saw.
    failures: u64,
    requests: u64,
}

fn measure(harm: Harm) -> Outcome {
    let (old, new) = (Upstream::start(None), Upstream::start(Some(harm)));
    let serin = start(&old, &new);
    let load = Load::start(serin.web);
    std::thread::sleep(Duration::from_secs(2));
    let started = serin.ask("POST", "/api/v1/services/shop/rollout", r#"{"action":"start","actor":"bench"}"#);
    assert!(started.contains("\"baking\""), "{started}");
    std::thread::sleep(Duration::from_secs(3));
    let before = new.answered.load(SeqCst);
    new.bad.store(true, SeqCst);
    let give_up = Instant::now() + PATIENCE;
    let until = loop {
        let state = serin.ask("GET", "/api/v1/services/shop/rollout", "");
        if state.contains("\"validating\"") || state.contains("\"rolledBack\"") {
            let first = *new.first_harm.lock().expect("no one panics with it");
            break first.map(|first| first.elapsed());
        }
        if Instant::now() > give_up {
            break None;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    std::thread::sleep(Duration::from_millis(500));
    load.stop.store(true, SeqCst);
    Outcome {
        until,
        met: new.answered.load(SeqCst) - before,
        failures: load.failures.load(SeqCst),
        requests: load.requests.load(SeqCst),
    }
}

/// An upstream on a thread of its own, until the process ends.
struct Upstream {
    address: SocketAddr,
    bad: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    first_harm: Arc<Mutex<Option<Instant>>>,
}

impl Upstream {
    fn start(harm: Option<Harm>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("non-blocking");
        let address = listener.local_addr().expect("its address");
        let upstream = Self { address, bad: Arc::default(), answered: Arc::default(), first_harm: Arc::default() };
        let (bad, answered, first) =
            (Arc::clone(&upstream.bad), Arc::clone(&upstream.answered), Arc::clone(&upstream.first_harm));
        std::thread::spawn(move || {
            run(async move {
                let listener = TcpListener::from_std(listener).expect("a listener");
                while let Ok((stream, _)) = listener.accept().await {
                    let (bad, answered, first) = (Arc::clone(&bad), Arc::clone(&answered), Arc::clone(&first));
                    tokio::task::spawn_local(async move {
                        let mut stream = stream;
                        let _ = stream.set_nodelay(true);
                        let mut buffer = [0; 4096];
                        while let Ok(1..) = stream.read(&mut buffer).await {
                            let normal = normal();
                            let mut time = MEDIAN.mul_f64((0.5 * normal).exp());
                            let (mut answer, mut harmed) = (GOOD, false);
                            match harm.filter(|_| bad.load(SeqCst)) {
                                Some(Harm::Fails) if fastrand::u8(..5) == 0 => (answer, harmed) = (BAD, true),
                                // The standard normal's upper tenth.
                                Some(Harm::Tail) if normal > 1.2816 => (time, harmed) = (time * 3, true),
                                _ => {}
                            }
                            tokio::time::sleep(time).await;
                            if harmed {
                                first.lock().expect("no one panics with it").get_or_insert_with(Instant::now);
                            }
                            answered.fetch_add(1, SeqCst);
                            if stream.write_all(answer).await.is_err() {
                                return;
                            }
                        }
                    });
                }
            });
        });
        upstream
    }
}

/// A draw from the standard normal distribution (Box and Muller).
fn normal() -> f64 {
    let radius = (-2.0 * (1.0 - fastrand::f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * fastrand::f64()).cos()
}

fn run(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, future);
}

/// Clients on a thread of their own.
struct Load {
    stop: Arc<AtomicBool>,
    requests: Arc<AtomicU64>,
    failures: Arc<AtomicU64>,
}

impl Load {
    fn start(address: SocketAddr) -> Self {
        let load = Self { stop: Arc::default(), requests: Arc::default(), failures: Arc::default() };
        let (stop, requests, failures) =
            (Arc::clone(&load.stop), Arc::clone(&load.requests), Arc::clone(&load.failures));
        std::thread::spawn(move || {
            run(async move {
                let clients = (0..CONNECTIONS).map(|client| {
                    let (stop, requests, failures) = (Arc::clone(&stop), Arc::clone(&requests), Arc::clone(&failures));
                    tokio::task::spawn_local(async move {
                        let every = Duration::from_micros(1_000_000 * CONNECTIONS / RATE);
                        let mut stream = TcpStream::connect(address).await.expect("serin listens");
                        let _ = stream.set_nodelay(true);
                        let mut due = tokio::time::Instant::now() + every.mul_f64(client as f64 / CONNECTIONS as f64);
                        let mut buffer = [0; 4096];
                        while !stop.load(SeqCst) {
                            tokio::time::sleep_until(due).await;
                            due += every;
                            if stream.write_all(b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n").await.is_err() {
                                return;
                            }
                            let Ok(length @ 1..) = stream.read(&mut buffer).await else { return };
                            requests.fetch_add(1, SeqCst);
                            if !buffer[..length].starts_with(b"HTTP/1.1 200") {
                                failures.fetch_add(1, SeqCst);
                            }
                        }
                    })
                });
                for client in clients.collect::<Vec<_>>() {
                    let _ = client.await;
                }
            });
        });
        load
    }
}

fn start(old: &Upstream, new: &Upstream) -> Serin {
    Serin::start(&format!(
        "listeners: [ {{ name: web, address: 127.0.0.1:0 }} ]\nadmin: {{ address: 127.0.0.1:0, open: true }}\nworkers: 2\n\
         stateDir: state\nservices:\n  shop:\n    versions: {{ old: {{ upstream: \"http://{}\" }}, new: {{ upstream: \
         \"http://{}\" }} }}\n    outliers: {{ consecutiveFailures: 0 }}\n    rollout: {{ from: old, to: new, steps: [ {{ \
         weight: 5, bake: 1h }} ] }}\nroutes: [ {{ service: shop }} ]\n",
        old.address, new.address
    ))
}
