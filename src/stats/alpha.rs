//! How often a statement may be wrong.

/// The probability with which a statement may be wrong, over all looks together: above 0 and at most one half.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Alpha(f64);

impl Alpha {
    /// One in twenty.
    pub const DEFAULT: Self = Self(0.05);
    /// The least that is taken: below, statements would need evidence that no service gives.
    pub const MIN: f64 = 1e-9;
    /// The most that is taken.
    pub const MAX: f64 = 0.5;

    /// The level `alpha`; `None` outside [`Self::MIN`] to [`Self::MAX`].
    #[must_use]
    pub fn new(alpha: f64) -> Option<Self> {
        (Self::MIN..=Self::MAX).contains(&alpha).then_some(Self(alpha))
    }

    /// The level as a number.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }

    /// The level of each of `parts` statements that hold together at this level (Bonferroni's bound). 0 counts as 1.
    #[must_use]
    pub fn split(self, parts: usize) -> Self {
        Self(self.0 / parts.max(1) as f64)
    }

    /// ln(1/α): a martingale that begins at 1 reaches this, in logarithm, with probability α at most (Ville's
    /// inequality). Finite and above 0.
    pub(super) fn ln_bar(self) -> f64 {
        -libm::log(self.0)
    }
}

impl Default for Alpha {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_a_probability_that_leaves_room_for_evidence() {
        assert_eq!(Alpha::new(0.05), Some(Alpha::DEFAULT));
        for wrong in [0.0, -0.1, 1e-10, 0.51, 1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Alpha::new(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        assert!((Alpha::DEFAULT.split(4).value() * 4.0 - 0.05).abs() < 1e-15);
        assert_eq!(Alpha::DEFAULT.split(0), Alpha::DEFAULT);
        assert!(Alpha::DEFAULT.split(usize::MAX).ln_bar().is_finite());
    }
}
