//! The addresses of one version and who of them is in use.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::address::{AddressHealth, Witness};
use super::board::ServiceHealth;
use super::roster::{Change, Changes, Roster, Streaks};
use crate::plan::{Address, HealthCheck, Outliers, Service, UpstreamSpec, Version};
use crate::telemetry::Ejection;
use crate::upstream::address::{Secure, Target};
use crate::upstream::resolve::{Resolved, Resolver};

/// What is known of the addresses of one version, for as long as it answers at the same place.
#[derive(Debug)]
pub struct VersionHealth {
    pub(super) service: Arc<str>,
    pub(super) version: Arc<str>,
    pub(super) spec: Arc<UpstreamSpec>,
    fixed: Vec<(Target, Arc<str>)>,
    names: Vec<Name>,
    workers: usize,
    /// All versions of the service together.
    siblings: Arc<ServiceHealth>,
    /// Wakes the control plane.
    signal: Arc<Notify>,
    /// No address can take requests.
    down: AtomicBool,
    /// Failures in a row that eject; 0: none do.
    most_in_a_row: AtomicU32,
    compares_rates: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct Name {
    resolved: Arc<Resolved>,
    host: Arc<str>,
    secure: Option<Arc<Secure>>,
}

#[derive(Debug)]
struct State {
    roster: Roster,
    /// In the roster's order.
    addresses: Vec<Arc<AddressHealth>>,
    /// Why the last check of each failed.
    complaints: Vec<Option<Arc<str>>>,
    /// The addresses that `addresses` was made of, by name.
    followed: Vec<Arc<Vec<SocketAddr>>>,
    check: Option<Arc<HealthCheck>>,
    news: Vec<News>,
}

/// What happened, for the log and the figures.
#[derive(Debug)]
pub(super) enum News {
    /// To an address; why its checks fail where that is it.
    Address(Arc<str>, Change, Option<Arc<str>>),
    /// No address can take requests any more, or one can again.
    Version { down: bool },
}

/// An address of a version as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressState {
    /// `address:port`, or `unix:/path`.
    pub address: Arc<str>,
    /// Why its checks fail; `None`: they do not, or it is not checked.
    pub unhealthy: Option<Arc<str>>,
    /// How long it is still ejected; `None`: it is not.
    pub ejected_for: Option<Duration>,
}

impl AddressState {
    /// Whether requests may go there.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.unhealthy.is_none() && self.ejected_for.is_none()
    }
}

impl VersionHealth {
    pub(super) fn new(
        service: &Service,
        version: &Version,
        workers: usize,
        siblings: Arc<ServiceHealth>,
        signal: Arc<Notify>,
        resolver: &Resolver,
    ) -> Self {
        let (mut fixed, mut names) = (Vec::new(), Vec::new());
        for address in &version.upstream.addresses {
            let host = address.to_string().into();
            let secure = match version.upstream.tls.as_ref().map(|tls| Secure::new(tls, address)) {
                None => None,
                Some(Some(secure)) => Some(secure),
                // `config` and `control` rule this out; if not, then rather no address than one without TLS.
                Some(None) => continue,
            };
            match address {
                Address::Ip(address) => fixed.push((Target::Ip(*address).inside(secure), host)),
                Address::Unix(path) => fixed.push((Target::Unix(path.clone()).inside(secure), host)),
                Address::Name(name, port) => names.push(Name { resolved: resolver.watch(name, *port), host, secure }),
            }
        }
        let roster = Roster::new(service.outliers, streaks(version.health.as_deref()), Instant::now());
        let state = State {
            roster,
            addresses: Vec::new(),
            complaints: Vec::new(),
            followed: names.iter().map(|_| Arc::default()).collect(),
            check: version.health.clone(),
            news: Vec::new(),
        };
        let this = Self {
            service: Arc::clone(&service.name),
            version: Arc::clone(&version.name),
            spec: Arc::clone(&version.upstream),
            fixed,
            names,
            workers,
            siblings,
            signal,
            down: AtomicBool::new(false),
            most_in_a_row: AtomicU32::new(0),
            compares_rates: AtomicBool::new(false),
            state: Mutex::new(state),
        };
        this.set_limits(&service.outliers);
        this.refill(&mut this.state());
        this
    }

