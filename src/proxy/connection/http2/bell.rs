//! Which of a connection's streams have something to do.
//!
//! All streams of a connection are served by its one task. Each is polled with a waker of its own, which notes its place and wakes
//! the task, so that a wake costs a look at one stream and not at all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Wake, Waker};

/// Streams that share a word.
const GROUP: u32 = u64::BITS;

/// The wakers of one connection's streams, by place.
#[derive(Debug, Default)]
pub(super) struct Bells {
    groups: Vec<Arc<Group>>,
    wakers: Vec<Waker>,
}

/// Sixty-four places.
#[derive(Debug)]
struct Group {
    rung: AtomicU64,
    task: Waker,
}

/// The bell of one place.
struct Bell {
    group: Arc<Group>,
    bit: u64,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.group.rung.fetch_or(self.bit, Ordering::AcqRel) & self.bit == 0 {
            self.group.task.wake_by_ref();
        }
    }
}

impl Bells {
    /// Makes sure that this task is the one that is woken; `false` where it was another until now: nobody has its waker.
    pub(super) fn belong_to(&mut self, cx: &Context<'_>) -> bool {
        let known = self.groups.first().is_none_or(|group| group.task.will_wake(cx.waker()));
        if !known {
            *self = Self::default();
        }
        known
    }

    /// The waker of a place.
    pub(super) fn waker(&mut self, slot: u32, cx: &Context<'_>) -> &Waker {
        for slot in self.wakers.len() as u32..=slot {
            if slot.is_multiple_of(GROUP) {
                self.groups.push(Arc::new(Group { rung: AtomicU64::new(0), task: cx.waker().clone() }));
            }
            let group = Arc::clone(&self.groups[(slot / GROUP) as usize]);
            self.wakers.push(Waker::from(Arc::new(Bell { group, bit: 1 << (slot % GROUP) })));
        }
        &self.wakers[slot as usize]
    }

    /// Gives every place whose bell has rung since this was asked last.
    pub(super) fn take_rung(&self, mut each: impl FnMut(u32)) {
        for (nth, group) in self.groups.iter().enumerate() {
            if group.rung.load(Ordering::Relaxed) == 0 {
                continue;
            }
            let mut rung = group.rung.swap(0, Ordering::AcqRel);
            while rung != 0 {
                each(nth as u32 * GROUP + rung.trailing_zeros());
                rung &= rung - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_bell_rings_for_its_place_and_wakes_the_task_once() {
        let (count, mut bells) = (Arc::<Count>::default(), Bells::default());
        let task = Waker::from(Arc::clone(&count));
        let cx = Context::from_waker(&task);
        for slot in [3, 64, 200, 3] {
            bells.waker(slot, &cx).wake_by_ref();
        }
        assert_eq!(count.0.load(Ordering::Relaxed), 3);
        let mut rung = Vec::new();
        bells.take_rung(|slot| rung.push(slot));
        bells.take_rung(|slot| rung.push(slot));
        assert_eq!(rung, [3, 64, 200]);
        assert!(bells.belong_to(&cx));
        assert!(!bells.belong_to(&Context::from_waker(Waker::noop())));
    }
}
