//! gRPC's own library (grpcio, from `PyPI`) on both sides. Skipped aloud without it; required where `CI=true`.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use crate::assert_counted;
use crate::support::serin::Serin;
use crate::support::{PATIENCE, sidecar};

/// A Python that has the library: the one `.ci/run` makes, or the system's.
fn python() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/grpc-venv/bin/python");
    let has_grpc = |python: &PathBuf| {
        let tried = Command::new(python).args(["-c", "import grpc, grpc_health.v1"]).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    let found = [own, "python3".into()].into_iter().find(has_grpc);
    assert!(found.is_some() || std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI has no Python with grpcio");
    if found.is_none() {
        eprintln!("SKIPPED: no Python with grpcio and grpcio-health-checking; .ci/run installs them");
    }
    found
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/grpc").join(name)
}

/// The server, and a serin in front of it.
struct House {
    python: PathBuf,
    server: Child,
    lines: Lines,
    serin: Serin,
}

impl House {
    fn new() -> Option<Self> {
        let python = python()?;
        let mut server = Command::new(&python)
            .arg(script("server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a server");
        let lines = Lines::of(server.stdout.take().expect("stdout is piped"));
        let port = lines.next();
        let port = port.strip_prefix("port ").unwrap_or_else(|| panic!("no port: {port:?}"));
        let route = "    matches: [ { method: { service: shop.Checkout } } ]";
        let serin = sidecar::before_with(&format!("http://127.0.0.1:{port}"), "", route);
        Some(Self { python, server, lines, serin })
    }

    fn client(&self, what: &str) -> Command {
        let mut client = Command::new(&self.python);
        client.arg(script("client.py")).arg(what).arg(self.serin.web().to_string()).arg(self.serin.admin().to_string());
        client
    }

    fn run(&self, what: &str) {
        let output = self.client(what).output().expect("a client");
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// What a program prints.
struct Lines(mpsc::Receiver<String>);

impl Lines {
    fn of(output: impl Read + Send + 'static) -> Self {
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            lines.take_while(|line| sender.send(line.clone()).is_ok()).for_each(drop);
        });
        Self(lines)
    }

    fn next(&self) -> String {
        self.0.recv_timeout(PATIENCE).expect("a line in time")
    }
}

#[test]
fn every_kind_of_call_goes_through() {
    let Some(house) = House::new() else { return };
    house.run("calls");
    // Seven echoes, and three streams.
    assert_counted(&house.serin, "OK", 10.0);
    assert_counted(&house.serin, "DATA_LOSS", 1.0);
    assert_counted(&house.serin, "UNIMPLEMENTED", 2.0);
}

#[test]
fn deadlines_reach_the_server_and_bound_the_call() {
    let Some(house) = House::new() else { return };
    house.run("deadlines");
    assert_eq!((house.lines.next(), house.lines.next()), ("begun deadline".to_owned(), "over deadline".to_owned()));
}

#[test]
fn a_cancelled_call_is_cancelled_at_the_server() {
    let Some(house) = House::new() else { return };
    house.run("cancel");
    assert_eq!((house.lines.next(), house.lines.next()), ("begun cancel".to_owned(), "over cancel".to_owned()));
    assert_counted(&house.serin, "clientGone", 1.0);
}

#[test]
fn a_call_that_no_route_matches_is_unimplemented() {
    let Some(house) = House::new() else { return };
    house.run("unrouted");
}

#[test]
fn a_server_that_is_killed_is_unavailable() {
    let Some(mut house) = House::new() else { return };
    let mut client = house.client("killed").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a client");
    let lines = Lines::of(client.stdout.take().expect("stdout is piped"));
    assert_eq!(lines.next(), "begun");
    house.server.kill().expect("a server");
    house.server.wait().expect("its end");
    let output = client.wait_with_output().expect("its end");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_counted(&house.serin, "truncated", 1.0);
}

#[test]
fn health_is_told_to_grpc_s_own_health_client() {
    let Some(house) = House::new() else { return };
    house.run("health");
}
