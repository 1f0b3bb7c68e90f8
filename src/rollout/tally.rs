//! What the versions of a run have counted, for the ledger: how many requests failed, and since when.

use std::time::{Duration, SystemTime};

use super::state::State;
use super::watch::Figures;
use crate::ledger::{self, Counts, Time};

/// What is counted of a run from its first moment on, or from the moment on at which this process took it up.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    /// The run; `None`: none is counted yet.
    run: Option<u64>,
    begin: Figures,
    /// When it began, once anybody wants to know: the same each time, however the wall clock is set meanwhile.
    since: Option<SystemTime>,
    /// When `to` was first seen to have failed a request, in the time of the figures: in the run, and in a window of it.
    first: Option<Duration>,
    first_of_window: Option<(u64, Duration)>,
}

impl Tally {
    /// A run that begins with these figures.
    pub(super) fn of_run(run: u64, begin: &Figures) -> Self {
        Self { run: Some(run), begin: begin.clone(), ..Self::default() }
    }

    /// Looks whether `to` has failed; `begin`: where the window of `state` began.
    pub(super) fn note(&mut self, state: &State, figures: &Figures, begin: &Figures) {
        if self.run != Some(state.run) {
            *self = Self::of_run(state.run, figures);
        }
        if self.first.is_none() && figures.count(&self.begin, &state.to).failures > 0 {
            self.first = Some(figures.at());
        }
        let is_known = self.first_of_window.is_some_and(|(window, _)| window == state.window);
        if !is_known && figures.count(begin, &state.to).failures > 0 {
            self.first_of_window = Some((state.window, figures.at()));
        }
    }

    /// What was counted until `now`, the time of `figures`.
    pub(super) fn figures(
        &mut self,
        state: &State,
        figures: &Figures,
        begin: &Figures,
        now: SystemTime,
    ) -> ledger::Figures {
        self.note(state, figures, begin);
        let ago = |at: Duration| figures.at().saturating_sub(at);
        let then = |at: Duration| Time::from(now.checked_sub(ago(at)).unwrap_or(now));
        let counts = |begin: &Figures| Counts {
            seconds: ago(begin.at()).as_secs_f64(),
            from: figures.count(begin, &state.from),
            to: figures.count(begin, &state.to),
        };
        let since = *self.since.get_or_insert_with(|| now.checked_sub(ago(self.begin.at())).unwrap_or(now));
        let of_window = self.first_of_window.filter(|(window, _)| *window == state.window);
        ledger::Figures {
            since: since.into(),
            run: counts(&self.begin),
            step: counts(begin),
            first_failure: self.first.map(then),
            first_failure_of_step: of_window.map(|(_, at)| then(at)),
        }
    }
}
