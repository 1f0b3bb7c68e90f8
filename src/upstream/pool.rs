//! The addresses of one version and this worker's connections to them.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::address::Endpoint;
use super::cap::Slot;
use super::h1::H1;
use super::h2::{H2, Stream};
use super::health::VersionHealth;
use super::lease::{Connection, Lease};
use super::trail::Trail;
use crate::plan::UpstreamSettings;
use crate::telemetry::{Failure, VersionCell};
use crate::wire::clock;

/// Where one version answers, as one worker sees it.
#[derive(Debug)]
pub struct Pool {
    pub(super) settings: UpstreamSettings,
    pub(super) cell: Arc<VersionCell>,
    health: Arc<VersionHealth>,
    worker: usize,
    endpoints: RefCell<Vec<Rc<Endpoint>>>,
    /// The addresses in use for each of the version's names.
    in_use: RefCell<Vec<Arc<Vec<SocketAddr>>>>,
    /// No plan names this pool any more: connections are closed instead of kept.
    retired: Cell<bool>,
    /// How requests end here is nobody's business but its own.
    apart: bool,
}

/// What one request wants of its connection.
#[derive(Debug, Default)]
pub struct Wish {
    /// Longest time to open one; `None`: as for every request.
    pub connect_timeout: Option<Duration>,
    /// An address that failed the request before: another one is taken where there is one.
    pub other_than: Option<Rc<Endpoint>>,
}

/// A connection for a request, or what it takes until there is one.
pub enum Leasing<'a> {
    /// One that was kept.
    Kept(Lease),
    /// One to be opened or waited for. Boxed: it is rare, and every request would carry the room for it.
    ///
    /// Fails as the last address tried does.
    Awaited(Pin<Box<dyn Future<Output = Result<Lease, Failure>> + 'a>>),
}

impl Pool {
    /// A pool without connections yet.
    #[must_use]
    pub fn new(settings: &UpstreamSettings, cell: Arc<VersionCell>, health: Arc<VersionHealth>, worker: usize) -> Self {
        Self::made(settings, cell, health, worker, false)
    }

    /// A pool for copies of requests, apart from the one that clients' requests go through: it has connections of its own,
    /// and how copies end never ejects an address. Which addresses are in use is the same for both.
    #[must_use]
    pub fn apart(
        settings: &UpstreamSettings,
        cell: Arc<VersionCell>,
        health: Arc<VersionHealth>,
        worker: usize,
    ) -> Self {
        Self::made(settings, cell, health, worker, true)
    }

    fn made(
        settings: &UpstreamSettings,
        cell: Arc<VersionCell>,
        health: Arc<VersionHealth>,
        worker: usize,
        apart: bool,
    ) -> Self {
        let in_use = health.names().map(|_| Arc::default()).collect();
        let pool = Self {
            settings: settings.clone(),
            cell,
            health,
            worker,
            endpoints: RefCell::default(),
            in_use: RefCell::new(in_use),
            retired: Cell::new(false),
            apart,
        };
        pool.refill();
        pool
    }

    /// What the whole process knows of the version's addresses.
    #[must_use]
    pub fn health(&self) -> &Arc<VersionHealth> {
        &self.health
    }

    /// The less busy of two addresses drawn at random from those in use, other than those in `tried`. Where none is in
    /// use, all are: whoever comes here all the same has nowhere else to go.
    ///
    /// Source: M. Mitzenmacher, "The power of two choices in randomized load balancing" (2001).
    fn choose(&self, rng: &mut fastrand::Rng, tried: &[Rc<Endpoint>]) -> Option<Rc<Endpoint>> {
        self.follow_names();
        let endpoints = self.endpoints.borrow();
        if let [only] = endpoints.as_slice() {
            return tried.is_empty().then(|| Rc::clone(only));
        }
        let all = !endpoints.iter().any(|e| e.witness.is_used());
        let left = || {
            let usable = endpoints.iter().filter(move |e| all || e.witness.is_used());
            usable.filter(|e| !tried.iter().any(|t| Rc::ptr_eq(t, e)))
        };
        let count = left().count();
        if count < 2 {
            return left().next().map(Rc::clone);
        }
        let first = rng.usize(..count);
        let second = (first + 1 + rng.usize(..count - 1)) % count;
        let (first, second) = (left().nth(first)?, left().nth(second)?);
        Some(Rc::clone(if second.pending.get() < first.pending.get() { second } else { first }))
    }

