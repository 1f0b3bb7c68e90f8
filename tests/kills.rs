//! kill -9 at any moment of a rollout: what the next process takes up is what the ledger says, and nobody is exposed to
//! more than was agreed to.
//!
//! Real processes, real files: a plan whose steps bake for milliseconds, so that serin itself widens; people who give
//! orders, some of which make no sense, hold drills and change weights; clients who ask; and a kill after a random time,
//! now and then while the process is still starting. `SERIN_KILLS=500 cargo test --test kills` kills as often as is asked
//! for, `SERIN_SEED` begins elsewhere.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use serin::ledger::{Query, Reader};
use support::OK;
use support::load::shop;
use support::serin::binary;
use support::upstream::Upstream;

/// Kills of one run, where nothing is said.
const KILLS: u64 = 20;
/// Steps above this share need somebody's approval.
const APPROVED_ABOVE: f64 = 25.0;
const PLAN: &str = "    rollout:\n      from: old\n      to: new\n      steps: [ { weight: 5, bake: 30ms }, { weight: 20, bake: 30ms \
                    }, { weight: 50, bake: 30ms }, { weight: 100, bake: 30ms } ]\n      minRequests: 1\n      approval: { above: 25 \
                    }\n";

#[test]
fn after_a_kill_at_any_moment_the_ledger_verifies_and_nobody_is_exposed_to_more_than_was_agreed_to() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let kills = number("SERIN_KILLS").unwrap_or(KILLS);
    let mut random = fastrand::Rng::with_seed(number("SERIN_SEED").unwrap_or(20_261_121));
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Upstream::answering(OK), Upstream::answering(OK));
    let top = "stateDir: state\nledger: { maxFileSize: 64KiB }\n";
    let config = folder.path().join("serin.yaml");
    std::fs::write(&config, shop(&[("old", &old), ("new", &new)], PLAN, top)).unwrap();
    let mut seen = Seen::default();
    for round in 0..kills {
        let mut process = Process::start(&config);
        if random.u8(..10) == 0 {
            // While it starts: before, within or after its first entry.
            pause(random.u64(0..20_000));
            process.kill();
        } else if let Some([web, admin]) = process.ready() {
            let moment = random.u64(0..800_000);
            let pid = process.0.id().to_string();
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    pause(moment);
                    let _ = Command::new("kill").args(["-9", &pid]).status();
                });
                scope.spawn(move || while ask(web, "GET / HTTP/1.1\r\nhost: shop.example\r\n", "").is_some() {});
                let mut orders = fastrand::Rng::with_seed(random.u64(..));
                while give_an_order(admin, &mut orders) {}
            });
            process.kill();
        }
        check(&folder.path().join("state"), round, &mut seen);
        next_process_goes_on(&config, &folder.path().join("state"), round);
    }
    eprintln!("{kills} kills: {seen:?}");
    let tried = seen.entries as u64 > kills && seen.widened > 0;
    assert!(kills < 20 || tried, "nothing was at stake: {seen:?}");
    assert!(kills < 200 || (seen.by_machine > 0 && seen.approvals > 0 && seen.drills > 0), "too little was: {seen:?}");
}

/// What the ledgers were seen to hold, so that a test that tries nothing is noticed.
#[derive(Debug, Default)]
struct Seen {
    entries: usize,
    /// Changes that gave the new version more.
    widened: usize,
    /// Those of them that serin itself made.
    by_machine: usize,
    approvals: usize,
    drills: usize,
}

/// A running `serin run`; killed when dropped.
struct Process(Child);

impl Process {
    fn start(config: &Path) -> Self {
        let mut command = Command::new(binary());
        command.args(["run", "--config"]).arg(config).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        Self(command.spawn().expect("the binary starts"))
    }

    /// The addresses of the listener and the admin API, once it says them; `None`: it is dead already.
    fn ready(&mut self) -> Option<[SocketAddr; 2]> {
        let mut lines = BufReader::new(self.0.stdout.take()?).lines();
        let mut address = || lines.next()?.ok()?.split_whitespace().nth(2)?.parse().ok();
        Some([address()?, address()?])
    }

