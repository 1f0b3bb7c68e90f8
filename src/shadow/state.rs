//! What is known of one service.

use std::sync::Arc;
use std::time::SystemTime;

use super::Subject;
use crate::diff::Tally;
use crate::stats::Alpha;

/// What was compared of one service, and what came of it.
#[derive(Debug, Clone)]
pub struct DiffState {
    /// What is compared.
    pub subject: Arc<Subject>,
    /// Since when.
    pub since: SystemTime,
    /// What was counted.
    pub tally: Tally,
}

impl DiffState {
    pub(super) fn new(subject: Arc<Subject>, since: SystemTime) -> Self {
        let tally = Tally::new(Alpha::DEFAULT, subject.plan.learns_noise());
        Self { subject, since, tally }
    }

    /// Goes on with what `subject` is about, anew where that is something else; `false`: it was overtaken, and what is
    /// about it counts for nothing.
    pub(super) fn follow(&mut self, subject: &Arc<Subject>, now: SystemTime) -> Followed {
        if Arc::ptr_eq(&self.subject, subject) {
            return Followed::Same;
        }
        if subject.is_same(&self.subject) {
            if subject.generation > self.subject.generation {
                self.subject = Arc::clone(subject);
            }
            return Followed::Same;
        }
        if subject.generation < self.subject.generation {
            return Followed::Overtaken;
        }
        *self = Self::new(Arc::clone(subject), now);
        Followed::Anew
    }
}

/// How what is compared goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Followed {
    /// As before.
    Same,
    /// From the beginning.
    Anew,
    /// It is about what was before.
    Overtaken,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{DiffPlan, Share};

    fn subject(to: &str, generation: u64) -> Arc<Subject> {
        let plan = DiffPlan { rules: crate::diff::Rules::default(), noise: Share::ALL, max_body: 1 };
        Arc::new(Subject {
            service: "shop".into(),
            to: to.into(),
            versions: Vec::new(),
            plan: Arc::new(plan),
            generation,
        })
    }

    #[test]
    fn another_version_begins_anew_and_a_worker_that_is_late_changes_nothing() {
        let now = SystemTime::UNIX_EPOCH;
        let mut state = DiffState::new(subject("new", 1), now);
        assert_eq!(state.follow(&subject("new", 2), now), Followed::Same);
        assert_eq!(state.subject.generation, 2);
        assert_eq!(state.follow(&subject("new", 1), now), Followed::Same);
        assert_eq!(state.subject.generation, 2);
        assert_eq!(state.follow(&subject("newer", 3), now), Followed::Anew);
        assert_eq!(state.follow(&subject("new", 2), now), Followed::Overtaken);
        assert_eq!(&*state.subject.to, "newer");
    }
}
