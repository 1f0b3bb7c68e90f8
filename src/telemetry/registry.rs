//! Where cells are kept and added up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Instant, SystemTime};

use crate::flags::FlagSet;

use super::deprecated::CallerFigures;
use super::flags::FlagFigures;
use super::shadow::ShadowFigures;
use super::variants::VariantFigures;
use super::{
    AdminFigures, ArmCell, ArmFigures, CallerCell, CallerCount, ControlArmSnapshot, ControlFigures, DiffFigures,
    EventFigures, FaultCell, FlagCells, FlagCount, Handshake, HandshakeCell, HealthFigures, JournalFigures,
    MigrationCell, OfrepCell, RegistrySnapshot, ShadowCells, VersionCell, VersionSnapshot, WorkerCell,
};

/// All cells of all workers, and the control plane's figures. Shared by everybody.
///
/// A cell once handed out stays for the life of the process, so that counters never go backwards over reloads, also
/// where a version is taken out of the configuration and put back later.
#[derive(Debug)]
pub struct Registry {
    versions: Mutex<BTreeMap<VersionName, WorkerCells>>,
    faults: Mutex<BTreeMap<FaultName, Arc<FaultCell>>>,
    migrations: Mutex<BTreeMap<Arc<str>, Arc<MigrationCell>>>,
    callers: CallerFigures,
    variants: VariantFigures,
    /// Control arms, by the version whose requests they are.
    control_arms: Mutex<BTreeMap<VersionName, Box<[Arc<ArmCell>]>>>,
    shadows: ShadowFigures,
    diffs: DiffFigures,
    workers: Box<[Arc<WorkerCell>]>,
    handshakes: Mutex<BTreeMap<Arc<str>, Arc<HandshakeCell>>>,
    flags: FlagFigures,
    ofrep: OnceLock<Arc<OfrepCell>>,
    control: ControlFigures,
    health: HealthFigures,
    journal: JournalFigures,
    admin: AdminFigures,
    events: EventFigures,
    started: SystemTime,
    /// What the cells count times from.
    made: Instant,
}

/// Service and version.
type VersionName = (Arc<str>, Arc<str>);

/// Service, version and fault.
type FaultName = (Arc<str>, Arc<str>, Arc<str>);

/// One version's cells, by worker.
type WorkerCells = Box<[Arc<VersionCell>]>;

