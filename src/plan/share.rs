//! A part of all requests.

/// A part of a whole, from none to all, in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// None.
    pub const NONE: Self = Self(0);
    /// All.
    pub const ALL: Self = Self(10_000);

    /// The share of so many hundredths of a percent; more than 100 % is all.
    #[must_use]
    pub fn from_hundredths(hundredths: u32) -> Self {
        Self(hundredths).min(Self::ALL)
    }

    /// The share in hundredths of a percent.
    #[must_use]
    pub fn hundredths(self) -> u32 {
        self.0
    }

    /// Whether `random`, uniform over all of `u64`, falls within this share.
    #[must_use]
    pub fn holds(self, random: u64) -> bool {
        let uniform = (u128::from(random) * u128::from(Self::ALL.0)) >> 64; // 0..10,000
        uniform < u128::from(self.0)
    }
}

impl std::fmt::Display for Share {
    /// As it is written in the configuration: `12.5%`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_holds_nothing_and_all_holds_everything() {
        for random in [0, 1, u64::MAX / 2, u64::MAX] {
            assert!(!Share::NONE.holds(random));
            assert!(Share::ALL.holds(random));
        }
        assert!(Share::from_hundredths(1).holds(0));
        assert!(!Share::from_hundredths(9_999).holds(u64::MAX));
    }

    #[test]
    fn shares_are_written_as_percentages() {
        let written = [0, 1, 100, 1_250, 10_000, 20_000].map(|n| Share::from_hundredths(n).to_string());
        assert_eq!(written, ["0%", "0.01%", "1%", "12.5%", "100%", "100%"]);
    }
}
