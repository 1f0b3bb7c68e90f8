//! The columns of a service's table, as many as a terminal has room for.

use crate::admin::{LatencyView, VersionView};
use crate::cli::status::duration;

/// Blanks before a version's name.
pub(super) const INDENT: usize = 2;
/// Columns of a name that are not given up for others.
const NAME: usize = 8;
/// Most columns of a name.
const LONG_NAME: usize = 30;
/// Columns of a bar, least and most.
const BAR: (usize, usize) = (6, 40);

/// A figure of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// The share of the requests it has.
    Now,
    /// The share it is to have.
    Set,
    Rate,
    Fail,
    P50,
    P90,
    P99,
    P999,
}

impl Column {
    const ALL: [Self; 8] = [Self::Now, Self::Set, Self::Rate, Self::Fail, Self::P50, Self::P90, Self::P99, Self::P999];
    /// Those that can be done without, the first first.
    const SPARE: [Self; 7] = [Self::P90, Self::P50, Self::P999, Self::Set, Self::Now, Self::Rate, Self::P99];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Set => "set",
            Self::Rate => "req/s",
            Self::Fail => "fail",
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
        }
    }

    pub(super) fn width(self) -> usize {
        match self {
            Self::Now | Self::Set | Self::Fail => 5,
            Self::Rate => 7,
            Self::P50 | Self::P90 | Self::P99 | Self::P999 => 6,
        }
    }

    /// What stands there for a version whose share is `now`.
    pub(super) fn text(self, version: &VersionView, now: Option<f64>) -> String {
        let LatencyView { p50, p90, p99, p999 } = version.latency;
        match self {
            Self::Now => now.map_or_else(|| "-".to_owned(), percent),
            Self::Set => percent(version.share),
            Self::Rate => rate(version.requests_per_second),
            Self::Fail => failed(version).map_or_else(|| "-".to_owned(), fine_percent),
            Self::P50 => duration(p50),
            Self::P90 => duration(p90),
            Self::P99 => duration(p99),
            Self::P999 => duration(p999),
        }
    }
}

/// The share of a version's requests that fail, 0 to 1; `None` where there are none.
pub(super) fn failed(version: &VersionView) -> Option<f64> {
    let VersionView { requests_per_second, failures_per_second, .. } = version;
    (*requests_per_second > 0.0).then(|| failures_per_second / requests_per_second)
}

/// How a table is laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) name: usize,
    /// 0: there is no bar.
    pub(super) bar: usize,
    pub(super) figures: Vec<Column>,
}

impl Columns {
    /// For a terminal of `width` columns and names of at most `longest`.
    pub(super) fn new(width: usize, longest: usize) -> Self {
        let mut figures = Column::ALL.to_vec();
        let taken = |figures: &[Column]| INDENT + figures.iter().map(|column| column.width() + 1).sum::<usize>();
        let least = NAME + 1 + BAR.0;
        for spare in Column::SPARE {
            if taken(&figures) + least <= width {
                break;
            }
            figures.retain(|column| *column != spare);
        }
        let room = width.saturating_sub(taken(&figures));
        let longest = longest.clamp(NAME, LONG_NAME);
        if room < least {
            return Self { name: room.min(longest), bar: 0, figures };
        }
        let name = longest.min(room - 1 - BAR.0);
        Self { name, bar: (room - name - 1).min(BAR.1), figures }
    }

    /// Columns before the figures.
    pub(super) fn before_figures(&self) -> usize {
        INDENT + self.name + if self.bar > 0 { 1 + self.bar } else { 0 }
    }
}

/// A share in at most five characters.
fn percent(share: f64) -> String {
    if share >= 0.9995 { "100%".to_owned() } else { format!("{:.1}%", share * 100.0) }
}

/// A small share in at most five characters.
fn fine_percent(share: f64) -> String {
    if share > 0.0 && share < 0.00005 {
        "<.01%".to_owned()
    } else if share < 0.099_95 {
        format!("{:.2}%", share * 100.0)
    } else {
        percent(share)
    }
}

/// A rate in at most seven characters, up to a billion.
fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate < 9999.95 => format!("{rate:.1}"),
        rate if rate < 99_999.5 => format!("{rate:.0}"),
        rate if rate < 9_999_500.0 => format!("{:.1}k", rate / 1e3),
        rate => format!("{:.1}M", rate / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_terminals_lose_the_least_figures_first() {
        let wide = Columns::new(80, 3);
        assert_eq!((wide.name, wide.bar, wide.figures.len()), (8, 15, 8));
        assert_eq!(Columns::new(80, 63), Columns { name: 17, bar: 6, figures: Column::ALL.to_vec() });
        assert_eq!(Columns::new(200, 63), Columns { name: 30, bar: 40, figures: Column::ALL.to_vec() });
        let narrow = Columns::new(40, 3);
        assert_eq!(narrow.figures, [Column::Rate, Column::Fail, Column::P99]);
        assert_eq!((narrow.name, narrow.bar), (8, 8));
        assert_eq!(Columns::new(20, 3), Columns { name: 8, bar: 0, figures: vec![Column::Fail] });
    }

    #[test]
    fn a_table_is_never_wider_than_its_terminal() {
        for width in 8..300 {
            for longest in [1, 8, 20, 63] {
                let columns = Columns::new(width, longest);
                let figures: usize = columns.figures.iter().map(|column| column.width() + 1).sum();
                assert!(columns.before_figures() + figures <= width, "{width}: {columns:?}");
            }
        }
    }

    #[test]
    fn figures_keep_to_their_width() {
        for power in -60..90 {
            let value = 1.9995 * 10_f64.powi(power / 10) * f64::from(power.rem_euclid(10) + 1);
            assert!(rate(value.min(1e9)).len() <= 7, "{}", rate(value));
            assert!(percent(value.min(1.0)).len() <= 5 && fine_percent(value.min(1.0)).len() <= 5, "{value}");
        }
        assert_eq!(
            [0.0, 1e-5, 0.001, 0.0999, 0.5, 1.0].map(fine_percent),
            ["0.00%", "<.01%", "0.10%", "9.99%", "50.0%", "100%"]
        );
        assert_eq!([0.0, 9999.9, 12_345.6, 123_456.0].map(rate), ["0.0", "9999.9", "12346", "123.5k"]);
    }
}
