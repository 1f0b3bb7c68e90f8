//! Names to addresses, off the request path.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::lookup_host;
use tokio::sync::Notify;

/// The addresses a name stands for right now; none until it was resolved once.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    addresses: ArcSwap<Vec<SocketAddr>>,
    looked_up: AtomicBool,
    first: Notify,
}

/// By name and port, what is known of those that somebody still holds.
type Names = HashMap<(Arc<str>, u16), Weak<Resolved>>;

/// Most addresses of one name that are used.
const MAX_ADDRESSES: usize = 256;

/// Keeps the addresses of every DNS name in use up to date.
///
/// Workers ask for a name once and then only read; one task on the control plane does the looking up. Names that no
/// pool holds any more are forgotten.
#[derive(Debug, Default)]
pub struct Resolver {
    names: Mutex<Names>,
    added: Notify,
}

impl Resolver {
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

    /// Resolves all names now and then every `interval()`, for as long as it is polled.
    pub async fn run(&self, interval: impl Fn() -> Duration) {
        loop {
            self.resolve_all().await;
            tokio::select! {
                () = tokio::time::sleep(interval()) => {}
                () = self.added.notified() => {}
            }
        }
    }

    async fn resolve_all(&self) {
        let names: Vec<_> = {
            let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            names.retain(|_, resolved| resolved.strong_count() > 0);
            names.iter().map(|(key, resolved)| (key.clone(), Weak::clone(resolved))).collect()
        };
        for ((name, port), resolved) in names {
            let Some(resolved) = resolved.upgrade() else { continue };
            match lookup_host((&*name, port)).await {
                Ok(found) => resolved.keep(found, &name),
                // The last known addresses stay in use: a DNS outage is no outage of the upstream.
                Err(error) => tracing::warn!(%name, %error, "cannot resolve an upstream's name; keeping what is known"),
            }
            resolved.mark_looked_up();
        }
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

    fn mark_looked_up(&self) {
        self.looked_up.store(true, Ordering::Release);
        self.first.notify_waiters();
    }

    fn keep(&self, found: impl Iterator<Item = SocketAddr>, name: &str) {
        let mut found: Vec<_> = found.take(MAX_ADDRESSES).collect();
        found.sort_unstable();
        found.dedup();
        if !found.is_empty() && **self.addresses.load() != found {
            tracing::info!(%name, addresses = ?found, "resolved an upstream's name");
            self.addresses.store(Arc::new(found));
        }
    }
}
