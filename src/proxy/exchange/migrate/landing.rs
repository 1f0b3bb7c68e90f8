//! What a write has come to at its authoritative version, over all tries.

use std::cell::Cell;

use http::Response;

use super::is_done;
use crate::migration::journal::Outcome;
use crate::telemetry::Failure;

/// What a write has come to so far.
#[derive(Debug, Default)]
pub(in crate::proxy::exchange) struct Landing(Cell<State>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// Nothing of it was sent.
    #[default]
    Unsent,
    Done,
    NotDone,
    Unknown,
}

impl Landing {
    /// A try is over. `unsent`: nothing of it was sent.
    pub(in crate::proxy::exchange) fn note(&self, sent: Result<&Response<()>, Failure>, unsent: bool) {
        match sent {
            Ok(response) => self.after(is_done(response.status())),
            Err(_) if unsent => {}
            Err(_) => self.after(None),
        }
    }

    /// Something was sent. `said`: what an answer says of it, if it says anything.
    fn after(&self, said: Option<bool>) {
        let next = match (self.0.get(), said) {
            (_, Some(true)) => State::Done,
            // That the last try was refused says nothing of one before that nobody knows of.
            (State::Unknown, _) | (_, None) => State::Unknown,
            (_, Some(false)) => State::NotDone,
        };
        self.0.set(next);
    }

    /// What the journal is to be told.
    pub(super) fn outcome(&self) -> Outcome {
        match self.0.get() {
            State::Done => Outcome::Applied,
            State::Unsent | State::NotDone => Outcome::Refused,
            State::Unknown => Outcome::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_answered_well_is_done_and_only_what_cannot_have_been_done_is_not() {
        let (done, refused, unknown) = (Some(true), Some(false), None);
        for (tries, outcome) in [
            (&[][..], Outcome::Refused),
            (&[done], Outcome::Applied),
            (&[refused], Outcome::Refused),
            (&[unknown], Outcome::Unknown),
            (&[refused, done], Outcome::Applied),
            (&[refused, refused], Outcome::Refused),
            (&[unknown, refused], Outcome::Unknown),
            (&[unknown, done], Outcome::Applied),
            (&[refused, unknown], Outcome::Unknown),
        ] {
            let landing = Landing::default();
            for said in tries {
                landing.after(*said);
            }
            assert_eq!(landing.outcome(), outcome, "{tries:?}");
        }
    }
}