    fn kill(&mut self) {
        // It may be dead already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Not waiting for anything: the moment itself is what is random.
fn pause(micros: u64) {
    std::thread::sleep(Duration::from_micros(micros));
}

/// The body of the answer; `None` once nobody answers any more.
fn ask(address: SocketAddr, head: &str, body: &str) -> Option<String> {
    let mut socket = TcpStream::connect(address).ok()?;
    let length = body.len();
    let request = format!("{head}connection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    socket.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    (!answer.is_empty()).then(|| answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
}

/// Gives an order that may make sense; whether anybody answers.
fn give_an_order(admin: SocketAddr, random: &mut fastrand::Rng) -> bool {
    let actor = ["ada", "grace", "edsger"][random.usize(..3)];
    let order = |action: &str| ("POST", "rollout", format!(r#"{{"action":"{action}","actor":"{actor}"}}"#));
    let (method, what, body) = match random.u8(..40) {
        0 => order("abort"),
        1 => order("pause"),
        2 => {
            let new = random.u8(..101);
            let body = format!(r#"{{"weights":{{"old":{},"new":{new}}},"reason":"by hand"}}"#, 100 - new);
            ("PUT", "weights", body)
        }
        3..6 => ("POST", "drill", format!(r#"{{"actor":"{actor}","share":"10%","within":"2s"}}"#)),
        6..12 => order("resume"),
        12..18 => order("promote"),
        18..26 => order("approve"),
        _ => order("start"),
    };
    pause(random.u64(0..20_000));
    let head = format!(
        "{method} /api/v1/services/shop/{what} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    );
    ask(admin, &head, &body).is_some()
}

/// All entries that there are, oldest first.
fn entries(state: &Path) -> Vec<Value> {
    let reader = Reader::of_folder(state.to_owned());
    let (mut all, mut after) = (Vec::new(), Some(0));
    while after.is_some() {
        let page = reader.page(&Query { after, limit: 1000, ..Query::default() }).expect("a ledger to be read");
        all.extend(page.lines.iter().map(|line| serde_json::from_str::<Value>(line).expect("an entry")));
        after = page.next;
    }
    all
}

/// That the ledger is whole, and that every share in it was agreed to.
fn check(state: &Path, round: u64, seen: &mut Seen) {
    if !state.join("ledger-000000000001.jsonl").exists() {
        // Killed before there was anything.
        return;
    }
    Reader::of_folder(state.to_owned())
        .verify(|_| {})
        .unwrap_or_else(|error| panic!("round {round}: {error}"))
        .unwrap_or_else(|broken| panic!("round {round}: {broken}"));
    let entries = entries(state);
    *seen = Seen { entries: entries.len(), ..Seen::default() };
    let mut share = 0.0;
    for (index, entry) in entries.iter().enumerate() {
        let is_kind = |kind: &str| entry["kind"] == kind;
        seen.approvals += usize::from(is_kind("approval"));
        seen.drills += usize::from(entry["event"] == "drillStarted");
        let Some(next) = entry["to"]["new"].as_f64().filter(|_| is_kind("weights")) else { continue };
        let (before, by_rollout) = (std::mem::replace(&mut share, next), entry["source"] == "rollout");
        seen.widened += usize::from(next > before);
        seen.by_machine += usize::from(entry["actor"] == "rollout" && next > before);
        // What people set by hand they answer for themselves, and what a drill gives back was agreed to before it.
        if !by_rollout || next <= APPROVED_ABOVE || next <= before || entry["actor"] == "drill" {
            continue;
        }
        let run = &entry["rollout"];
        let starter = &entry["state"]["startedBy"];
        let agreed = |approval: &Value| {
            approval["kind"] == "approval" && approval["rollout"] == *run && approval["actor"] != *starter
        };
        // Whoever resumes gets the step again that was agreed to before.
        assert!(entries[..index].iter().any(agreed), "round {round}: {next}% without approval: {entry:#}");
    }
    for drill in entries.iter().filter(|entry| entry["actor"] == "drill" && entry["kind"] == "weights") {
        let before = entries.iter().rev().find(|entry| {
            entry["number"].as_u64() < drill["number"].as_u64() && entry["state"]["phase"]["state"] == "drilling"
        });
        let most = before.and_then(|entry| entry["state"]["phase"]["before"]["exposure"].as_f64()).unwrap_or(0.0);
        let given = drill["to"]["new"].as_f64().unwrap_or(0.0);
        assert!(given * 1000.0 <= most + 1e-6, "round {round}: a drill widened to {given}%: {drill:#}");
    }
}

/// That a process that starts now has the weights of the last entry in force, or of one that it has written since.
fn next_process_goes_on(config: &Path, state: &Path, round: u64) {
    let last = |entries: &[Value]| entries.iter().rev().find_map(|entry| entry["to"]["new"].as_f64());
    let mut process = Process::start(config);
    let [_, admin] = process.ready().expect("a process that nobody kills");
    for attempt in 0.. {
        let before = last(&entries(state)).unwrap_or(0.0);
        let answer = ask(admin, "GET /api/v1/services/shop HTTP/1.1\r\nhost: localhost\r\n", "").expect("an answer");
        let service: Value = serde_json::from_str(&answer).expect("JSON");
        let after = last(&entries(state)).unwrap_or(0.0);
        let in_force = service["versions"][1]["share"].as_f64().expect("a share") * 100.0;
        // An entry is written before it takes effect, so one that came in between may be ahead by one look.
        if (in_force - before).abs() < 1e-6 || (in_force - after).abs() < 1e-6 {
            return;
        }
        assert!(attempt < 100, "round {round}: {in_force}% in force, {after}% by the ledger");
        pause(5_000);
    }
}
