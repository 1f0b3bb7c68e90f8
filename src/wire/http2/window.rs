//! How much the other side may send (RFC 9113, section 5.2).

/// A receiving window. It opens again as what was received is used, half of it at a time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    size: u32,
    /// What may still be sent.
    left: u32,
    /// What was used and not announced yet.
    owed: u32,
}

impl Window {
    pub(super) fn new(size: u32) -> Self {
        Self { size, left: size, owed: 0 }
    }

    /// So many bytes came; whether they were allowed to.
    #[must_use]
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        match u32::try_from(bytes).ok().and_then(|bytes| self.left.checked_sub(bytes)) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    /// So many of them were used; by how much the window opens now, if it does.
    #[must_use]
    pub(super) fn used(&mut self, bytes: usize) -> Option<u32> {
        // Invariant: only what was taken is used, which is never more than the window's size.
        self.owed += bytes as u32;
        if self.owed < self.size / 2 || self.owed == 0 {
            return None;
        }
        self.left += self.owed;
        Some(std::mem::take(&mut self.owed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_opens_by_what_was_used_and_never_beyond_its_size() {
        let mut window = Window::new(100);
        assert!(window.take(60) && !window.take(41) && window.take(40) && !window.take(1));
        assert_eq!((window.used(0), window.used(49), window.used(1)), (None, None, Some(50)));
        assert!(window.take(50) && !window.take(1));
        assert_eq!(window.used(100), Some(100));
        assert!(window.take(100) && !window.take(1));
    }
}
