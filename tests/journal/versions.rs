//! Versions with a store of their own that honour idempotency keys.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::upstream::Upstream;

/// A version.
pub(crate) struct Version {
    pub(crate) upstream: Upstream,
    store: Arc<Store>,
}

#[derive(Default)]
struct Store {
    /// The bodies put under each path, in order.
    done: Mutex<HashMap<String, Vec<String>>>,
    /// Idempotency keys that were seen.
    seen: Mutex<HashSet<String>>,
    /// The status of every answer, having done nothing; 0: as it should be.
    ill: AtomicU16,
}

impl Version {
    pub(crate) fn new() -> Self {
        let store = Arc::<Store>::default();
        let own = Arc::clone(&store);
        let upstream = Upstream::scripted(move |connection| {
            while let Some(request) = connection.request() {
                let ill = own.ill.load(Ordering::SeqCst);
                if ill != 0 {
                    connection.send(format!("HTTP/1.1 {ill} Ill\r\ncontent-length: 0\r\n\r\n"));
                    continue;
                }
                let key = request.header("idempotency-key").expect("every write has one");
                let path = request.request_line().split(' ').nth(1).expect("a path").to_owned();
                // Under one lock, so that the order of the keys is that of the store.
                let mut done = own.done.lock().expect("no one panics with it");
                if own.seen.lock().expect("no one panics with it").insert(key) {
                    done.entry(path).or_default().push(String::from_utf8_lossy(&request.body).into_owned());
                }
                drop(done);
                connection.send("HTTP/1.1 204 No Content\r\n\r\n");
            }
        });
        Self { upstream, store }
    }

    /// Has it answer everything with this status; 0: as it should.
    pub(crate) fn answer(&self, status: u16) {
        self.store.ill.store(status, Ordering::SeqCst);
    }

    /// What was put under each path, in order.
    pub(crate) fn done(&self) -> HashMap<String, Vec<String>> {
        self.store.done.lock().expect("no one panics with it").clone()
    }

    pub(crate) fn of(&self, path: &str) -> Vec<String> {
        self.done().remove(path).unwrap_or_default()
    }
}
