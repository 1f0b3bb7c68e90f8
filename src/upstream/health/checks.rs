//! Asking addresses, one task each.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::address::AddressHealth;
use super::probe::probe;
use super::version::VersionHealth;
use crate::plan::HealthCheck;
use crate::telemetry::{CheckResult, Registry};

/// The addresses that are being asked.
#[derive(Debug)]
pub(super) struct Checks {
    registry: Arc<Registry>,
    /// By what is known of the address: each has its own as long as its task holds it.
    running: HashMap<usize, Running>,
}

#[derive(Debug)]
struct Running {
    check: Arc<HealthCheck>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Checks {
    pub(super) fn new(registry: Arc<Registry>) -> Self {
        Self { registry, running: HashMap::new() }
    }

    /// Asks all addresses of `versions` that are to be asked, and no others. Who is asked in the same way as before is not
    /// disturbed.
    pub(super) fn follow<'a>(&mut self, versions: impl Iterator<Item = &'a Arc<VersionHealth>>) {
        let mut before = std::mem::take(&mut self.running);
        for version in versions {
            let Some((check, addresses)) = version.checks() else { continue };
            for address in addresses {
                let key = Arc::as_ptr(&address).addr();
                let same = before.remove(&key).filter(|running| running.check == check);
                let running = same.unwrap_or_else(|| {
                    let asking = ask(Arc::downgrade(version), address, Arc::clone(&check), Arc::clone(&self.registry));
                    Running { check: Arc::clone(&check), task: tokio::spawn(asking) }
                });
                self.running.insert(key, running);
            }
        }
    }
}

/// Asks one address again and again. The first time is drawn from the whole interval, so that neither all addresses are
/// asked at once nor one by all serins.
async fn ask(
    version: Weak<VersionHealth>,
    address: Arc<AddressHealth>,
    check: Arc<HealthCheck>,
    registry: Arc<Registry>,
) {
    let Some(protocol) = version.upgrade().map(|version| version.spec.protocol) else { return };
    let mut next = Instant::now() + check.interval.mul_f64(fastrand::f64());
    loop {
        sleep_until(next).await;
        let result = probe(&address.target, &address.host, protocol, &check).await;
        let Some(version) = version.upgrade() else { return };
        let counted = if result.is_ok() { CheckResult::Passed } else { CheckResult::Failed };
        registry.health().checked(&version.service, &version.version, counted);
        version.checked(&address, result);
        // Where an answer took longer than the interval, the next question comes at once, but never two.
        next = (next + check.interval).max(Instant::now() + LEAST_PAUSE);
    }
}

/// Between an answer and the next question.
const LEAST_PAUSE: Duration = Duration::from_millis(1);
