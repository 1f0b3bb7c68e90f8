//! The binary under test.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::client::{self, Response};
use super::eventually;

/// A running `serin run` with a folder of its own. Killed when dropped.
pub struct Serin {
    pub folder: TempDir,
    child: Child,
    listening: Vec<(String, String)>,
    stderr: Arc<Mutex<String>>,
}

/// The path of the binary under test.
pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_serin")
}

/// Runs `serin` with `args` to its end.
pub fn command(args: &[&str]) -> std::process::Output {
    Command::new(binary()).args(args).stdin(Stdio::null()).output().expect("the binary starts")
}

impl Serin {
    /// Starts serin with this `serin.yaml`, beside which `files` are written first. Waits until it is ready.
    pub fn with_files(config: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).expect("a file in it");
        }
        Self::in_folder(folder, config)
    }

    /// Starts serin with this `serin.yaml`.
    pub fn new(config: &str) -> Self {
        Self::with_files(config, &[])
    }

    /// Starts serin in a folder that is prepared already; `FOLDER` in the configuration becomes its path.
    pub fn in_folder(folder: TempDir, config: &str) -> Self {
        let path = folder.path().join("serin.yaml");
        std::fs::write(&path, config.replace("FOLDER", &folder.path().display().to_string())).expect("serin.yaml");
        let mut child = Command::new(binary())
            .args(["run", "--config"])
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stderr = Arc::new(Mutex::new(String::new()));
        let copy = Arc::clone(&stderr);
        let errors = child.stderr.take().expect("stderr is piped");
        std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                let mut text = copy.lock().expect("no one panics with it");
                text.push_str(&line);
                text.push('\n');
            }
        });
        let mut serin = Self { folder, child, listening: Vec::new(), stderr };
        serin.read_ready_lines(&path);
        serin
    }

    fn read_ready_lines(&mut self, config: &Path) {
        let text = std::fs::read_to_string(config).expect("serin.yaml");
        let expected = text.matches("address:").count();
        let stdout = self.child.stdout.take().expect("stdout is piped");
        let mut lines = BufReader::new(stdout);
        for _ in 0..expected {
            let mut line = String::new();
            lines.read_line(&mut line).expect("stdout");
            let words: Vec<_> = line.split_whitespace().collect();
            let ["listening", name, address] = words[..] else {
                std::thread::sleep(std::time::Duration::from_millis(50));
                panic!("not ready: {line:?}\n{}", self.stderr());
            };
            self.listening.push((name.to_owned(), address.to_owned()));
        }
        // Whatever is printed later must not block it.
        std::thread::spawn(move || std::io::copy(&mut lines.take(u64::MAX), &mut std::io::sink()));
    }

    /// The address of the listener (or `admin`) of this name.
    pub fn address(&self, name: &str) -> SocketAddr {
        let found = self.listening.iter().find(|(known, _)| known == name);
        found.unwrap_or_else(|| panic!("no listener {name}")).1.parse().expect("a TCP address")
    }

    /// The address of the listener `web`.
    pub fn web(&self) -> SocketAddr {
        self.address("web")
    }

    pub fn admin(&self) -> SocketAddr {
        self.address("admin")
    }

    /// `http://…` of the admin address.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Everything said on standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.lock().expect("no one panics with it").clone()
    }

    /// Asks the admin address.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> Response {
        client::request(
            self.admin(),
            &format!(
                "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            ),
        )
    }

    /// One sample of `/metrics`: the sum over all series of `name` whose labels contain every one of `labels`.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.ask("GET", "/metrics", "").text();
        text.lines()
            .filter(|line| {
                line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' '))
                    && labels.iter().all(|label| line.contains(label))
            })
            .map(|line| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a sample"))
            .sum()
    }

    /// Waits until the plan in force gives `version` of `service` this share.
    pub fn await_share(&self, service: &str, version: &str, share: f64) {
        eventually(&format!("{service}/{version} at {share}"), || {
            let body = self.ask("GET", &format!("/api/v1/services/{service}"), "").text();
            let view: serde_json::Value = serde_json::from_str(&body).ok()?;
            let found = view["versions"].as_array()?.iter().find(|v| v["name"] == version)?["share"].as_f64()?;
            ((found - share).abs() < 1e-9).then_some(())
        });
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{name}");
    }

    /// Waits for it to end.
    pub fn wait(&mut self) -> ExitStatus {
        eventually("serin to end", || self.child.try_wait().expect("a child"))
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }
}

impl Drop for Serin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- serin said:\n{}", self.stderr());
        }
    }
}