impl Registry {
    /// An empty registry for this many workers. Made once, when the process starts: that is its start time.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            versions: Mutex::default(),
            faults: Mutex::default(),
            migrations: Mutex::default(),
            callers: CallerFigures::default(),
            variants: VariantFigures::default(),
            control_arms: Mutex::default(),
            shadows: ShadowFigures::default(),
            diffs: DiffFigures::default(),
            workers: (0..workers).map(|_| Arc::new(WorkerCell::new())).collect(),
            handshakes: Mutex::default(),
            // One more for the flag API.
            flags: FlagFigures::new(workers + 1),
            ofrep: OnceLock::new(),
            control: ControlFigures::default(),
            health: HealthFigures::default(),
            journal: JournalFigures::default(),
            admin: AdminFigures::default(),
            events: EventFigures::default(),
            started: SystemTime::now(),
            made: Instant::now(),
        }
    }

    /// The cell of one worker for one version: the same one for the same names. Takes a lock: ask when a plan comes in
    /// force, not in a request.
    ///
    /// # Panics
    /// If there is no such worker.
    #[must_use]
    pub fn version(&self, worker: usize, service: &str, version: &str) -> Arc<VersionCell> {
        // The map is whole between any two of its operations, so a panic elsewhere leaves nothing half done.
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let cells = versions
            .entry((service.into(), version.into()))
            .or_insert_with(|| self.workers.iter().map(|_| Arc::new(VersionCell::new(self.made))).collect());
        Arc::clone(&cells[worker])
    }

    /// The cell of all workers for one fault: the same one for the same names. Takes a lock: ask when a plan comes in
    /// force, not in a request.
    #[must_use]
    pub fn fault(&self, service: &str, version: &str, fault: &str) -> Arc<FaultCell> {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(faults.entry((service.into(), version.into(), fault.into())).or_default())
    }

    /// The cell of all workers for one caller of a version whose end is announced, and whether it is its own: beside `most` of
    /// them all others have one together. Takes a lock.
    #[must_use]
    pub fn caller(&self, service: &str, version: &str, caller: &str, most: usize) -> (Arc<CallerCell>, bool) {
        self.callers.cell((service, version), caller, most)
    }

    /// Requests so far to versions whose end is announced, by caller.
    #[must_use]
    pub fn caller_counts(&self) -> Vec<CallerCount> {
        self.callers.counts()
    }

    /// The cell of all workers for the migration of one service: the same one for the same name. Takes a lock: ask when a plan
    /// comes in force, not in a request.
    #[must_use]
    pub fn migration(&self, service: &str) -> Arc<MigrationCell> {
        let mut migrations = self.migrations.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(migrations.entry(service.into()).or_default())
    }

    /// The counters of one worker for the evaluations of a set's flags: the same ones for the same set. Takes a lock: ask
    /// when a plan comes in force, not in a request.
    ///
    /// # Panics
    /// If there is no such worker.
    #[must_use]
    pub fn flag_cells(&self, worker: usize, set: &Arc<FlagSet>) -> Arc<FlagCells> {
        assert!(worker < self.workers.len(), "there is no worker {worker}");
        self.flags.cells(worker, set)
    }

    /// The same of the flag API's thread.
    #[must_use]
    pub fn ofrep_flag_cells(&self, set: &Arc<FlagSet>) -> Arc<FlagCells> {
        self.flags.cells(self.workers.len(), set)
    }

    /// Evaluations of flags so far.
    #[must_use]
    pub fn flag_counts(&self) -> Vec<FlagCount> {
        self.flags.counts()
    }

    /// The cell of the flag API; its figures are exported from the first call on.
    #[must_use]
    pub fn ofrep(&self) -> Arc<OfrepCell> {
        Arc::clone(self.ofrep.get_or_init(Arc::default))
    }

    /// The same, where there is a flag API.
    pub(super) fn ofrep_cell(&self) -> Option<&OfrepCell> {
        self.ofrep.get().map(|cell| &**cell)
    }

    /// The cell of one worker for the requests of one version for which `flag` has this variant: the same one for the same
    /// names. Takes a lock: ask when a plan comes in force, not in a request.
    ///
    /// # Panics
    /// If there is no such worker.
    #[must_use]
    pub fn variant(
        &self,
        worker: usize,
        service: &Arc<str>,
        version: &Arc<str>,
        flag: &Arc<str>,
        variant: &str,
    ) -> Arc<ArmCell> {
        self.variants.cell((worker, self.workers.len()), (service, version), flag, variant)
    }

    /// The cell of one worker for the requests of one version that are a control arm: the same one for the same names. Takes a
    /// lock: ask when a plan comes in force, not in a request.
    ///
    /// # Panics
    /// If there is no such worker.
    #[must_use]
    pub fn control_arm(&self, worker: usize, service: &Arc<str>, version: &Arc<str>) -> Arc<ArmCell> {
        let mut arms = self.control_arms.lock().unwrap_or_else(PoisonError::into_inner);
        let cells = arms
            .entry((Arc::clone(service), Arc::clone(version)))
            .or_insert_with(|| self.workers.iter().map(|_| Arc::new(ArmCell::new())).collect());
        Arc::clone(&cells[worker])
    }

    /// One worker's cells for copies of requests to one version: the same ones for the same names. Takes a lock: ask when a plan comes in force, not in a request.
    ///
    /// # Panics
    /// If the registry was made for fewer workers.
    #[must_use]
    pub fn shadow(&self, worker: usize, service: &str, version: &str) -> ShadowCells {
        self.shadows.cells((worker, self.workers.len()), (service, version), self.made)
    }

    /// Figures of comparisons.
    #[must_use]
    pub fn diffs(&self) -> &DiffFigures {
        &self.diffs
    }

    /// How many workers there are.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// The cell of one worker for what belongs to no version.
    ///
    /// # Panics
    /// If there is no such worker.
    #[must_use]
    pub fn worker(&self, worker: usize) -> Arc<WorkerCell> {
        Arc::clone(&self.workers[worker])
    }

    /// The cell for the handshakes of the listener with this name: the same one for the same name.
    #[must_use]
    pub fn handshakes(&self, listener: &str) -> Arc<HandshakeCell> {
        let mut handshakes = self.handshakes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(handshakes.entry(listener.into()).or_default())
    }

    /// Handshakes so far, by listener.
    pub(super) fn handshake_counts(&self) -> Vec<(Arc<str>, [u64; Handshake::ALL.len()])> {
        let handshakes = self.handshakes.lock().unwrap_or_else(PoisonError::into_inner);
        handshakes.iter().map(|(listener, cell)| (Arc::clone(listener), cell.counts())).collect()
    }

    /// The control plane's figures.
    #[must_use]
    pub fn control(&self) -> &ControlFigures {
        &self.control
    }

    /// Figures of health.
    #[must_use]
    pub fn health(&self) -> &HealthFigures {
        &self.health
    }

    /// Figures of the journal.
    #[must_use]
    pub fn journal(&self) -> &JournalFigures {
        &self.journal
    }

    /// Figures of the admin API.
    #[must_use]
    pub fn admin(&self) -> &AdminFigures {
        &self.admin
    }

    /// Figures of who is told of events.
    #[must_use]
    pub fn events(&self) -> &EventFigures {
        &self.events
    }

    /// When the process started.
    #[must_use]
    pub fn started(&self) -> SystemTime {
        self.started
    }

    /// What times in flight are counted from.
    #[cfg(test)]
    pub(super) fn made(&self) -> Instant {
        self.made
    }

    /// Reads all cells and adds them up over the workers.
    #[must_use]
    pub fn snapshot(&self) -> RegistrySnapshot {
        // Before anything is read: ages counted up to then are short rather than long.
        self.snapshot_at(Instant::now())
    }

    /// The snapshot that is taken at `now`.
    pub(super) fn snapshot_at(&self, now: Instant) -> RegistrySnapshot {
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let merged = versions.iter().map(|((service, version), cells)| {
            let mut total = VersionSnapshot::empty(Arc::clone(service), Arc::clone(version));
            cells.iter().for_each(|cell| cell.add_to(&mut total));
            total
        });
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let of_faults = faults.iter().map(|((service, version, fault), cell)| cell.snapshot(service, version, fault));
        let control_arms = self.control_arms.lock().unwrap_or_else(PoisonError::into_inner);
        let arms = control_arms.iter().map(|((service, version), cells)| {
            let mut figures = ArmFigures::default();
            cells.iter().for_each(|cell| cell.add_to(&mut figures));
            ControlArmSnapshot { service: Arc::clone(service), version: Arc::clone(version), figures }
        });
        let migrations = self.migrations.lock().unwrap_or_else(PoisonError::into_inner);
        RegistrySnapshot {
            at: now.saturating_duration_since(self.made),
            versions: merged.collect(),
            faults: of_faults.collect(),
            migrations: migrations.iter().map(|(service, cell)| cell.snapshot(service)).collect(),
            variants: self.variants.snapshot(),
            control_arms: arms.collect(),
            shadows: self.shadows.snapshot(),
            workers: self.workers.iter().map(|cell| cell.snapshot()).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
