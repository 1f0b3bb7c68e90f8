//! One buffer per thread to read into and one to write from, so that a connection needs none of its own while it waits.

use std::cell::{Cell, RefCell};

/// Most bytes taken from a socket at once.
pub const READ_SIZE: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_SIZE].into_boxed_slice());
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends the thread's read buffer.
///
/// # Panics
/// If called from within itself; reads never nest.
pub fn with_scratch<R>(use_it: impl FnOnce(&mut [u8]) -> R) -> R {
    SCRATCH.with_borrow_mut(|buffer| use_it(buffer))
}

/// An empty buffer to write from; [`give_back_spare`] once all of it was written.
#[must_use]
pub fn take_spare() -> Vec<u8> {
    SPARE.take()
}

/// Keeps a buffer for whoever needs one next; one that grew beyond [`READ_SIZE`] is dropped.
pub fn give_back_spare(mut buffer: Vec<u8>) {
    if buffer.capacity() <= READ_SIZE {
        buffer.clear();
        SPARE.set(buffer);
    }
}
