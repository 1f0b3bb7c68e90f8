//! How soon the flag API answers: one flag at 2,000 requests a second over 8 kept connections, while nothing else happens
//! and while the control plane is kept busy; and all of 10,000 flags.
//!
//!     cargo bench --bench ofrep [-- --seconds 10]
//!
//! Needs oha (`cargo install --locked oha`) and taskset: serin on one core, oha on another. Latency is counted from when a
//! request was due. The bars: p99 under 0.3 ms, all of 10,000 flags in under 10 ms.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// Three conditions and a draw, as a rule in use has them.
const TARGETED: &str = r#"  checkout:
    state: ENABLED
    variants: { new: true, old: false }
    defaultVariant: old
    targeting:
      if:
        - and: [ { ends_with: [ { var: email }, "@serin.example" ] }, { in: [ { var: country }, [ de, fr, it ] ] }, { ">=": [ { var: age }, 18 ] } ]
        - fractional: [ [ new, 10 ], [ old, 90 ] ]
"#;
const CONTEXT: &str =
    r#"{"context":{"targetingKey":"user-4711","email":"ada@serin.example","country":"de","age":36,"plan":"team"}}"#;
const SINGLE: &str = "/ofrep/v1/evaluate/flags/checkout";
const BULK: &str = "/ofrep/v1/evaluate/flags";
/// Bulk answers measured.
const BULKS: usize = 200;

fn main() -> Fallible<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |name: &str| arguments.iter().skip_while(|known| *known != name).nth(1);
    let seconds = after("--seconds").map_or("10", String::as_str);
    println!("{:<44} {:>9} {:>9} {:>9}", "", "p50 ms", "p99 ms", "p99.9 ms");
    {
        let serin = Serin::start(20)?;
        show("one flag, 2,000/s", &load(&serin, seconds)?);
        show("the same, 1,000 flags reloaded all the time", &while_busy(&serin, || load(&serin, seconds))?);
    }
    let serin = Serin::start(10_000)?;
    show("all of 10,000 flags", &all(&serin)?);
    Ok(())
}

fn show(what: &str, [p50, p99, p999]: &[f64; 3]) {
    println!("{what:<44} {p50:>9.3} {p99:>9.3} {p999:>9.3}");
}

/// A running serin; killed when dropped.
struct Serin {
    child: Child,
    address: String,
    folder: tempfile::TempDir,
}

impl Serin {
    fn start(count: usize) -> Fallible<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("serin.yaml");
        let text = "listeners: [{ address: 127.0.0.1:0 }]\nofrep: { address: 127.0.0.1:0 }\nworkers: 1\n\
                    files: { flags: flags.yaml }\n\
                    services: { shop: { versions: { only: { upstream: http://127.0.0.1:9 } } } }\nroutes: [{ service: shop }]\n";
        std::fs::write(&config, text)?;
        std::fs::write(folder.path().join("flags.yaml"), flags(count))?;
        let child = Command::new("taskset")
            .args(["--cpu-list", "0", env!("CARGO_BIN_EXE_serin"), "run", "--config"])
            .arg(&config)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut serin = Self { child, address: String::new(), folder };
        let stdout = serin.child.stdout.take().ok_or("stdout is piped")?;
        let ready = BufReader::new(stdout).lines().map_while(Result::ok);
        let line = ready.into_iter().find_map(|line| line.strip_prefix("listening ofrep ").map(str::to_owned));
        serin.address = line.ok_or("serin did not start")?;
        Ok(serin)
    }
}

impl Drop for Serin {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn flags(count: usize) -> String {
    let mut text = format!("flags:\n{TARGETED}");
    for number in 1..count {
        // A Vec of text takes everything.
        let _ = if number % 10 == 0 {
            write!(text, "{}", TARGETED.replacen("checkout", &format!("flag-{number}"), 1))
        } else {
            writeln!(
                text,
                "  flag-{number}: {{ state: ENABLED, variants: {{ \"on\": true, \"off\": false }}, defaultVariant: \"on\" }}"
            )
        };
    }
    text
}

/// 2,000 requests a second for one flag: p50, p99 and p99.9 in milliseconds.
fn load(serin: &Serin, seconds: &str) -> Fallible<[f64; 3]> {
    let output = Command::new("taskset")
        .args("--cpu-list 1 oha --no-tui --output-format json --latency-correction -c 8 -q 2000 -m POST".split(' '))
        .args("--wait-ongoing-requests-after-deadline --disable-compression -T application/json".split(' '))
        .args(["-z", &format!("{seconds}s"), "-d", CONTEXT, &format!("http://{}{SINGLE}", serin.address)])
        .output()
        .map_err(|error| format!("taskset and oha are needed: {error}"))?;
    let json: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(&output.stderr)))?;
    let statuses = json["statusCodeDistribution"].as_object().ok_or("oha tells no status codes")?;
    if statuses.keys().any(|status| status != "200") {
        return Err(format!("failed requests: {statuses:?} {}", json["errorDistribution"]).into());
    }
    let quantile = |name: &str| {
        let found = json["latencyPercentiles"][name].as_f64().map(|seconds| seconds * 1e3);
        found.ok_or_else(|| format!("oha tells no {name}"))
    };
    Ok([quantile("p50")?, quantile("p99")?, quantile("p99.9")?])
}

/// What `measure` gives while flags are exchanged for others as fast as serin takes them up.
fn while_busy<T>(serin: &Serin, measure: impl FnOnce() -> Fallible<T>) -> Fallible<T> {
    let over = AtomicBool::new(false);
    let file = serin.folder.path().join("flags.yaml");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let text = flags(1_000);
            for turn in 0.. {
                // A failure shows in the figures of serin; the next turn tries again.
                let _ = replace(&file, &format!("{text}# {turn}\n"));
                std::thread::sleep(Duration::from_millis(50));
                if over.load(Relaxed) {
                    return;
                }
            }
        });
        let measured = measure();
        over.store(true, Relaxed);
        measured
    })
}

fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let beside = file.with_extension("new");
    std::fs::write(&beside, text)?;
    std::fs::rename(beside, file)
}

/// All flags, again and again over one connection: p50, p99 and p99.9 in milliseconds.
fn all(serin: &Serin) -> Fallible<[f64; 3]> {
    let mut stream = TcpStream::connect(&serin.address)?;
    stream.set_nodelay(true)?;
    let request = format!("POST {BULK} HTTP/1.1\r\nhost: flags\r\ncontent-length: {}\r\n\r\n{CONTEXT}", CONTEXT.len());
    let mut times = Vec::with_capacity(BULKS);
    let mut buffer = vec![0; 1 << 20];
    for _ in 0..BULKS {
        let started = Instant::now();
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        let mut expected = None;
        while expected.is_none_or(|expected| answer.len() < expected) {
            let length = stream.read(&mut buffer)?;
            answer.extend_from_slice(&buffer[..length]);
            let head = answer.windows(4).position(|window| window == b"\r\n\r\n");
            expected = expected.or_else(|| {
                let head = std::str::from_utf8(&answer[..head?]).ok()?;
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
                Some(head.len() + 4 + length.parse::<usize>().ok()?)
            });
        }
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let at = |quantile: f64| times[((times.len() as f64 * quantile) as usize).min(times.len() - 1)];
    Ok([at(0.5), at(0.99), at(0.999)])
}
