//! Listeners, gates, journals and whoever else follows plans: the data plane as `control` drives it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::Journals;
use crate::access::Access;
use crate::config::{AdminSettings, Bind, Listener, ListenerTls};
use crate::control::{DataPlane, FlagsInForce};
use crate::diff::Evidence;
use crate::migration::gates::Facts;
use crate::migration::reconcile::Reconciler;
use crate::plan::{Plan, Service, VersionSet};
use crate::proxy::{Bound, Gate, ListenError, Shared, Workers};
use crate::stats::Alpha;
use crate::telemetry::Registry;
use crate::tls::Server;

/// The data plane as `control` drives it.
pub(super) struct Listening {
    pub(super) workers: Workers,
    pub(super) shared: Arc<Shared>,
    /// By what the workers know a listener by: its name and the address in use.
    pub(super) names: BTreeMap<Arc<str>, Entrance>,
    /// Tells the flag API, where there is one, of the flags in force.
    pub(super) flags: watch::Sender<FlagsInForce>,
    pub(super) admin: Option<AdminEntrance>,
    pub(super) journals: Journals,
    pub(super) reconciler: Arc<Reconciler>,
}

/// The admin address in use.
#[derive(Clone)]
pub(super) struct AdminEntrance {
    /// As configured.
    address: Bind,
    pub(super) gate: Arc<Gate>,
    pub(super) access: Arc<ArcSwap<Access>>,
}

impl AdminEntrance {
    pub(super) fn new(settings: &AdminSettings, registry: &Registry) -> Self {
        Self {
            address: settings.address.clone(),
            gate: Arc::new(Gate::new(server(settings.tls.as_ref()), registry.handshakes("admin"))),
            access: Arc::new(ArcSwap::from_pointee(settings.access.clone())),
        }
    }

    fn set(&self, settings: &AdminSettings) {
        // What is open at another address may not be open at the one in use until the next start.
        let open = settings.access.open && settings.address == self.address;
        self.access.store(Arc::new(Access { open, ..settings.access.clone() }));
        self.gate.set(server(settings.tls.as_ref()));
    }
}

/// A listener in use.
pub(super) struct Entrance {
    pub(super) name: String,
    pub(super) address: Bind,
    gate: Arc<Gate>,
}

impl Listening {
    pub(super) fn add(&mut self, listener: &Listener, bound: Bound) {
        let key = key(listener);
        let gate = Arc::new(Gate::new(server(listener.tls.as_ref()), self.shared.registry.handshakes(&listener.name)));
        let (name, address) = (listener.name.clone(), bound.address.clone());
        self.workers.listen(&key, bound, &gate);
        self.names.insert(key, Entrance { name, address, gate });
    }

    pub(super) fn bind(&self, address: &Bind) -> Result<Bound, ListenError> {
        let port = |bind: &Bind| match bind {
            Bind::Tcp(address) => Some(address.port()),
            Bind::Unix(_) => None,
        };
        let ours = port(address).is_some() && self.names.values().any(|used| port(&used.address) == port(address));
        let bind = if ours { Bound::beside_own } else { Bound::new };
        bind(address, self.workers.count())
    }
}

/// The TLS of an address, where it has any.
pub(super) fn server(tls: Option<&ListenerTls>) -> Option<Arc<Server>> {
    tls?.server.clone()
}

/// What the workers know a listener by: its address, so that a new name alone opens nothing; with port 0, which many may
/// have, its name too.
pub(super) fn key(listener: &Listener) -> Arc<str> {
    match &listener.address {
        Bind::Tcp(address) if address.port() == 0 => format!("{}@{address}", listener.name).into(),
        address => address.to_string().into(),
    }
}

impl DataPlane for Listening {
    fn up(&self, service: &Service) -> VersionSet {
        self.shared.health.up(service)
    }

    fn facts(&self, service: &str) -> Option<Facts> {
        self.reconciler.facts(service)
    }

    fn differences(&self, service: &str, to: &str, most: f64, alpha: Alpha) -> Option<Evidence> {
        self.shared.comparing.evidence(service, to, most, alpha)
    }

    fn open(&mut self, listeners: &[Listener]) -> Result<(), String> {
        let missing = listeners.iter().filter(|listener| !self.names.contains_key(&key(listener)));
        let bound = missing
            .map(|listener| Ok((listener.clone(), self.bind(&listener.address)?)))
            .collect::<Result<Vec<_>, ListenError>>()
            .map_err(|error| error.to_string())?;
        for (listener, bound) in bound {
            tracing::info!(listener = %listener.name, address = %bound.address, "listening");
            self.add(&listener, bound);
        }
        Ok(())
    }

    fn keep_journal(&mut self, plan: &Plan) -> Result<(), String> {
        self.journals.prepare(plan)
    }

    fn secure(&mut self, listeners: &[Listener]) {
        for listener in listeners {
            if let Some(entrance) = self.names.get(&key(listener)) {
                entrance.gate.set(server(listener.tls.as_ref()));
            }
        }
    }

    fn admit(&mut self, admin: Option<&AdminSettings>) {
        if let (Some(entrance), Some(settings)) = (&self.admin, admin) {
            entrance.set(settings);
        }
    }

    fn publish(&mut self, plan: &Arc<Plan>) {
        // First, so that workers find what they look for there.
        self.shared.health.follow(plan, &self.shared.resolver);
        // Made now, so that no worker has to.
        let _ = self.shared.registry.flag_cells(0, &plan.flags);
        self.journals.follow(plan);
        self.shared.plan.store(Arc::clone(plan));
        if let Err(error) = self.reconciler.follow(plan) {
            tracing::error!(%error, "nobody looks whether both sides of migrations agree");
        }
    }

    fn tell_of_flags(&mut self, flags: FlagsInForce) {
        self.flags.send_replace(flags);
    }

    fn close_others(&mut self, listeners: &[Listener]) {
        let wanted: Vec<_> = listeners.iter().map(key).collect();
        self.names.retain(|key, Entrance { name, address, .. }| {
            let stays = wanted.contains(key);
            if !stays {
                tracing::info!(listener = %name, %address, "no longer listening");
                self.workers.stop_listening(key);
            }
            stays
        });
    }
}
