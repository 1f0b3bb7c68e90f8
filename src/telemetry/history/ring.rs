//! Rows in a ring: the newest takes the place of the oldest.

/// When a row ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// In milliseconds since 1970; grows from row to row.
    pub at: u64,
    /// How long the row is.
    pub seconds: f32,
}

/// What one version did in the time of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Requests answered.
    pub requests: u32,
    /// Those of them that failed.
    pub failures: u32,
    /// Their p50, p90, p99 and p99.9 in seconds; not a number where there were none.
    pub latency: [f32; 4],
    /// The intended share at the end, 0 to 1.
    pub share: f32,
    /// Requests in flight at the end.
    pub in_flight: u32,
}

/// The row of a version that was not in the plan.
const ABSENT: Row = Row { requests: 0, failures: 0, latency: [f32::NAN; 4], share: f32::NAN, in_flight: 0 };

/// Rows of as many versions as it has grown to, and their moments.
#[derive(Debug)]
pub(super) struct Ring {
    moments: Box<[Moment]>,
    versions: Vec<Box<[Row]>>,
    /// Rows begun so far.
    begun: usize,
}

impl Ring {
    pub(super) fn new(length: usize) -> Self {
        Self { moments: vec![Moment { at: 0, seconds: 0.0 }; length].into(), versions: Vec::new(), begun: 0 }
    }

    /// Makes a place for one more version, absent so far.
    pub(super) fn grow(&mut self) {
        self.versions.push(vec![ABSENT; self.moments.len()].into());
    }

    /// Forgets what a version did.
    pub(super) fn clear(&mut self, place: usize) {
        self.versions[place].fill(ABSENT);
    }

    /// Begins the next row; every version is absent from it until it is [set](Self::set).
    pub(super) fn begin(&mut self, moment: Moment) {
        let before = self.begun.checked_sub(1).map_or(0, |last| self.moments[last % self.moments.len()].at);
        let here = self.begun % self.moments.len();
        self.moments[here] = Moment { at: moment.at.max(before + 1), ..moment };
        for rows in &mut self.versions {
            rows[here] = ABSENT;
        }
        self.begun += 1;
    }

    /// Says what a version did in the row that was begun last.
    pub(super) fn set(&mut self, place: usize, row: Row) {
        if let Some(last) = self.begun.checked_sub(1) {
            self.versions[place][last % self.moments.len()] = row;
        }
    }

    /// The moments after `from`, oldest first.
    pub(super) fn moments(&self, from: u64) -> impl Iterator<Item = Moment> + '_ {
        self.places(from).map(|place| self.moments[place])
    }

    /// A version's rows after `from`, oldest first.
    pub(super) fn rows(&self, place: usize, from: u64) -> Vec<Option<Row>> {
        let rows = &self.versions[place];
        self.places(from).map(|at| Some(rows[at]).filter(|row| !row.share.is_nan())).collect()
    }

    fn places(&self, from: u64) -> impl Iterator<Item = usize> + '_ {
        let length = self.moments.len();
        let oldest = self.begun.saturating_sub(length);
        (oldest..self.begun).map(move |row| row % length).filter(move |place| self.moments[*place].at > from)
    }
}