    /// A connection that a request can be sent on: a kept one, or a fresh one. An address that cannot be connected to
    /// is passed over for another one, since nothing was sent yet.
    ///
    /// `trail` follows to which address; it is for who asks to say if the time is over before this is.
    pub fn lease<'a>(
        self: &'a Rc<Self>,
        rng: &'a RefCell<fastrand::Rng>,
        h2: bool,
        wish: &'a Wish,
        trail: &'a Trail,
    ) -> Leasing<'a> {
        let chosen = match wish.other_than {
            None => self.choose(&mut rng.borrow_mut(), &[]),
            Some(_) => None,
        };
        if let Some(endpoint) = &chosen
            && !endpoint.cap.is_waited_for()
            && let Some(kept) = self.kept(endpoint, h2)
        {
            trail.leads_to(endpoint);
            return Leasing::Kept(Lease::new(kept, endpoint, self));
        }
        Leasing::Awaited(Box::pin(self.await_lease(chosen, rng, h2, wish, trail)))
    }

    /// `chosen`: the address to begin with, where one was chosen already.
    async fn await_lease(
        self: &Rc<Self>,
        mut chosen: Option<Rc<Endpoint>>,
        rng: &RefCell<fastrand::Rng>,
        h2: bool,
        wish: &Wish,
        trail: &Trail,
    ) -> Result<Lease, Failure> {
        self.await_names().await;
        let mut tried = Vec::new();
        let mut avoided = wish.other_than.as_ref();
        tried.extend(avoided.cloned());
        let mut last = Failure::NoAddress;
        loop {
            let Some(endpoint) = chosen.take().or_else(|| self.choose(&mut rng.borrow_mut(), &tried)) else {
                // Better the address that failed before than none.
                let Some(at) = avoided.take().and_then(|avoided| tried.iter().position(|e| Rc::ptr_eq(e, avoided)))
                else {
                    return Err(last);
                };
                tried.swap_remove(at);
                continue;
            };
            trail.leads_to(&endpoint);
            match self.connection(&endpoint, h2, wish.connect_timeout).await {
                Ok(lease) => return Ok(lease),
                Err(failure) => {
                    trail.ends();
                    endpoint.witness.failed(failure);
                    self.cell.upstream_failure(failure);
                    last = failure;
                    tried.push(endpoint);
                    if tried.len() == MAX_ADDRESSES_TRIED {
                        return Err(last);
                    }
                }
            }
        }
    }

    /// A plan is in force before its new names are looked up: the first requests wait for that, as for a connection.
    async fn await_names(&self) {
        if self.endpoints.borrow().is_empty() {
            let looking = async {
                for name in self.health.names() {
                    name.looked_up().await;
                }
            };
            // What then is not known fails the request.
            let _ = tokio::time::timeout(self.settings.connect_timeout, looking).await;
        }
    }

    /// `limit`: longest time to open one, where that is not as for every request.
    async fn connection(
        self: &Rc<Self>,
        endpoint: &Rc<Endpoint>,
        h2: bool,
        limit: Option<Duration>,
    ) -> Result<Lease, Failure> {
        let own = limit.map(|connect_timeout| UpstreamSettings { connect_timeout, ..self.settings.clone() });
        let settings = own.as_ref().unwrap_or(&self.settings);
        let slot = match self.kept_or_slot(endpoint, h2, settings.connect_timeout).await? {
            Ok(kept) => return Ok(Lease::new(kept, endpoint, self)),
            Err(slot) => slot,
        };
        let opened = if h2 {
            let cell = Arc::clone(&self.cell);
            let on_close = move || {
                cell.connection_closed();
                drop(slot);
            };
            H2::open(endpoint.witness.target(), settings, on_close).await.map(|open| {
                endpoint.h2.borrow_mut().push(open.clone());
                Connection::H2(Stream::on(open))
            })
        } else {
            let opened = H1::open(endpoint.witness.target(), settings).await;
            opened.map(|open| Connection::H1(Box::new(open.counted(slot))))
        };
        match opened {
            Ok(connection) => {
                self.cell.connection_opened();
                Ok(Lease::new(connection, endpoint, self))
            }
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => Err(Failure::ConnectTimeout),
            Err(_) => Err(Failure::Connect),
        }
    }

    /// A connection that is there already, or the right to open one; waits for either where there are as many as may be.
    async fn kept_or_slot(
        &self,
        endpoint: &Endpoint,
        h2: bool,
        limit: Duration,
    ) -> Result<Result<Connection, Slot>, Failure> {
        if !endpoint.cap.is_waited_for()
            && let Some(found) = self.try_kept_or_slot(endpoint, h2)
        {
            return Ok(found);
        }
        let waiting = async {
            loop {
                endpoint.cap.wait().await;
                if let Some(found) = self.try_kept_or_slot(endpoint, h2) {
                    return found;
                }
            }
        };
        tokio::time::timeout(limit, waiting).await.map_err(|_| Failure::ConnectTimeout)
    }

    /// A connection that is there already and takes one more request.
    fn kept(&self, endpoint: &Endpoint, h2: bool) -> Option<Connection> {
        if h2 {
            let open = endpoint.h2.borrow();
            return open.iter().find(|open| open.has_room()).map(|open| Connection::H2(Stream::on(open.clone())));
        }
        self.take_idle(endpoint).map(Connection::H1)
    }

    fn try_kept_or_slot(&self, endpoint: &Endpoint, h2: bool) -> Option<Result<Connection, Slot>> {
        if let Some(kept) = self.kept(endpoint, h2) {
            return Some(Ok(kept));
        }
        if let Some(slot) = endpoint.cap.slot() {
            return Some(Err(slot));
        }
        // An unused one of the other protocol makes room.
        if h2 {
            self.close_one_idle(endpoint);
        } else {
            endpoint.h2.borrow_mut().retain(|open| open.idle_since().is_none());
        }
        endpoint.cap.slot().map(Err)
    }

    fn close_one_idle(&self, endpoint: &Endpoint) {
        if endpoint.idle.borrow_mut().pop().is_some() {
            self.cell.connection_idle(-1);
            self.cell.connection_closed();
        }
    }

    /// The connection used last that is still good; those that are not are closed on the way.
    fn take_idle(&self, endpoint: &Endpoint) -> Option<Box<H1>> {
        let mut idle = endpoint.idle.borrow_mut();
        while let Some(mut kept) = idle.pop() {
            self.cell.connection_idle(-1);
            if kept.is_usable() {
                return Some(kept);
            }
            self.cell.connection_closed();
        }
        None
    }

    /// Keeps a connection for the next request, or closes it. Whether the upstream has closed it meanwhile is looked at
    /// when it is taken.
    pub(super) fn put(&self, endpoint: &Endpoint, mut connection: Box<H1>) {
        let mut idle = endpoint.idle.borrow_mut();
        let wanted = !self.retired.get() && !endpoint.gone.get() && idle.len() < self.settings.idle_connections;
        if !wanted || !connection.put_away() {
            self.cell.connection_closed();
            return;
        }
        connection.idle_since = clock::lately();
        self.cell.connection_idle(1);
        idle.push(connection);
        endpoint.cap.freed();
    }

    /// Closes connections that were unused for too long or that the upstream has closed.
    pub fn reap(&self, now: Instant) {
        let limit = self.settings.idle_timeout;
        for endpoint in self.endpoints.borrow().iter() {
            endpoint.idle.borrow_mut().retain_mut(|kept| {
                let keep = now.saturating_duration_since(kept.idle_since) < limit && kept.is_usable();
                if !keep {
                    self.cell.connection_idle(-1);
                    self.cell.connection_closed();
                }
                keep
            });
            endpoint.h2.borrow_mut().retain(|open| {
                !open.is_closed() && open.idle_since().is_none_or(|since| now.saturating_duration_since(since) < limit)
            });
        }
    }

    /// No plan names this pool any more: unused connections are closed now, the others when their request is done.
    pub fn retire(&self) {
        self.retired.set(true);
        for endpoint in self.endpoints.borrow().iter() {
            self.close_idle(endpoint);
        }
    }

    fn close_idle(&self, endpoint: &Endpoint) {
        for _closed in endpoint.idle.borrow_mut().drain(..) {
            self.cell.connection_idle(-1);
            self.cell.connection_closed();
        }
        endpoint.h2.borrow_mut().clear();
    }

    /// Takes over newly resolved addresses; connections to those that stay are kept.
    fn follow_names(&self) {
        let mut changed = false;
        for (name, in_use) in self.health.names().zip(self.in_use.borrow_mut().iter_mut()) {
            let resolved = name.load();
            if !Arc::ptr_eq(&resolved, in_use) {
                *in_use = resolved;
                changed = true;
            }
        }
        if changed {
            self.refill();
        }
    }

    fn refill(&self) {
        let mut endpoints = self.endpoints.borrow_mut();
        let mut old = std::mem::take(&mut *endpoints);
        for witness in self.health.witnesses(self.worker) {
            let witness = if self.apart { witness.silenced() } else { witness };
            let kept = old.iter().position(|known| known.witness.is_same(&witness));
            let kept = kept.map(|at| old.swap_remove(at));
            endpoints.push(kept.unwrap_or_else(|| Rc::new(Endpoint::new(witness, self.settings.connections))));
        }
        for gone in old {
            gone.gone.set(true);
            self.close_idle(&gone);
        }
    }
}

/// Addresses tried for one request before it fails.
const MAX_ADDRESSES_TRIED: usize = 3;
