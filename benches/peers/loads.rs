//! The jobs: what is measured of every peer.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Fallible;
use crate::client::Client;
use crate::process::{LOAD_CORE, Process, find};
use crate::report::Reading;
use crate::setup::{Bench, Peer, Proxy};

/// Client connections under load.
const CONNECTIONS: &str = "64";
/// Open connections whose memory is measured.
const IDLE_CONNECTIONS: usize = 1_000;
/// Beyond its own length, how long a load generator may take.
const GRACE: Duration = Duration::from_secs(15);

/// One job: drives a proxy for about the given time and returns what it saw. Jobs of a round share the proxy.
type Job = fn(&mut Proxy, &Path, Duration) -> Fallible<Vec<Reading>>;

/// In this order, on a proxy freshly started: memory before any load has left its marks.
const JOBS: [Job; 4] = [
    memory,
    closed_loop,
    |proxy, folder, time| open_loop(proxy, folder, time, 2_000),
    |proxy, folder, time| open_loop(proxy, folder, time, 6_000),
];

/// The same for other protocols.
const PROTOCOL_JOBS: [Job; 4] = [http2, tls, handshakes, grpc];
/// All of them but gRPC, for which nginx has no split.
const NGINX_PROTOCOL_JOBS: &[Job] = PROTOCOL_JOBS.split_at(3).0;

/// One round of one peer: starts it and does one job after the other. A job that fails does not take the others with it;
/// a proxy that ended does. `protocols`: the jobs of other protocols than HTTP/1.1 in the clear.
pub(crate) fn measure(
    bench: &Bench,
    peer: Peer,
    protocols: bool,
    time: Duration,
    mut tell: impl FnMut(Fallible<Vec<Reading>>),
) {
    let started = bench.folder("loads").and_then(|folder| Ok((bench.start(peer, protocols)?, folder)));
    let (mut proxy, folder) = match started {
        Ok(started) => started,
        Err(error) => return tell(Err(error)),
    };
    let jobs = match (protocols, peer) {
        (false, _) => &JOBS[..],
        (true, Peer::Nginx) => NGINX_PROTOCOL_JOBS,
        (true, _) => &PROTOCOL_JOBS,
    };
    for job in jobs {
        tell(job(&mut proxy, &folder, time));
        if let Err(error) = proxy.process.check_alive() {
            return tell(Err(error));
        }
    }
}

/// Resident memory at rest, and with many open connections that have each made one request.
fn memory(proxy: &mut Proxy, _: &Path, _: Duration) -> Fallible<Vec<Reading>> {
    let idle = proxy.process.resident()?;
    let (mut connections, mut new) = (Vec::with_capacity(IDLE_CONNECTIONS), 0_usize);
    for _ in 0..IDLE_CONNECTIONS {
        let mut client = Client::connect(proxy.port)?;
        new += usize::from(client.get("/")?.starts_with("new"));
        connections.push(client);
    }
    let full = proxy.process.resident()?;
    // The same job for all, or no figure: 10 % within four standard deviations of 1,000 draws, and a client's address
    // (in the place of a loopback address Envoy puts one of the machine's own).
    if !(62..=138).contains(&new) {
        return Err(format!("{new} of {IDLE_CONNECTIONS} requests went to the new version instead of about 100").into());
    }
    let seen = connections[0].get("/seen")?;
    if seen.parse::<IpAddr>().is_err() {
        return Err(format!("the upstream got X-Forwarded-For: {seen:?}").into());
    }
    let mebibytes = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
    let each = (full.saturating_sub(idle)) as f64 / 1024.0 / IDLE_CONNECTIONS as f64;
    Ok(vec![
        Reading::new("RSS idle", "MiB", mebibytes(idle)),
        Reading::new("RSS with 1,000 connections", "MiB", mebibytes(full)),
        Reading::new("memory per connection", "KiB", each),
    ])
}

/// As fast as it goes with 64 connections: throughput, and what a request costs the proxy.
fn closed_loop(proxy: &mut Proxy, folder: &Path, time: Duration) -> Fallible<Vec<Reading>> {
    wrk(proxy.port, folder, Duration::from_secs(1))?.finish()?;
    let (cpu, started) = (proxy.process.cpu()?, Instant::now());
    let load = wrk(proxy.port, folder, time)?.finish()?;
    let (cpu, wall) = (proxy.process.cpu()?.saturating_sub(cpu), started.elapsed());
    load.require_clean()?;
    Ok(vec![
        Reading::new("CPU per request", "µs", cpu.as_secs_f64() * 1e6 / load.requests as f64),
        Reading::new("requests/s, closed loop", "", load.per_second),
        Reading::new("of its core in use", "%", cpu.as_secs_f64() / wall.as_secs_f64() * 100.0),
    ])
}

