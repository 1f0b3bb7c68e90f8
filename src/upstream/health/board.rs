//! All versions of all services, and the control plane's work on them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::checks::Checks;
use super::roster::Change;
use super::version::{News, VersionHealth};
use crate::plan::{Plan, Service, Standing, Version, VersionId, VersionSet};
use crate::telemetry::{AddressUp, Registry, WeightShare};
use crate::upstream::resolve::Resolver;

/// The health of all versions of all services; shared by workers and control plane.
#[derive(Debug)]
pub struct Health {
    workers: usize,
    services: ArcSwap<Services>,
    /// Wakes [`Self::run`].
    signal: Arc<Notify>,
}

/// By service, then by version.
type Services = HashMap<Arc<str>, Watched>;

#[derive(Debug)]
struct Watched {
    health: Arc<ServiceHealth>,
    versions: HashMap<Arc<str>, Arc<VersionHealth>>,
}

/// The health of all versions of one service together, so that a request need not look at each.
#[derive(Debug, Default)]
pub struct ServiceHealth {
    down: AtomicU32,
}

impl ServiceHealth {
    /// Whether every version can take requests. What a reload took away may count for a moment longer, so `false` says
    /// only that the versions have to be asked.
    #[must_use]
    pub fn all_up(&self) -> bool {
        self.down.load(Relaxed) == 0
    }

    /// One of the versions went down, or came up.
    pub(super) fn changed(&self, down: bool) {
        if down {
            self.down.fetch_add(1, Relaxed);
        } else {
            self.down.fetch_sub(1, Relaxed);
        }
    }
}

impl Health {
    /// The health of all that is in `plan`, for this many workers.
    #[must_use]
    pub fn new(workers: usize, plan: &Plan, resolver: &Resolver) -> Self {
        let this = Self { workers, services: ArcSwap::default(), signal: Arc::default() };
        this.follow(plan, resolver);
        this
    }

    /// Follows the plan that is to be published next. What answers where it did before keeps its state.
    pub fn follow(&self, plan: &Plan, resolver: &Resolver) {
        let before = self.services.load();
        let services = plan.services.iter().map(|service| {
            let old = before.get(&service.name);
            let health = old.map(|old| Arc::clone(&old.health)).unwrap_or_default();
            let versions = service.versions.iter().map(|version| {
                let same = old.and_then(|old| old.versions.get(&version.name));
                let same = same.filter(|known| known.spec == version.upstream).map(Arc::clone);
                let known = same.unwrap_or_else(|| Arc::new(self.watch(service, version, &health, resolver)));
                known.set_rules(service.outliers, version.health.as_ref());
                (Arc::clone(&version.name), known)
            });
            let versions = versions.collect();
            (Arc::clone(&service.name), Watched { health, versions })
        });
        self.services.store(Arc::new(services.collect()));
        self.signal.notify_one();
    }

    fn watch(
        &self,
        service: &Service,
        version: &Version,
        siblings: &Arc<ServiceHealth>,
        resolver: &Resolver,
    ) -> VersionHealth {
        VersionHealth::new(service, version, self.workers, Arc::clone(siblings), Arc::clone(&self.signal), resolver)
    }

    /// The health of a service.
    #[must_use]
    pub fn service(&self, name: &str) -> Arc<ServiceHealth> {
        self.services.load().get(name).map(|watched| Arc::clone(&watched.health)).unwrap_or_default()
    }

    /// The health of a version. One of a plan that was overtaken already is watched by nobody; the worker that asked
    /// moves on to the next plan with its next request.
    #[must_use]
    pub fn version(&self, service: &Service, version: &Version, resolver: &Resolver) -> Arc<VersionHealth> {
        let known = self.known(&service.name, &version.name).filter(|known| known.spec == version.upstream);
        known.unwrap_or_else(|| Arc::new(self.watch(service, version, &Arc::default(), resolver)))
    }

    /// The health of a version by its names; `None` where the plan last followed has none.
    #[must_use]
    pub fn known(&self, service: &str, version: &str) -> Option<Arc<VersionHealth>> {
        self.services.load().get(service)?.versions.get(version).map(Arc::clone)
    }

    /// The versions of a service that can take requests.
    #[must_use]
    pub fn up(&self, service: &Service) -> VersionSet {
        let versions = service.versions.iter().enumerate();
        let down = versions
            .filter(|(_, version)| self.known(&service.name, &version.name).is_some_and(|health| !health.is_up()));
        down.fold(VersionSet::ALL, |up, (position, _)| up.without(VersionId::from_index(position)))
    }

    /// The control plane's part, for as long as it is polled. `plan`: the one in force.
    pub async fn run(&self, plan: impl Fn() -> Arc<Plan>, registry: &Arc<Registry>, resolver: &Resolver) {
        let mut checks = Checks::new(Arc::clone(registry));
        loop {
            let services = self.services.load_full();
            let versions = || services.values().flat_map(|watched| watched.versions.values());
            let now = Instant::now();
            let due = versions().filter_map(|version| version.tick(now)).min();
            // After that, as it takes over newly resolved addresses.
            checks.follow(versions());
            for version in versions() {
                version.take_news().into_iter().for_each(|news| tell(version, &news, registry));
            }
            self.report(&plan(), registry);
            let due = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.signal.notified() => {}
                () = resolver.changed() => {}
                () = due => {}
            }
        }
    }

    fn report(&self, plan: &Plan, registry: &Registry) {
        let (mut effective, mut addresses) = (Vec::new(), Vec::new());
        for service in &plan.services {
            let up = self.up(service);
            let standing = Standing::of(service, &plan.flags);
            for (position, version) in service.versions.iter().enumerate() {
                let names = || (Arc::clone(&service.name), Arc::clone(&version.name));
                let id = VersionId::from_index(position);
                let share = match &standing {
                    Some(standing) => standing.share(&service.split, id, up),
                    None => service.split.share_among(id, up),
                };
                let ((name, of), health) = (names(), self.known(&service.name, &version.name));
                effective.push(WeightShare { service: name, version: of, share });
                for state in health.iter().flat_map(|health| health.addresses()) {
                    let ((service, version), up) = (names(), state.is_used());
                    addresses.push(AddressUp { service, version, address: state.address, up });
                }
            }
        }
        registry.health().set(effective, addresses);
    }
}

/// Says what happened, once.
fn tell(version: &VersionHealth, news: &News, registry: &Registry) {
    let (service, name) = (&version.service, &version.version);
    match news {
        News::Address(address, change, complaint) => {
            if let Some(why) = change.ejection() {
                registry.health().ejected(service, name, why);
            }
            match change {
                Change::Ejected(why, long) => {
                    let reason = why.label();
                    tracing::warn!(%service, version = %name, %address, reason, "ejected for {long:?}");
                }
                Change::Unwell => {
                    let complaint = complaint.as_deref().unwrap_or_default();
                    tracing::warn!(%service, version = %name, %address, complaint, "unhealthy: its checks fail");
                }
                Change::Returned => tracing::info!(%service, version = %name, %address, "its ejection is over"),
                Change::Well => tracing::info!(%service, version = %name, %address, "healthy again"),
            }
        }
        News::Version { down: true } => {
            tracing::warn!(%service, version = %name, "no address can take requests: its share goes to the other versions");
        }
        News::Version { down: false } => {
            tracing::info!(%service, version = %name, "takes its share again");
        }
    }
}
