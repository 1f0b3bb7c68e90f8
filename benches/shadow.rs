//! What copies of requests cost those who are answered: nothing they feel, whatever the dark version does.
//!
//!     cargo bench --bench shadow
//!
//! serin with one worker on one core; upstreams and clients on the other. Clients ask 2,000 times a second, each at its
//! time whether or not others were answered; a latency counts from when a request was due. Each case afresh, one after the
//! other, several rounds; medians of the rounds. `SERIN_BENCH_SECONDS`, `SERIN_BENCH_ROUNDS` and `SERIN_BENCH_RATE` for
//! others, `SERIN_BENCH_CASES="no shadow;10%, diff"` for some of the cases.
//!
//! Answers are 2 KB of JSON with a time of their own, so that each pair differs and is walked.

use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Requests a second.
const RATE: u64 = 2_000;
const PATIENCE: Duration = Duration::from_secs(2);
const PROXY_CORE: &str = "0";
const LOAD_CORE: &str = "1";

/// What the dark version does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dark {
    Answers,
    Hangs,
    TenMegabytes,
    Resets,
    IsDead,
}

/// Name, the dark version, and what the service says of copies.
const CASES: [(&str, Dark, &str); 8] = [
    ("no shadow", Dark::Answers, ""),
    ("10%", Dark::Answers, "shadow: { to: new, share: 10% }"),
    ("10%, diff", Dark::Answers, "shadow: { to: new, share: 10% }\n    diff: { noise: 10% }"),
    ("100%, diff", Dark::Answers, "shadow: { to: new }\n    diff: { noise: 10% }"),
    ("100%, hangs", Dark::Hangs, "shadow: { to: new }"),
    ("100%, 10 MB", Dark::TenMegabytes, "shadow: { to: new }"),
    ("100%, resets", Dark::Resets, "shadow: { to: new }"),
    ("100%, dead", Dark::IsDead, "shadow: { to: new }"),
];

fn main() {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let (seconds, rounds) = (number("SERIN_BENCH_SECONDS", 10), number("SERIN_BENCH_ROUNDS", 3));
    let rate = number("SERIN_BENCH_RATE", RATE) as f64;
    let own = std::process::id().to_string();
    let pinned = Command::new("taskset").args(["--cpu-list", "--pid", LOAD_CORE, &own]).stdout(Stdio::null()).status();
    if !pinned.is_ok_and(|status| status.success()) {
        eprintln!("not pinned: taskset and two cores are needed for figures that mean anything");
    }
    let wanted = std::env::var("SERIN_BENCH_CASES").ok();
    let is_wanted = |name| wanted.as_ref().is_none_or(|wanted| wanted.split(';').any(|wanted| wanted.trim() == name));
    let cases: Vec<_> = CASES.into_iter().filter(|(name, ..)| is_wanted(*name)).collect();
    let mut found: Vec<Vec<Figures>> = cases.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for ((_, dark, shadow), figures) in cases.iter().zip(&mut found) {
            figures.push(measure(*dark, shadow, rate, Duration::from_secs(seconds)));
        }
    }
    println!(
        "{:<14} {:>8} {:>8} {:>10} {:>8} {:>9} {:>8}",
        "shadow", "p50 ms", "p99 ms", "CPU µs/req", "RSS MiB", "requests", "failed"
    );
    for ((name, ..), figures) in cases.iter().zip(&found) {
        let median = |of: fn(&Figures) -> f64| {
            let mut values: Vec<f64> = figures.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        println!(
            "{name:<14} {:>8.3} {:>8.3} {:>10.1} {:>8.1} {:>9} {:>8}",
            median(|f| f.p50),
            median(|f| f.p99),
            median(|f| f.cpu),
            median(|f| f.resident),
            figures.iter().map(|f| f.requests).sum::<usize>(),
            figures.iter().map(|f| f.failed).sum::<usize>()
        );
    }
}

struct Figures {
    /// Milliseconds.
    p50: f64,
    p99: f64,
    /// Microseconds for each request, all threads.
    cpu: f64,
    /// Mebibytes at the end.
    resident: f64,
    requests: usize,
    failed: usize,
}

fn measure(dark: Dark, shadow: &str, rate: f64, time: Duration) -> Figures {
    let (old, new) = (upstream(Dark::Answers), upstream(dark));
    let serin = Serin::start(old, new, shadow);
    offer(serin.address, rate, Duration::from_secs(1));
    let before = serin.cpu();
    let mut latencies = offer(serin.address, rate, time);
    let cpu = serin.cpu().saturating_sub(before);
    let requests = latencies.len();
    let failed = latencies.iter().filter(|latency| latency.is_none()).count();
    latencies.sort_unstable_by_key(|latency| latency.unwrap_or(Duration::MAX));
    let quantile = |order: f64| {
        let at = ((requests as f64 * order) as usize).min(requests.saturating_sub(1));
        latencies.get(at).copied().flatten().map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    };
    Figures {
        p50: quantile(0.5),
        p99: quantile(0.99),
        cpu: cpu.as_secs_f64() * 1e6 / requests.max(1) as f64,
        resident: serin.resident(),
        requests,
        failed,
    }
}

