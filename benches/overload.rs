//! What becomes of a service that is asked for more than it can do, with `overload: {}` and without.
//!
//!     cargo bench --bench overload
//!
//! An upstream with 10 slots of 100 ms each, so 100 requests a second; clients that come at random, each whether or not
//! the others were answered, and leave after a second; serin with two workers between them. For each load afresh: so
//! many seconds to settle, then ten that are measured. Goodput is what was answered 200 to a client that still waited.

#[allow(dead_code, unreachable_pub, reason = "the tests use more of it")]
#[path = "../tests/support/slots.rs"]
mod slots;
mod support;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use slots::Slots;
use support::serin::Serin;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SLOTS: usize = 10;
const TIME: Duration = Duration::from_millis(100);
const CAPACITY: f64 = 100.0;
const PATIENCE: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(10);

fn main() {
    println!("{:>10} {:>8} {:>9} {:>8} {:>8} {:>8}", "overload", "offered", "goodput", "503", "p50 ms", "p99 ms");
    // Without bounds every request leaves a thread waiting in the upstream, so that is not kept up for long.
    for (name, overload, settle) in [("with", "overload: {}", 20), ("without", "", 5)] {
        for load in [0.5, 1.0, 2.0, 5.0] {
            let upstream = Slots::timed(SLOTS, TIME);
            let serin = start(&upstream, overload);
            let tally = offer(serin.web, load * CAPACITY, Duration::from_secs(settle));
            println!("{name:>10} {:>8.0} {tally}", load * CAPACITY);
        }
    }
}

fn start(upstream: &Slots, overload: &str) -> Serin {
    Serin::start(&format!(
        "listeners: [ {{ name: web, address: 127.0.0.1:0 }} ]\nworkers: 2\n\
         services:\n  shop:\n    versions: {{ only: {{ upstream: \"{}\" }} }}\n    {overload}\n\
         routes: [ {{ service: shop }} ]\n",
        upstream.url()
    ))
}

/// What clients saw.
#[derive(Default)]
struct Tally {
    good: RefCell<Vec<Duration>>,
    refused: Cell<u32>,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut good = self.good.borrow().clone();
        good.sort_unstable();
        let quantile = |order: f64| {
            let last = good.len().checked_sub(1)?;
            Some(good[(last as f64 * order) as usize].as_secs_f64() * 1e3)
        };
        let shown = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.0}"));
        let rate = |count: f64| count / MEASURED.as_secs_f64();
        let (goodput, refused) = (rate(good.len() as f64), rate(f64::from(self.refused.get())));
        write!(f, "{goodput:>9.1} {refused:>8.1} {:>8} {:>8}", shown(quantile(0.5)), shown(quantile(0.99)))
    }
}

/// Asks `rate` times a second; what is asked after `settle` counts.
fn offer(address: SocketAddr, rate: f64, settle: Duration) -> Tally {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let tally = Rc::<Tally>::default();
    let idle = Rc::new(RefCell::new(Vec::new()));
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut rng = fastrand::Rng::with_seed(1);
        let start = Instant::now();
        let mut next = start;
        while next < start + settle + MEASURED {
            tokio::time::sleep_until(next.into()).await;
            let counts = (next >= start + settle).then(|| Rc::clone(&tally));
            tokio::task::spawn_local(ask(address, Rc::clone(&idle), counts, next));
            next += Duration::from_secs_f64(-(1.0 - rng.f64()).ln() / rate);
        }
        tokio::time::sleep(PATIENCE).await;
    });
    // What still waits is gone with the runtime.
    drop(idle);
    Rc::try_unwrap(tally).unwrap_or_default()
}

async fn ask(address: SocketAddr, idle: Rc<RefCell<Vec<TcpStream>>>, counts: Option<Rc<Tally>>, due: Instant) {
    let answered = tokio::time::timeout_at((due + PATIENCE).into(), async {
        let kept = idle.borrow_mut().pop();
        let mut stream = match kept {
            Some(kept) => kept,
            None => TcpStream::connect(address).await?,
        };
        stream.write_all(b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n").await?;
        // An answer is a few hundred bytes, written at once.
        let mut answer = [0; 4096];
        let length = stream.read(&mut answer).await?;
        if length > 0 {
            idle.borrow_mut().push(stream);
        }
        Ok::<_, std::io::Error>(answer[..length].get(9..12).map(<[u8]>::to_vec))
    });
    let (Ok(Ok(Some(status))), Some(tally)) = (answered.await, counts) else { return };
    match status.as_slice() {
        b"200" => tally.good.borrow_mut().push(due.elapsed()),
        _ => tally.refused.set(tally.refused.get() + 1),
    }
}
