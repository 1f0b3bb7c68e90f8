//! The thread that compares.

use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Receiver;
use std::time::{Duration, SystemTime};

use super::comparing::{Pairing, Shared};
use super::state::{DiffState, Followed};
use crate::diff::{Comparison, Pair, decoded};
use crate::telemetry::Registry;

/// What comes within this time is compared in one go: nobody waits for it, and a worker that had to wake this thread for
/// each pairing would pay more for that than comparing takes. The queue holds many times what comes meanwhile.
const PAUSE: Duration = Duration::from_millis(10);

/// Compares what comes until nobody can hand in any more.
pub(super) fn run(queue: &Receiver<(Pairing, usize)>, shared: &Shared, registry: &Registry) {
    while let Ok(first) = queue.recv() {
        for (pairing, bytes) in std::iter::once(first).chain(queue.try_iter()) {
            compare(pairing, shared, registry);
            shared.waiting.fetch_sub(bytes, Relaxed);
        }
        std::thread::sleep(PAUSE);
    }
}

fn compare(pairing: Pairing, shared: &Shared, registry: &Registry) {
    let Pairing { subject, route, old, new, again } = pairing;
    let (plan, service) = (Arc::clone(&subject.plan), Arc::clone(&subject.service));
    // Before the lock is taken: this is what takes time.
    let read = |answer| decoded(answer, plan.max_body);
    let old = read(old);
    let each = [(Pair::OldAndNew, new), (Pair::OldTwice, again)].into_iter();
    let found: Vec<(Pair, Comparison)> =
        each.filter_map(|(pair, other)| Some((pair, plan.rules.compare(&old, &read(other?))))).collect();

    let now = SystemTime::now();
    let mut states = shared.states();
    let state = match states.entry(Arc::clone(&service)) {
        Entry::Vacant(free) => free.insert(DiffState::new(Arc::clone(&subject), now)),
        Entry::Occupied(known) => known.into_mut(),
    };
    match state.follow(&subject, now) {
        Followed::Overtaken => return,
        Followed::Anew => registry.diffs().forget_places(&service),
        Followed::Same => {}
    }
    let mut differ = false;
    for (pair, comparison) in found {
        differ |= !comparison.differences.is_empty();
        let verdict = state.tally.count(&route, pair, comparison, now);
        match pair {
            Pair::OldAndNew => registry.diffs().compared(&service, &route, verdict),
            Pair::OldTwice => registry.diffs().compared_noise(&service, &route),
        }
    }
    if differ {
        registry.diffs().set_places(&service, &route, state.tally.places(&route));
    }
}
