//! serin as a process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A running serin with a folder of its own; killed when dropped.
pub struct Serin {
    child: Child,
    folder: TempDir,
    /// Its first listener.
    pub web: SocketAddr,
    /// The admin API, where it has one.
    admin: Option<SocketAddr>,
}

impl Serin {
    /// Starts it with this `serin.yaml`.
    pub fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::run(config, folder, Command::new(env!("CARGO_BIN_EXE_serin")))
    }

    /// Starts it on the disk that `target/` is on, as what is temporary may be memory.
    pub fn on_disk(config: &str) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on a real disk");
        Self::run(config, folder, Command::new(env!("CARGO_BIN_EXE_serin")))
    }

    /// Starts it on one core.
    pub fn pinned(config: &str, core: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", core, env!("CARGO_BIN_EXE_serin")]);
        Self::run(config, folder, command)
    }

    fn run(config: &str, folder: TempDir, mut command: Command) -> Self {
        let path = folder.path().join("serin.yaml");
        std::fs::write(&path, config).expect("serin.yaml");
        command.args(["run", "--config"]).arg(&path).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("serin starts, by taskset (util-linux) where it is pinned");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let mut address = || {
            let line = lines.next().and_then(Result::ok).expect("a line for each listener");
            line.split_whitespace().nth(2).and_then(|address| address.parse().ok()).expect("an address")
        };
        let web = address();
        let admin = config.contains("admin:").then(address);
        Self { child, folder, web, admin }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks the admin API; the whole answer.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut socket = TcpStream::connect(self.admin.expect("it has one")).expect("the admin address");
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        socket.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Serin {
    fn drop(&mut self) {
        self.kill();
    }
}
