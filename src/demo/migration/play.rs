//! The script: clients, one edit of `serin.yaml` after another, and a look at both versions in the end.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::clients::{CLIENTS, Clients, Counts, PEOPLE};
use super::store::{PATH, Shape, Store};
use crate::config::Bind;
use crate::demo::files::Folder;
use crate::demo::messages::Messages;
use crate::demo::prepare::{DemoError, Proxy, Show, system};
use crate::plan::{Progress, Share, Stage};

/// The service.
const SERVICE: &str = "people";
/// How often it is looked whether an edit is in force.
const LOOK: Duration = Duration::from_millis(20);
/// From one edit to the next, where a gate held it back.
const AGAIN: Duration = Duration::from_millis(500);
/// How long that may take: gates may have to be waited for.
const PATIENCE: Duration = Duration::from_secs(15);
/// Steps after the first stage, which has none of the new version.
const STEPS: [(Stage, u32); 7] = [
    (Stage::DualWrite, 2_000),
    (Stage::DualWrite, 10_000),
    (Stage::Shadow, 10_000),
    (Stage::Live, 3_000),
    (Stage::Live, 10_000),
    (Stage::RampDown, 10_000),
    (Stage::Complete, 10_000),
];

/// A demo of a migration whose versions run and whose files are written, for a proxy that is yet to be started.
#[derive(Debug)]
pub struct MigrationDemo {
    total: Duration,
    listen: SocketAddr,
    admin: Bind,
    folder: Folder,
    old: Store,
    new: Store,
}

impl MigrationDemo {
    /// Starts the two versions and writes the file. `total`: how long all stages take together, about.
    ///
    /// # Errors
    /// If the system gives no socket, thread or folder.
    pub fn prepare(total: Duration, listen: SocketAddr, admin: Bind) -> Result<Self, DemoError> {
        let start = |name, shape| Store::start(name, shape).map_err(system(format!("cannot start the version {name}")));
        let (old, new) = (start("old", Shape::Whole)?, start("new", Shape::FirstAndLast)?);
        let folder = Folder::new().map_err(system(format!("{}: no folder", std::env::temp_dir().display())))?;
        let demo = Self { total, listen, admin, folder, old, new };
        demo.write(Progress::OFF, 0)?;
        Ok(demo)
    }

    /// Moves the stage as an editor would. `edit`: how often it was tried before; what is refused is not looked at again until
    /// it changes.
    fn write(&self, Progress { stage, share }: Progress, edit: u32) -> Result<(), DemoError> {
        let Self { listen, admin, old, new, .. } = self;
        // Where others can reach it, it is read-only.
        let open = if admin.is_local() { ", open: true" } else { "" };
        let text = format!(
            "# Written by `serin demo`; edit {edit} of this stage.\n\
             listeners:\n  - {{ name: web, address: \"{listen}\" }}\n\
             admin: {{ address: \"{admin}\"{open} }}\n\
             stateDir: state\n\
             drainTimeout: 2s\n\
             services:\n  {SERVICE}:\n    versions:\n      \
             old: {{ upstream: \"http://{}\" }}\n      new: {{ upstream: \"http://{}\" }}\n    \
             migration:\n      stage: {stage}\n      share: {share}\n      from: old\n      to: new\n      \
             key: [ {{ pathSegment: 2 }} ]\n      idempotent: [ old, new ]\n      \
             reconcile: {{ read: {{ path: \"{PATH}{{key}}\" }}, verifyRate: 200/s }}\n      \
             gates: {{ consistency: 80%, minKeys: 20, bake: 100ms }}\n\
             routes:\n  - service: {SERVICE}\n",
            old.address, new.address
        );
        let path = self.folder.config();
        self.folder.replace(&path, &text).map_err(system(format!("{}: cannot be written", path.display())))
    }
}

impl Show for MigrationDemo {
    fn config(&self) -> PathBuf {
        self.folder.config()
    }

    fn play(self, proxy: Proxy, messages: Messages) -> Result<(), DemoError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let result = runtime.map_err(system("cannot start the demo"))?.block_on(self.run(&proxy));
        messages.open();
        result
    }
}

