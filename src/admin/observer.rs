//! The last seconds of the figures, for rates and recent quantiles.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::telemetry::{Registry, RegistrySnapshot};

/// How often the figures are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// How far back is remembered, in looks.
const KEPT: usize = 10;

/// Remembers the figures of the last ten seconds.
#[derive(Debug)]
pub struct Observer {
    registry: Arc<Registry>,
    looks: Mutex<VecDeque<(Instant, Arc<RegistrySnapshot>)>>,
}

/// The figures now, and as they were some seconds ago.
#[derive(Debug, Clone)]
pub struct Recent {
    /// Now.
    pub now: Arc<RegistrySnapshot>,
    /// Then; the same as now where nothing older is known.
    pub then: Arc<RegistrySnapshot>,
    /// Seconds between the two, at least a millisecond.
    pub seconds: f64,
}

impl Observer {
    /// An observer of `registry` that has seen nothing but its beginning.
    #[must_use]
    pub fn new(registry: Arc<Registry>) -> Self {
        let first = (Instant::now(), Arc::new(registry.snapshot()));
        Self { registry, looks: Mutex::new(VecDeque::from([first])) }
    }

    /// Looks once a second, for as long as it is polled, and shows `each` what it sees.
    pub async fn run(&self, each: impl Fn(&Arc<RegistrySnapshot>)) {
        loop {
            tokio::time::sleep(EVERY).await;
            let look = (Instant::now(), Arc::new(self.registry.snapshot()));
            each(&look.1);
            let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
            if looks.len() > KEPT {
                looks.pop_front();
            }
            looks.push_back(look);
        }
    }

    /// The figures now and those of about ten seconds ago.
    #[must_use]
    pub fn recent(&self) -> Recent {
        let now = Arc::new(self.registry.snapshot());
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        // Invariant: there is always the first look, or a later one.
        let (at, then) = looks.front().map_or((Instant::now(), &now), |(at, then)| (*at, then));
        Recent { then: Arc::clone(then), seconds: at.elapsed().as_secs_f64().max(0.001), now }
    }
}