    /// Goes on under the rules that a plan has for it.
    pub(super) fn set_rules(&self, outliers: Outliers, check: Option<&Arc<HealthCheck>>) {
        self.set_limits(&outliers);
        let mut state = self.state();
        state.check = check.cloned();
        let changes = state.roster.set_rules(outliers, streaks(check.map(|check| &**check)), Instant::now());
        self.publish(&mut state, &changes);
    }

    fn set_limits(&self, outliers: &Outliers) {
        self.most_in_a_row.store(outliers.consecutive_failures, Relaxed);
        self.compares_rates.store(outliers.success_rate.is_some(), Relaxed);
    }

    /// Whether any address can take requests, as far as is known.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !self.down.load(Relaxed)
    }

    pub(super) fn compares_rates(&self) -> bool {
        self.compares_rates.load(Relaxed)
    }

    /// The names among the addresses, whose own change means that [`Self::witnesses`] have changed.
    pub(in crate::upstream) fn names(&self) -> impl Iterator<Item = &Arc<Resolved>> {
        self.names.iter().map(|name| &name.resolved)
    }

    /// All addresses there are now, for one worker. Takes a lock: ask when they may have changed, not in every request.
    pub(in crate::upstream) fn witnesses(self: &Arc<Self>, worker: usize) -> Vec<Witness> {
        let mut state = self.state();
        self.follow_names(&mut state);
        let witness = |address: &Arc<AddressHealth>| Witness::new(Arc::clone(self), Arc::clone(address), worker);
        state.addresses.iter().map(witness).collect()
    }

    /// So many requests in a row have failed at an address. Called by workers: never waits.
    pub(super) fn failed_in_a_row(&self, address: &Arc<AddressHealth>, in_a_row: u32) {
        let most = self.most_in_a_row.load(Relaxed);
        if most == 0 || in_a_row < most || address.out.load(Relaxed) {
            return;
        }
        match self.state.try_lock() {
            Ok(mut state) => {
                if self.eject_failing(&mut state, address) {
                    self.signal.notify_one();
                }
            }
            // Somebody is at it, or died at it: the control plane looks.
            Err(TryLockError::WouldBlock | TryLockError::Poisoned(_)) => self.signal.notify_one(),
        }
    }

    /// Whether that changed anything.
    fn eject_failing(&self, state: &mut State, address: &Arc<AddressHealth>) -> bool {
        let Some(position) = position(state, address) else { return false };
        let changes = state.roster.failed_in_a_row(position, Instant::now());
        self.publish(state, &changes);
        !changes.is_empty()
    }

    /// A check of an address passed, or failed with a complaint.
    pub(super) fn checked(&self, address: &Arc<AddressHealth>, result: Result<(), Arc<str>>) {
        let mut state = self.state();
        let Some(position) = position(&state, address) else { return };
        let good = result.is_ok();
        state.complaints[position] = result.err();
        let changes = state.roster.checked(position, good, Instant::now());
        if !changes.is_empty() {
            self.publish(&mut state, &changes);
            self.signal.notify_one();
        }
    }

    /// Does what is due; says when something will be next.
    pub(super) fn tick(&self, now: Instant) -> Option<Instant> {
        let mut state = self.state();
        self.follow_names(&mut state);
        let evidence: Vec<_> = state.addresses.iter().map(|address| address.evidence()).collect();
        let changes = state.roster.tick(now, &evidence);
        self.publish(&mut state, &changes);
        // Those that failed while the lock was taken.
        let most = self.most_in_a_row.load(Relaxed);
        let failing = |address: &&Arc<AddressHealth>| {
            most > 0 && address.in_a_row.load(Relaxed) >= most && !address.out.load(Relaxed)
        };
        for address in state.addresses.clone().iter().filter(failing) {
            self.eject_failing(&mut state, address);
        }
        state.roster.due()
    }

    /// What happened since this was asked last.
    pub(super) fn take_news(&self) -> Vec<News> {
        std::mem::take(&mut self.state().news)
    }

    /// The addresses to ask, and how.
    pub(super) fn checks(&self) -> Option<(Arc<HealthCheck>, Vec<Arc<AddressHealth>>)> {
        let state = self.state();
        state.check.clone().map(|check| (check, state.addresses.clone()))
    }

    /// All addresses as people see them.
    #[must_use]
    pub fn addresses(&self) -> Vec<AddressState> {
        let (state, now) = (self.state(), Instant::now());
        let members = state.addresses.iter().enumerate();
        members
            .map(|(position, address)| AddressState {
                address: Arc::clone(&address.label),
                unhealthy: (!state.roster.is_well(position))
                    .then(|| state.complaints[position].clone().unwrap_or_else(|| "its checks failed".into())),
                ejected_for: state.roster.ejected_until(position).map(|until| until.saturating_duration_since(now)),
            })
            .collect()
    }

    /// Takes over newly resolved addresses.
    fn follow_names(&self, state: &mut State) {
        let mut followed = self.names.iter().zip(&state.followed);
        if followed.any(|(name, followed)| !Arc::ptr_eq(&name.resolved.load(), followed)) {
            self.refill(state);
        }
        // A look-up that found nothing changes this, too.
        self.set_down(state);
    }

    fn refill(&self, state: &mut State) {
        state.followed = self.names.iter().map(|name| name.resolved.load()).collect();
        let named = self.names.iter().zip(&state.followed);
        let named = named.flat_map(|(name, found)| {
            let target = |ip: &SocketAddr| Target::Ip(*ip).inside(name.secure.clone());
            found.iter().map(move |ip| (target(ip), Arc::clone(&name.host)))
        });
        let old = std::mem::take(&mut state.addresses);
        let complaints = std::mem::take(&mut state.complaints);
        let mut former = Vec::new();
        for (target, host) in self.fixed.iter().cloned().chain(named.collect::<Vec<_>>()) {
            if state.addresses.iter().any(|known| known.target == target) {
                continue;
            }
            let known = old.iter().position(|known| known.target == target);
            former.push(known);
            state.complaints.push(known.and_then(|at| complaints[at].clone()));
            state.addresses.push(match known {
                Some(at) => Arc::clone(&old[at]),
                None => Arc::new(AddressHealth::new(target, host, self.workers)),
            });
        }
        let changes = state.roster.set_members(&former, Instant::now());
        self.publish(state, &changes);
    }

    /// Lets the workers know, and notes what there is to say.
    fn publish(&self, state: &mut State, changes: &Changes) {
        for (position, change) in changes {
            let address = &state.addresses[*position];
            if matches!(change, Change::Returned | Change::Well) {
                // What was before does not count against it again.
                address.in_a_row.store(0, Relaxed);
            }
            let complaint = state.complaints[*position].clone().filter(|_| *change == Change::Unwell);
            state.news.push(News::Address(Arc::clone(&address.label), *change, complaint));
        }
        for (position, address) in state.addresses.iter().enumerate() {
            let out = !state.roster.is_used(position);
            if address.out.load(Relaxed) != out {
                address.out.store(out, Relaxed);
            }
        }
        self.set_down(state);
    }

    fn set_down(&self, state: &mut State) {
        let in_use = (0..state.addresses.len()).any(|position| state.roster.is_used(position));
        // Before its names are looked up nothing is known against it.
        let unknown = self.names.iter().any(|name| !name.resolved.is_looked_up());
        let down = !in_use && !unknown;
        if self.down.swap(down, Relaxed) != down {
            self.siblings.changed(down);
            state.news.push(News::Version { down });
        }
    }

    /// Every change is whole before the lock is given back, so a panic elsewhere leaves nothing half done.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for VersionHealth {
    fn drop(&mut self) {
        if !self.is_up() {
            self.siblings.changed(false);
        }
    }
}

impl Change {
    /// Why it takes an address out of use, where it does.
    pub(super) fn ejection(self) -> Option<Ejection> {
        match self {
            Self::Ejected(why, _) => Some(why),
            Self::Unwell => Some(Ejection::HealthCheck),
            Self::Returned | Self::Well => None,
        }
    }
}

fn position(state: &State, address: &Arc<AddressHealth>) -> Option<usize> {
    state.addresses.iter().position(|known| Arc::ptr_eq(known, address))
}

fn streaks(check: Option<&HealthCheck>) -> Option<Streaks> {
    check.map(|check| Streaks { healthy_after: check.healthy_after, unhealthy_after: check.unhealthy_after })
}

#[cfg(test)]
mod tests;