/// An upstream on a thread of its own, which ends with this program.
fn upstream(dark: Dark) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    if dark == Dark::IsDead {
        return address;
    }
    listener.set_nonblocking(true).expect("nonblocking");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::task::spawn_local(answer(stream, dark));
            }
        });
    });
    address
}

async fn answer(mut stream: TcpStream, dark: Dark) {
    let (mut seen, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let Ok(length @ 1..) = stream.read(&mut chunk).await else { return };
        seen.extend_from_slice(&chunk[..length]);
        while let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
            seen.drain(..end + 4);
            let sent = match dark {
                Dark::Answers => stream.write_all(&document()).await,
                Dark::TenMegabytes => {
                    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n";
                    let _ = stream.write_all(head.as_bytes()).await;
                    stream.write_all(&vec![b'x'; 10_000_000]).await
                }
                Dark::Hangs => std::future::pending().await,
                Dark::Resets | Dark::IsDead => {
                    let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                    return;
                }
            };
            if sent.is_err() {
                return;
            }
        }
    }
}

/// 2 KB of JSON, with the time.
fn document() -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let items: Vec<String> = (0..20)
        .map(|n| format!(r#"{{"sku":"sku-{n:04}","price":{n}.95,"quantity":{n},"name":"a thing of number {n:04}","tags":["a","b"]}}"#))
        .collect();
    let body = format!(r#"{{"id":4711,"servedAt":"{now}","items":[{}],"total":399.0}}"#, items.join(","));
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

/// A running serin; killed when dropped.
struct Serin {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Serin {
    fn start(old: SocketAddr, new: SocketAddr, shadow: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("serin.yaml");
        let text = format!(
            "listeners: [ {{ name: web, address: 127.0.0.1:0 }} ]\nworkers: 1\nservices:\n  shop:\n    versions:\n      \
             old: {{ upstream: \"http://{old}\" }}\n      new: {{ upstream: \"http://{new}\" }}\n    {shadow}\n\
             routes: [ {{ service: shop }} ]\n"
        );
        std::fs::write(&path, text).expect("serin.yaml");
        let mut child = Command::new("taskset")
            .args(["--cpu-list", PROXY_CORE, env!("CARGO_BIN_EXE_serin"), "run", "--config"])
            .arg(&path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("taskset (util-linux) and serin start");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line when it is ready");
        let address = line.split_whitespace().nth(2).and_then(|address| address.parse().ok());
        Self { child, address: address.expect("the address it listens on"), _folder: folder }
    }

    /// CPU time so far, user and system, all threads, to 10 ms.
    fn cpu(&self) -> Duration {
        let stat = self.proc("stat");
        // After the name, which is in parentheses: utime and stime are the 12th and 13th.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 10)
    }

    fn resident(&self) -> f64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<f64>().map_or(f64::NAN, |kibibytes| kibibytes / 1024.0)
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap_or_default()
    }
}

impl Drop for Serin {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks `rate` times a second; how long each took from when it was due, `None` where it was not answered 200 in time.
fn offer(address: SocketAddr, rate: f64, time: Duration) -> Vec<Option<Duration>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let latencies = Rc::new(RefCell::new(Vec::new()));
    let idle = Rc::new(RefCell::new(Vec::new()));
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let start = Instant::now();
        let (mut next, mut asked) = (start, Vec::new());
        while next < start + time {
            tokio::time::sleep_until(next.into()).await;
            let (idle, latencies, due) = (Rc::clone(&idle), Rc::clone(&latencies), next);
            asked.push(tokio::task::spawn_local(async move {
                let answered = tokio::time::timeout_at((due + PATIENCE).into(), ask(address, &idle)).await;
                let good = matches!(answered, Ok(Ok(true)));
                latencies.borrow_mut().push(good.then(|| due.elapsed()));
            }));
            next += Duration::from_secs_f64(1.0 / rate);
        }
        for asked in asked {
            let _ = asked.await;
        }
    });
    drop(idle);
    latencies.take()
}

async fn ask(address: SocketAddr, idle: &RefCell<Vec<TcpStream>>) -> std::io::Result<bool> {
    let kept = idle.borrow_mut().pop();
    let mut stream = if let Some(kept) = kept {
        kept
    } else {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        stream
    };
    stream.write_all(b"GET /item HTTP/1.1\r\nhost: shop.example\r\n\r\n").await?;
    let (mut answer, mut chunk) = (Vec::new(), [0; 8192]);
    loop {
        let length = stream.read(&mut chunk).await?;
        if length == 0 {
            return Ok(false);
        }
        answer.extend_from_slice(&chunk[..length]);
        let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
        let body =
            head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse::<usize>().ok());
        if answer.len() >= end + 4 + body.unwrap_or(0) {
            idle.borrow_mut().push(stream);
            return Ok(head.starts_with("http/1.1 200"));
        }
    }
}
