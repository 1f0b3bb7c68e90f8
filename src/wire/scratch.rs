//! One read buffer per thread, so that a connection needs none of its own while it waits.

use std::cell::RefCell;

/// Most bytes taken from a socket at once.
pub const READ_SIZE: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_SIZE].into_boxed_slice());
}

/// Lends the thread's read buffer.
///
/// # Panics
/// If called from within itself; reads never nest.
pub fn with_scratch<R>(use_it: impl FnOnce(&mut [u8]) -> R) -> R {
    SCRATCH.with_borrow_mut(|buffer| use_it(buffer))
}