/// A fixed rate, latency from the moment a request was due: what users would see, without coordinated omission.
fn open_loop(proxy: &mut Proxy, folder: &Path, time: Duration, rate: u32) -> Fallible<Vec<Reading>> {
    let oha = find("oha").ok_or("oha is needed for open-loop load (cargo install --locked oha)")?;
    let (seconds, rate_argument) = (format!("{}s", time.as_secs()), rate.to_string());
    let url = format!("http://127.0.0.1:{}/", proxy.port);
    let arguments: Vec<&str> =
        "--no-tui --output-format json --latency-correction --wait-ongoing-requests-after-deadline --disable-compression -c"
            .split(' ')
            .chain([CONNECTIONS, "-q", &rate_argument, "-z", &seconds, &url])
            .collect();
    let oha = oha.to_string_lossy();
    let command = [&[&*oha], arguments.as_slice()].concat();
    let output = Process::start(LOAD_CORE, &command, &folder.join("oha.json"))?.finish(time + GRACE)?;
    let json: serde_json::Value = serde_json::from_str(&output)?;
    let number = |pointer: &str| json.pointer(pointer).and_then(serde_json::Value::as_f64);
    let statuses = json["statusCodeDistribution"].as_object().ok_or("oha tells no status codes")?;
    let (errors, achieved) = (&json["errorDistribution"], number("/summary/requestsPerSec").unwrap_or_default());
    if statuses.keys().any(|status| status != "200") || errors.as_object().is_some_and(|errors| !errors.is_empty()) {
        return Err(format!("failed requests at {rate}/s: {statuses:?} {errors}").into());
    }
    if achieved < f64::from(rate) * 0.95 {
        return Err(format!("only {achieved:.0} of {rate} requests/s were possible").into());
    }
    ["p50", "p99", "p99.9"]
        .into_iter()
        .map(|quantile| {
            let seconds = number(&format!("/latencyPercentiles/{quantile}")).ok_or("oha tells no percentiles")?;
            Ok(Reading::new(format!("{quantile} at {} requests/s", thousands(rate)), "ms", seconds * 1e3))
        })
        .collect()
}

/// HTTP/2 clients, HTTP/1.1 upstreams: 4 connections of 16 streams.
fn http2(proxy: &mut Proxy, folder: &Path, time: Duration) -> Fallible<Vec<Reading>> {
    let url = format!("http://127.0.0.1:{}/", more(proxy)?.h2);
    let cpu = h2load(proxy, folder, time, &[&url])?;
    Ok(vec![Reading::new("HTTP/2: CPU per request", "µs", cpu)])
}

/// Unary calls of 25 bytes over HTTP/2 on both sides.
fn grpc(proxy: &mut Proxy, folder: &Path, time: Duration) -> Fallible<Vec<Reading>> {
    let url = format!("http://127.0.0.1:{}/shop.Checkout/Pay", more(proxy)?.grpc);
    let message = folder.join("message");
    std::fs::write(&message, [&[0, 0, 0, 0, 20][..], &[b'-'; 20]].concat())?;
    let message = message.to_string_lossy();
    let call = ["-H", "content-type: application/grpc", "-H", "te: trailers", "-d", &message, &url];
    let cpu = h2load(proxy, folder, time, &call)?;
    Ok(vec![Reading::new("gRPC unary: CPU per call", "µs", cpu)])
}

/// HTTP/1.1 keep-alive over TLS 1.3.
fn tls(proxy: &mut Proxy, folder: &Path, time: Duration) -> Fallible<Vec<Reading>> {
    let url = format!("https://127.0.0.1:{}/", more(proxy)?.tls);
    wrk_at(&url, folder, Duration::from_secs(1))?.finish()?;
    let cpu = proxy.process.cpu()?;
    let load = wrk_at(&url, folder, time)?.finish()?;
    let cpu = proxy.process.cpu()?.saturating_sub(cpu);
    load.require_clean()?;
    Ok(vec![Reading::new("TLS 1.3 keep-alive: CPU per request", "µs", cpu.as_secs_f64() * 1e6 / load.requests as f64)])
}

/// Full TLS 1.3 handshakes, one after the other.
fn handshakes(proxy: &mut Proxy, folder: &Path, time: Duration) -> Fallible<Vec<Reading>> {
    let openssl = find("openssl").ok_or("openssl is needed for handshakes (Debian: openssl)")?;
    let (address, seconds) = (format!("127.0.0.1:{}", more(proxy)?.tls), time.as_secs().to_string());
    let openssl = openssl.to_string_lossy();
    let command = [&*openssl, "s_time", "-connect", &address, "-new", "-tls1_3", "-time", &seconds];
    let cpu = proxy.process.cpu()?;
    let output = Process::start(LOAD_CORE, &command, &folder.join("s_time.txt"))?.finish(time + GRACE)?;
    let cpu = proxy.process.cpu()?.saturating_sub(cpu);
    let made = output.lines().rev().find_map(|line| line.split_once(" connections in ")?.0.trim().parse::<f64>().ok());
    let made = made.filter(|made| *made > 0.0).ok_or_else(|| format!("openssl said: {}", output.trim()))?;
    Ok(vec![Reading::new("TLS 1.3 full handshakes/s of one core", "", made / cpu.as_secs_f64())])
}

