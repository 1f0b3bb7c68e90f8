//! A waker that keeps quiet while its task is at work already.
//!
//! hyper's client connection and whoever waits for its response talk through channels, made for two tasks. Here one task
//! polls both, so whatever they tell each other while they are polled would only make the runtime poll the task again, in
//! vain: twice for every request. Polling both through [`Quiet`] turns such a wake into one more turn of a loop, and
//! passes on only what comes from outside.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Turns before the task yields, so that a connection that always has more to do does not starve the others.
const TURNS: usize = 8;

/// The waker of one connection's parts.
pub(super) struct Quiet {
    inner: Arc<Inner>,
    waker: Waker,
}

struct Inner {
    /// Whom to wake from outside.
    task: Mutex<Waker>,
    polling: AtomicBool,
    woken: AtomicBool,
}

impl Wake for Inner {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.polling.load(Ordering::Acquire) {
            self.woken.store(true, Ordering::Release);
        } else {
            self.task.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref();
        }
    }
}

impl Quiet {
    pub(super) fn new() -> Self {
        let task = Mutex::new(Waker::noop().clone());
        let inner = Arc::new(Inner { task, polling: AtomicBool::new(false), woken: AtomicBool::new(false) });
        Self { waker: Waker::from(Arc::clone(&inner)), inner }
    }

    /// Does something whose wakes are of no use, because what it would wake is polled right after.
    pub(super) fn mute<T>(&self, work: impl FnOnce() -> T) -> T {
        self.inner.polling.store(true, Ordering::Release);
        let done = work();
        self.inner.polling.store(false, Ordering::Release);
        done
    }

    /// Polls `work` until it is ready, or waits for something outside.
    pub(super) fn poll<T>(&self, cx: &mut Context<'_>, mut work: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        {
            let mut task = self.inner.task.lock().unwrap_or_else(PoisonError::into_inner);
            if !task.will_wake(cx.waker()) {
                task.clone_from(cx.waker());
            }
        }
        let mut quiet = Context::from_waker(&self.waker);
        self.inner.polling.store(true, Ordering::Release);
        let mut polled = Poll::Pending;
        for _ in 0..TURNS {
            self.inner.woken.store(false, Ordering::Release);
            polled = work(&mut quiet);
            if polled.is_ready() || !self.inner.woken.load(Ordering::Acquire) {
                break;
            }
        }
        self.inner.polling.store(false, Ordering::Release);
        // Too many turns, or a wake from another thread just now.
        if polled.is_pending() && self.inner.woken.load(Ordering::Acquire) {
            cx.waker().wake_by_ref();
        }
        polled
    }
}

impl fmt::Debug for Quiet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quiet").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn task() -> (Arc<Counted>, Waker) {
        let counted = Arc::<Counted>::default();
        (Arc::clone(&counted), Waker::from(counted))
    }

    #[test]
    fn a_wake_from_within_is_another_turn_and_nothing_else() {
        let (counted, waker) = task();
        let mut turns = 0;
        let polled = Quiet::new().poll(&mut Context::from_waker(&waker), |cx| {
            turns += 1;
            if turns < 3 {
                cx.waker().wake_by_ref();
            }
            Poll::<()>::Pending
        });
        assert!(polled.is_pending());
        assert_eq!((turns, counted.0.load(Ordering::Relaxed)), (3, 0));
    }

    #[test]
    fn a_wake_from_outside_reaches_the_task_that_polled_last() {
        let quiet = Quiet::new();
        let ((first, first_waker), (second, second_waker)) = (task(), task());
        let mut inner = None;
        for waker in [&first_waker, &second_waker] {
            let polled = quiet.poll(&mut Context::from_waker(waker), |cx| {
                inner = Some(cx.waker().clone());
                Poll::<()>::Pending
            });
            assert!(polled.is_pending());
        }
        inner.expect("it was polled").wake();
        assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (0, 1));
    }

    #[test]
    fn work_without_end_yields_to_the_other_tasks() {
        let (counted, waker) = task();
        let mut turns = 0;
        let polled = Quiet::new().poll(&mut Context::from_waker(&waker), |cx| {
            turns += 1;
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert!(polled.is_pending());
        assert_eq!((turns, counted.0.load(Ordering::Relaxed)), (TURNS, 1));
    }
}
