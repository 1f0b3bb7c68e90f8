//! Where messages go while the screen is being drawn on.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Standard error, with a gate: while it is closed messages are kept, so that they do not tear the live table.
#[derive(Debug, Clone, Default)]
pub struct Messages {
    /// `None`: the gate is open.
    kept: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Messages {
    /// Keeps messages from now on.
    pub(super) fn close(&self) {
        self.lock().get_or_insert_default();
    }

    /// The messages kept so far; they are not kept any longer.
    pub(super) fn take(&self) -> String {
        let kept = self.lock().as_mut().map(std::mem::take).unwrap_or_default();
        String::from_utf8_lossy(&kept).into_owned()
    }

    /// Lets all messages through, those kept first.
    pub fn open(&self) {
        if let Some(kept) = self.lock().take() {
            // Nobody is left to be told that standard error is gone.
            let _ = io::stderr().write_all(&kept);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Vec<u8>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Messages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *self.lock() {
            Some(kept) => kept.write(bytes),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_kept_only_while_the_gate_is_closed() {
        let messages = Messages::default();
        messages.close();
        messages.clone().write_all(b"one\n").expect("memory");
        assert_eq!(messages.take(), "one\n");
        assert_eq!(messages.take(), "");
        messages.open();
        messages.clone().write_all(b"").expect("standard error");
        assert_eq!(messages.take(), "");
    }
}