fn more(proxy: &Proxy) -> Fallible<crate::setup::More> {
    proxy.more.clone().ok_or_else(|| "the proxy was not set up for this".into())
}

/// 4 connections of 16 streams; CPU of the proxy for one request, in microseconds.
fn h2load(proxy: &Proxy, folder: &Path, time: Duration, what: &[&str]) -> Fallible<f64> {
    let h2load = find("h2load").ok_or("h2load is needed for HTTP/2 (Debian: nghttp2-client)")?;
    let h2load = h2load.to_string_lossy();
    let seconds = time.as_secs().to_string();
    let run = |seconds: &str| {
        let command = [&[&*h2load, "-t1", "-c4", "-m16", "-D", seconds][..], what].concat();
        Process::start(LOAD_CORE, &command, &folder.join("h2load.txt"))?.finish(time + GRACE)
    };
    run("1")?;
    let cpu = proxy.process.cpu()?;
    let output = run(&seconds)?;
    let cpu = proxy.process.cpu()?.saturating_sub(cpu);
    // "requests: 9 total, 9 started, 9 done, 9 succeeded, 0 failed, 0 errored, 0 timeout"
    let counted = output.lines().find(|line| line.starts_with("requests:")).ok_or("h2load counted nothing")?;
    let count = |what: &str| {
        let end = counted.find(what)?;
        counted[..end].trim_end().rsplit(' ').next()?.parse::<f64>().ok()
    };
    match (count("succeeded"), count("failed")) {
        (Some(succeeded), Some(0.0)) if succeeded > 0.0 => Ok(cpu.as_secs_f64() * 1e6 / succeeded),
        _ => Err(format!("h2load said: {counted}").into()),
    }
}

fn thousands(rate: u32) -> String {
    format!("{},{:03}", rate / 1000, rate % 1000)
}

/// A running wrk.
pub(crate) struct Wrk {
    process: Process,
    limit: Duration,
}

/// What wrk counted.
#[derive(Debug)]
pub(crate) struct WrkResult {
    /// Responses, the failed ones too.
    pub(crate) requests: u64,
    /// Responses a second.
    pub(crate) per_second: f64,
    /// Its lines about statuses other than 2xx and 3xx, and about sockets; none if all went well.
    pub(crate) errors: Vec<String>,
}

/// Starts wrk against a port: one thread, 64 connections.
pub(crate) fn wrk(port: u16, folder: &Path, time: Duration) -> Fallible<Wrk> {
    wrk_at(&format!("http://127.0.0.1:{port}/"), folder, time)
}

fn wrk_at(url: &str, folder: &Path, time: Duration) -> Fallible<Wrk> {
    let wrk = find("wrk").ok_or("wrk is needed for closed-loop load (Debian: wrk)")?;
    let duration = format!("-d{}s", time.as_secs());
    let command = [&*wrk.to_string_lossy(), "-t1", "-c", CONNECTIONS, &duration, url];
    Ok(Wrk { process: Process::start(LOAD_CORE, &command, &folder.join("wrk.txt"))?, limit: time + GRACE })
}

impl Wrk {
    /// Waits for its end.
    pub(crate) fn finish(self) -> Fallible<WrkResult> {
        let text = self.process.finish(self.limit)?;
        let unclear = || format!("wrk said: {}", text.trim());
        let line = |find: &str| text.lines().map(str::trim).find(|line| line.contains(find));
        let requests = line(" requests in ").and_then(|line| line.split(' ').next()?.parse().ok());
        let per_second = line("Requests/sec:").and_then(|line| line.rsplit(' ').next()?.parse().ok());
        let errors = ["Socket errors:", "Non-2xx"].into_iter().filter_map(line).map(str::to_owned).collect();
        Ok(WrkResult { requests: requests.ok_or_else(unclear)?, per_second: per_second.ok_or_else(unclear)?, errors })
    }
}

impl WrkResult {
    /// An error if any request failed: such a figure would compare nothing.
    fn require_clean(&self) -> Fallible<()> {
        if self.errors.is_empty() && self.requests > 0 { Ok(()) } else { Err(self.errors.join("; ").into()) }
    }
}
