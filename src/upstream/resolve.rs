//! Names to addresses, off the request path.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::lookup_host;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The addresses a name stands for right now; none until it was resolved once.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    addresses: ArcSwap<Vec<SocketAddr>>,
    looked_up: AtomicBool,
    /// Being looked up, or about to be.
    claimed: AtomicBool,
    first: Notify,
}

/// By name and port, what is known of those that somebody still holds.
type Names = HashMap<(Arc<str>, u16), Weak<Resolved>>;

/// Most addresses of one name that are used.
const MAX_ADDRESSES: usize = 256;
/// Most names looked up at the same time; each takes a thread while it is waited for.
const AT_ONCE: usize = 16;

/// What a look-up gives.
pub(super) type Found = io::Result<Vec<SocketAddr>>;
pub(super) type LookingUp = Pin<Box<dyn Future<Output = Found> + Send>>;

/// Keeps the addresses of every DNS name in use up to date.
///
/// Workers ask for a name once and then only read; the control plane does the looking up, several names at a time, so
/// that one whose servers are silent holds up no other. Names that no pool holds any more are forgotten.
pub struct Resolver {
    names: Mutex<Names>,
    added: Notify,
    changed: Notify,
    look_up: Box<dyn Fn(Arc<str>, u16) -> LookingUp + Send + Sync>,
}

impl Default for Resolver {
    /// Asks the system.
    fn default() -> Self {
        Self::asking(|name, port| Box::pin(async move { Ok(lookup_host((&*name, port)).await?.collect()) }))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Resolver {
    /// Asks `look_up`.
    pub(super) fn asking(look_up: impl Fn(Arc<str>, u16) -> LookingUp + Send + Sync + 'static) -> Self {
        let (names, added, changed) = (Mutex::default(), Notify::default(), Notify::default());
        Self { names, added, changed, look_up: Box::new(look_up) }
    }

    /// The addresses of `name`, kept up to date from now on.
    #[must_use]
    pub(super) fn watch(&self, name: &Arc<str>, port: u16) -> Arc<Resolved> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (Arc::clone(name), port);
        if let Some(known) = names.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        let fresh = Arc::<Resolved>::default();
        names.insert(key, Arc::downgrade(&fresh));
        self.added.notify_one();
        fresh
    }

    /// Waits until the addresses of a name have changed since this was waited for last, or it was looked up in vain for
    /// the first time. For one waiter.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Resolves every name now and then every `interval()`, for as long as it is polled.
    pub async fn run(&self, interval: impl Fn() -> Duration) {
        let mut running: JoinSet<(Arc<str>, Arc<Resolved>, Found)> = JoinSet::new();
        let mut waiting: VecDeque<(Arc<str>, u16, Arc<Resolved>)> = VecDeque::new();
        let mut round = Instant::now();
        loop {
            let due = round <= Instant::now();
            if due {
                round = Instant::now() + interval();
            }
            // One that is still being looked up, or waiting for it, has no need of a second time.
            let wanted = |resolved: &Resolved| due || !resolved.looked_up.load(Ordering::Acquire);
            waiting.extend(self.known().into_iter().filter(|(_, _, resolved)| wanted(resolved) && resolved.claim()));
            while running.len() < AT_ONCE
                && let Some((name, port, resolved)) = waiting.pop_front()
            {
                let looking = (self.look_up)(Arc::clone(&name), port);
                running.spawn(async move { (name, resolved, looking.await) });
            }
            tokio::select! {
                () = tokio::time::sleep_until(round) => {}
                () = self.added.notified() => {}
                Some(done) = running.join_next() => {
                    // Closed only where the runtime is; a look-up does not panic.
                    if let Ok((name, resolved, found)) = done && resolved.keep(found, &name) {
                        self.changed.notify_one();
                    }
                }
            }
        }
    }

    fn known(&self) -> Vec<(Arc<str>, u16, Arc<Resolved>)> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.retain(|_, resolved| resolved.strong_count() > 0);
        let known = names.iter().filter_map(|((name, port), known)| Some((Arc::clone(name), *port, known.upgrade()?)));
        known.collect()
    }
}

impl Resolved {
    /// The addresses known now.
    pub(super) fn load(&self) -> Arc<Vec<SocketAddr>> {
        self.addresses.load_full()
    }

    /// Waits until the name was looked up once, whatever came of it.
    pub(super) async fn looked_up(&self) {
        let mut first = std::pin::pin!(self.first.notified());
        first.as_mut().enable();
        if !self.looked_up.load(Ordering::Acquire) {
            first.await;
        }
    }

    /// Whether it was looked up once.
    pub(super) fn is_looked_up(&self) -> bool {
        self.looked_up.load(Ordering::Acquire)
    }

    /// Whether the caller is the one to look it up.
    fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::AcqRel)
    }

    /// Takes over what was found; whether that changed anything. Where nothing was, the last known addresses stay in use:
    /// a DNS outage is no outage of the upstream.
    fn keep(&self, found: Found, name: &str) -> bool {
        let changed = match found {
            Ok(found) => self.take_over(found, name),
            Err(error) => {
                tracing::warn!(%name, %error, "cannot resolve an upstream's name; keeping what is known");
                false
            }
        };
        let first = !self.looked_up.swap(true, Ordering::AcqRel);
        self.first.notify_waiters();
        self.claimed.store(false, Ordering::Release);
        changed || first
    }

    fn take_over(&self, mut found: Vec<SocketAddr>, name: &str) -> bool {
        found.truncate(MAX_ADDRESSES);
        found.sort_unstable();
        found.dedup();
        let changed = !found.is_empty() && **self.addresses.load() != found;
        if changed {
            tracing::info!(%name, addresses = ?found, "resolved an upstream's name");
            self.addresses.store(Arc::new(found));
        }
        changed
    }
}

#[cfg(test)]
mod tests;