impl MigrationDemo {
    async fn run(&self, proxy: &Proxy) -> Result<(), DemoError> {
        let listen = |kind| signal(kind).map_err(system("cannot listen for signals"));
        let mut told = [listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?];
        self.introduce(proxy).map_err(DemoError::Output)?;
        let clients = Clients::start(proxy.address).map_err(system("cannot start the clients"))?;
        let each = self.total / (STEPS.len() as u32 + 1);
        let mut ended = wait(each, &mut told).await;
        let mut seen = clients.counts();
        report(Progress::OFF, seen, "").map_err(DemoError::Output)?;
        let mut both = seen;
        for (stage, hundredths) in STEPS {
            if ended {
                break;
            }
            let progress = Progress { stage, share: Share::from_hundredths(hundredths) };
            if stage == Stage::Complete {
                // From here on they part: only the new version is written to.
                Self::await_round(&clients, both).await;
                clients.pause(true);
                let compared = self.compare().await;
                clients.pause(false);
                compared.map_err(DemoError::Output)?;
            }
            let taken = self.move_to(progress, proxy, &mut told).await?;
            let taken = taken.map_or_else(|| "not".to_owned(), |taken| format!("{} ms", taken.as_millis()));
            if stage == Stage::DualWrite {
                both = clients.counts();
            }
            ended = wait(each, &mut told).await;
            let now = clients.counts();
            report(progress, now.since(seen), &taken).map_err(DemoError::Output)?;
            seen = now;
        }
        let counts = clients.finish();
        self.conclude(counts, ended).map_err(DemoError::Output)
    }

    /// Waits until everybody was written since both versions are: what was there before, only the old one has.
    async fn await_round(clients: &Clients, both: Counts) {
        let until = Instant::now() + PATIENCE;
        while !clients.counts().is_round_since(both) && Instant::now() < until {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Edits the file, again and again while a gate holds the stage back; how long it took. `None`: it was given up.
    async fn move_to(
        &self,
        progress: Progress,
        proxy: &Proxy,
        told: &mut [Signal; 2],
    ) -> Result<Option<Duration>, DemoError> {
        let began = Instant::now();
        let (mut edited, mut edits) = (None, 0);
        while began.elapsed() < PATIENCE {
            if edited.is_none_or(|at: Instant| at.elapsed() >= AGAIN) {
                self.write(progress, edits)?;
                (edited, edits) = (Some(Instant::now()), edits + 1);
            }
            let plan = (proxy.plan)();
            let service = plan.service_named(SERVICE).and_then(|(_, service)| service.migration.as_ref());
            if service.is_some_and(|migration| migration.progress == progress) {
                return Ok(Some(began.elapsed()));
            }
            if wait(LOOK, told).await {
                return Ok(None);
            }
        }
        Ok(None)
    }

    fn introduce(&self, proxy: &Proxy) -> io::Result<()> {
        let Proxy { address, admin, .. } = proxy;
        let people = CLIENTS * PEOPLE;
        print(&format!(
            "proxy http://{address}   admin {admin}\n\
             file {}\n\n\
             {CLIENTS} clients read and write {people} people of the service `{SERVICE}` through serin. The old version keeps a name in one\n\
             column, the new one in two. The stage is moved by edits of the file; gates are waited for.\n\
             From another terminal:  serin migration status {SERVICE} --admin {admin}\n\n\
             {:<18} {:>8} {:>8} {:>8} {:>14} {:>10}\n",
            self.folder.config().display(),
            "stage",
            "reads",
            "writes",
            "failed",
            "answered by new",
            "in force"
        ))
    }

    /// Says whether both versions have the same, once what is on its way has arrived.
    async fn compare(&self) -> io::Result<()> {
        let until = Instant::now() + Duration::from_secs(5);
        let same = loop {
            let (old, new) = (self.old.everybody(), self.new.everybody());
            if old == new || Instant::now() >= until {
                break (old == new).then_some(old.len());
            }
            tokio::time::sleep(LOOK).await;
        };
        print(&match same {
            Some(people) => format!("  both versions have the same {people} people\n"),
            None => "  the two versions differ\n".to_owned(),
        })
    }

    fn conclude(&self, counts: Counts, ended: bool) -> io::Result<()> {
        let early = if ended { ", until it was ended" } else { "" };
        print(&format!(
            "\nSummary: {} of {} requests failed{early}. The old version has {} people, the new one {}.\n\
             The ledger, with every move: serin ledger --state-dir {}\n",
            counts.failed,
            counts.requests(),
            self.old.everybody().len(),
            self.new.everybody().len(),
            self.folder.config().with_file_name("state").display(),
        ))
    }
}

/// A line of the table. `taken`: how long it took until the stage was in force.
fn report(progress: Progress, counts: Counts, taken: &str) -> io::Result<()> {
    let by_new = if counts.requests() == 0 { 0.0 } else { counts.by_new as f64 * 100.0 / counts.requests() as f64 };
    let Counts { reads, writes, failed, .. } = counts;
    print(&format!("{:<18} {reads:>8} {writes:>8} {failed:>8} {by_new:>13.0}% {taken:>10}\n", progress.to_string()))
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Waits, unless somebody wants it to end: then `true`.
async fn wait(duration: Duration, told: &mut [Signal; 2]) -> bool {
    let [interrupt, terminate] = told;
    tokio::select! {
        () = tokio::time::sleep(duration) => false,
        _ = interrupt.recv() => true,
        _ = terminate.recv() => true,
    }
}
