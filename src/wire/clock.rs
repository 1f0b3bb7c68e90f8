//! The time for what needs it only roughly, such as since when something is unused: to read the clock costs as much as several
//! headers do.

use std::cell::Cell;
use std::time::Instant;

thread_local! {
    /// The moment that was read last, and how often it may still be given out.
    static LAST: Cell<Option<(Instant, u8)>> = const { Cell::new(None) };
    static TELLS: Cell<bool> = const { Cell::new(false) };
}

/// How often one reading is given out, so that a thread that never rests has the time, too.
const USES: u8 = 64;

/// This thread says each time that it [woke]. On one that does not, every moment is the present one.
pub fn tells_when_it_wakes() {
    TELLS.set(true);
}

/// The thread has rested: what was read before is too long ago.
pub fn woke() {
    LAST.set(None);
}

/// The present moment.
#[must_use]
pub fn now() -> Instant {
    let now = Instant::now();
    if TELLS.get() {
        LAST.set(Some((now, USES)));
    }
    now
}

/// A moment since the thread woke: for what may be off by as long as a thread is busy at a time, and for no figure.
#[must_use]
pub fn lately() -> Instant {
    match LAST.get() {
        Some((last, uses @ 1..)) => {
            LAST.set(Some((last, uses - 1)));
            last
        }
        _ => now(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_given_out_again_until_the_thread_rests_or_it_was_given_out_often() {
        std::thread::spawn(|| {
            tells_when_it_wakes();
            let read = now();
            assert!((0..USES).all(|_| lately() == read));
            wait_out(read);
            let next = lately();
            assert!(next > read);
            assert_eq!(lately(), next);
            wait_out(next);
            woke();
            assert!(lately() > next);
        })
        .join()
        .expect("no panic");
    }

    #[test]
    fn a_thread_that_does_not_tell_when_it_wakes_reads_the_clock_each_time() {
        std::thread::spawn(|| {
            let read = now();
            wait_out(read);
            assert!(lately() > read);
        })
        .join()
        .expect("no panic");
    }

    fn wait_out(moment: Instant) {
        while Instant::now() == moment {}
    }
}
