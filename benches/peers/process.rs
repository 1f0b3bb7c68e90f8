//! Child processes: pinned to a core, bounded in time, measured by `/proc`, ended with this program.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Fallible;

/// The core of the proxy under test.
pub(crate) const PROXY_CORE: usize = 0;
/// The core of everything else: load, upstream, this program.
pub(crate) const LOAD_CORE: usize = 1;

/// How long a child may take to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(2);

/// A child process that ends when this value does: SIGTERM, then SIGKILL. Should this program die first, the kernel
/// sends the SIGTERM. nginx and its like end their own workers upon it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` (program first) on one core; what it prints goes to `log`.
    pub(crate) fn start(core: usize, command: &[&str], log: &Path) -> Fallible<Self> {
        let out = File::create(log)?;
        let child = Command::new("setpriv")
            // Each of these replaces itself by the next, so the child's id is that of `command` in the end.
            .args(["--pdeathsig", "TERM", "taskset", "--cpu-list", &core.to_string()])
            .args(command)
            .stdin(Stdio::null())
            .stderr(out.try_clone()?)
            .stdout(out)
            .spawn()
            .map_err(|error| format!("setpriv and taskset (util-linux) are needed: {error}"))?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// What it printed so far.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// An error with what it printed if it has ended.
    pub(crate) fn check_alive(&mut self) -> Fallible<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("ended early ({status}): {}", self.output().trim()).into()),
        }
    }

    /// Waits for it to end by itself with success, at most `limit`; returns what it printed.
    pub(crate) fn finish(mut self, limit: Duration) -> Fallible<String> {
        let started = Instant::now();
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(self.output()),
                Some(status) => return Err(format!("{status}: {}", self.output().trim()).into()),
                None if started.elapsed() > limit => return Err(format!("did not end within {limit:?}").into()),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// CPU time used so far by the process and its living children, user and system, all threads.
    pub(crate) fn cpu(&self) -> Fallible<Duration> {
        let mut ticks = 0;
        for pid in self.family() {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
            // Fields after the name, which is in parentheses and may hold anything: utime and stime are the 12th and 13th.
            let (_, fields) = stat.rsplit_once(')').ok_or("/proc/PID/stat without a name")?;
            for field in fields.split_whitespace().skip(11).take(2) {
                ticks += field.parse::<u64>()?;
            }
        }
        // Linux reports in units of 10 ms to user space on every architecture (USER_HZ is 100); the sum is precise to that.
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Resident memory of the process and its living children, in bytes; pages they share count once for each.
    pub(crate) fn resident(&self) -> Fallible<u64> {
        let mut kibibytes = 0;
        for pid in self.family() {
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            let rss =
                status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS in /proc/PID/status")?;
            kibibytes += rss.trim().trim_end_matches(" kB").parse::<u64>()?;
        }
        Ok(kibibytes * 1024)
    }

    /// The process and its children (nginx has its worker there).
    fn family(&self) -> Vec<u32> {
        let own = self.child.id();
        let tasks = fs::read_dir(format!("/proc/{own}/task")).into_iter().flatten().flatten();
        let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        let children: Vec<u32> = children
            .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
            .collect();
        [vec![own], children].concat()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let family = self.family();
        signal("TERM", &[self.child.id()]);
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        // Still running, so its id and those of its children are still theirs.
        signal("KILL", &family);
        // Collects the child; there is nothing to do about an error while unwinding.
        let _ = self.child.wait();
    }
}

/// The standard library sends no signal but SIGKILL.
fn signal(name: &str, pids: &[u32]) {
    let pids = pids.iter().map(u32::to_string);
    let _ = Command::new("kill").arg("-s").arg(name).args(pids).stderr(Stdio::null()).status();
}

/// Where a program is: along `PATH`, where Debian keeps daemons, or where `cargo install` puts it.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let cargo = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo/bin"));
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .chain(cargo)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// The first line a short-lived command prints that is not empty.
pub(crate) fn first_line(command: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(command).args(args).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

/// Pins this program to the load's core and lets it and its children open enough files for thousands of connections.
pub(crate) fn settle() -> Fallible<()> {
    let own = std::process::id().to_string();
    let files = ["--nofile=16384:", "--pid", &own];
    if !Command::new("prlimit").args(files).status()?.success() {
        return Err("cannot raise the limit of open files to 16384".into());
    }
    let core = LOAD_CORE.to_string();
    let pinned = Command::new("taskset").args(["--cpu-list", "--pid", &core, &own]).stdout(Stdio::null()).status()?;
    if !pinned.success() {
        return Err(format!("cannot use core {LOAD_CORE}: two cores are needed").into());
    }
    Ok(())
}
