//! What is done about one try.

use std::time::Duration;

use crate::plan::{FallbackOn, Retry};
use crate::telemetry::Failure;

/// Why a try may not be the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Trouble {
    /// No answer.
    Failed(Failure),
    /// An answer with this status, of which nothing has reached the client.
    Answered {
        /// Its status.
        status: u16,
        /// It says gRPC's UNAVAILABLE and nothing else.
        grpc_unavailable: bool,
    },
}

/// What is known when a try has come to its end.
#[derive(Debug, Clone, Copy)]
pub(in crate::proxy) struct Situation<'a> {
    /// What went wrong.
    pub(in crate::proxy) trouble: Trouble,
    /// The route's rule; `None` also once another version answers.
    pub(in crate::proxy) retry: Option<&'a Retry>,
    /// What another version answers for; `None` also once it does.
    pub(in crate::proxy) fallback: Option<FallbackOn>,
    /// Tries after the first so far.
    pub(in crate::proxy) retries: u32,
    /// It can do no harm to send the request again, and it is still there to be sent.
    pub(in crate::proxy) safe: bool,
    /// Until the end of the whole exchange, where there is one.
    pub(in crate::proxy) time_left: Option<Duration>,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Next {
    /// The client gets what there is.
    Answer,
    /// The same version is tried again after a while.
    Retry {
        /// How long to wait.
        after: Duration,
    },
    /// The other version is tried.
    FallBack,
}

/// What comes next, and what would have come but for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) struct Decision {
    pub(in crate::proxy) next: Next,
    /// It would be sent again if only that were safe.
    pub(in crate::proxy) unsafe_retry: bool,
    /// Another version would answer if only that were safe.
    pub(in crate::proxy) unsafe_fallback: bool,
    /// It would be sent again if only the budget had room.
    pub(in crate::proxy) over_budget: bool,
}

/// Decides. `withdraw` takes a retry from the budget; `draw` is uniform from 0 to 1.
pub(in crate::proxy) fn next(situation: &Situation<'_>, withdraw: impl FnOnce() -> bool, draw: f64) -> Decision {
    let Situation { trouble, retry, fallback, retries, safe, time_left } = *situation;
    let mut decision = Decision { next: Next::Answer, unsafe_retry: false, unsafe_fallback: false, over_budget: false };
    let retry = retry.filter(|retry| retries < retry.attempts && trouble.is_worth_a_retry(retry));
    let falls_back = fallback.is_some_and(|on| trouble.is_answered_for(on));
    if time_left.is_some_and(|left| left.is_zero()) {
        return decision;
    }
    if !safe {
        return Decision { unsafe_retry: retry.is_some(), unsafe_fallback: falls_back, ..decision };
    }
    if let Some(retry) = retry {
        let after = backoff(retry.backoff, retries, draw);
        if time_left.is_none_or(|left| after < left) {
            if withdraw() {
                return Decision { next: Next::Retry { after }, ..decision };
            }
            decision.over_budget = true;
        }
    }
    if falls_back {
        decision.next = Next::FallBack;
    }
    decision
}

/// The wait before the next try: at least `shortest`, and up to a bound that doubles with every retry until it is ten
/// times that; drawn evenly in between, so that tries which failed together do not come back together.
///
/// Source: M. Brooker, "Exponential Backoff And Jitter" (AWS, 2015), on top of Gateway API's minimum.
fn backoff(shortest: Duration, retries: u32, draw: f64) -> Duration {
    let factor = 2_u32.saturating_pow(retries.saturating_add(1)).min(10);
    shortest.saturating_add(shortest.saturating_mul(factor - 1).mul_f64(draw.clamp(0.0, 1.0)))
}

impl Trouble {
    /// Whether a route that retries does so for this.
    pub(in crate::proxy) fn is_worth_a_retry(self, retry: &Retry) -> bool {
        match self {
            Self::Failed(failure) => kind(failure).is_some(),
            Self::Answered { status, .. } => retry.codes.contains(&status),
        }
    }

    /// Whether another version answers for this.
    pub(in crate::proxy) fn is_answered_for(self, on: FallbackOn) -> bool {
        match self {
            Self::Failed(failure) => match kind(failure) {
                Some(Kind::Connect) => on.connect,
                Some(Kind::Timeout) => on.timeout,
                Some(Kind::Reset) => on.reset,
                None => false,
            },
            Self::Answered { status, grpc_unavailable } => {
                (on.server_error && (500..600).contains(&status)) || (on.grpc_unavailable && grpc_unavailable)
            }
        }
    }
}

enum Kind {
    Connect,
    Timeout,
    Reset,
}

/// The upstream's part in a failure; `None` where it has none.
fn kind(failure: Failure) -> Option<Kind> {
    match failure {
        Failure::Connect | Failure::ConnectTimeout | Failure::NoAddress => Some(Kind::Connect),
        Failure::Timeout => Some(Kind::Timeout),
        Failure::Reset | Failure::Protocol | Failure::Truncated => Some(Kind::Reset),
        Failure::ClientGone | Failure::BodyTooLarge | Failure::Internal => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trouble() -> impl Strategy<Value = Trouble> {
        prop_oneof![
            proptest::sample::select(Failure::ALL.as_slice()).prop_map(Trouble::Failed),
            (400_u16..600, any::<bool>())
                .prop_map(|(status, grpc_unavailable)| Trouble::Answered { status, grpc_unavailable }),
        ]
    }

    fn rule() -> impl Strategy<Value = Retry> {
        (proptest::collection::vec(400_u16..600, 0..8), 0_u32..6, 1_u64..1_000).prop_map(
            |(codes, attempts, backoff)| Retry {
                codes,
                attempts,
                backoff: Duration::from_millis(backoff),
                body_bytes: 0,
            },
        )
    }

    fn causes() -> impl Strategy<Value = FallbackOn> {
        any::<[bool; 5]>().prop_map(|[connect, timeout, reset, server_error, grpc_unavailable]| FallbackOn {
            connect,
            timeout,
            reset,
            server_error,
            grpc_unavailable,
        })
    }

    proptest! {
        #[test]
        fn what_is_not_safe_is_answered(trouble in trouble(), rule in rule(), on in causes(), draw in 0.0..1.0) {
            let situation = Situation {
                trouble, retry: Some(&rule), fallback: Some(on), retries: 0, safe: false, time_left: None,
            };
            let decision = next(&situation, || panic!("nothing is withdrawn"), draw);
            prop_assert_eq!(decision.next, Next::Answer);
            prop_assert_eq!(decision.unsafe_fallback, trouble.is_answered_for(on));
        }

        #[test]
        fn the_clients_own_faults_are_answered(rule in rule(), on in causes(), draw in 0.0..1.0) {
            for failure in [Failure::ClientGone, Failure::BodyTooLarge] {
                let situation = Situation {
                    trouble: Trouble::Failed(failure), retry: Some(&rule), fallback: Some(on), retries: 0, safe: true,
                    time_left: None,
                };
                prop_assert_eq!(next(&situation, || true, draw).next, Next::Answer);
            }
        }

        #[test]
        fn every_request_comes_to_an_end(
            troubles in proptest::collection::vec(trouble(), 16),
            rule in rule(),
            on in causes(),
            room in any::<bool>(),
            draw in 0.0..1.0,
        ) {
            let (mut retries, mut fallback, mut tries) = (0, Some(on), 1);
            for trouble in troubles {
                let retry = fallback.is_some().then_some(&rule);
                let situation = Situation { trouble, retry, fallback, retries, safe: true, time_left: None };
                match next(&situation, || room, draw).next {
                    Next::Answer => return Ok(()),
                    Next::Retry { after } => {
                        prop_assert!(room);
                        prop_assert!(after >= rule.backoff && after <= rule.backoff * 10);
                        retries += 1;
                    }
                    Next::FallBack => fallback = None,
                }
                tries += 1;
                prop_assert!(tries <= 1 + rule.attempts + 1);
            }
            prop_assert!(false, "it goes on and on");
        }

        #[test]
        fn nothing_is_begun_that_cannot_be_done_in_time(
            trouble in trouble(), rule in rule(), on in causes(), left in 0_u64..2_000, draw in 0.0..1.0,
        ) {
            let left = Duration::from_millis(left);
            let situation = Situation {
                trouble, retry: Some(&rule), fallback: Some(on), retries: 0, safe: true, time_left: Some(left),
            };
            match next(&situation, || true, draw).next {
                Next::Retry { after } => prop_assert!(after < left),
                Next::FallBack => prop_assert!(!left.is_zero()),
                Next::Answer => {}
            }
        }
    }

    #[test]
    fn without_room_in_the_budget_the_other_version_answers() {
        let rule = Retry { codes: vec![503], attempts: 2, backoff: Duration::from_millis(1), body_bytes: 0 };
        let trouble = Trouble::Answered { status: 503, grpc_unavailable: false };
        let situation = Situation {
            trouble,
            retry: Some(&rule),
            fallback: Some(FallbackOn::ALL),
            retries: 0,
            safe: true,
            time_left: None,
        };
        let decision = next(&situation, || false, 0.5);
        assert_eq!((decision.next, decision.over_budget), (Next::FallBack, true));
        let alone = Situation { fallback: None, ..situation };
        assert_eq!(next(&alone, || false, 0.5).next, Next::Answer);
        assert!(matches!(next(&alone, || true, 0.5).next, Next::Retry { .. }));
        let used_up = Situation { retries: 2, ..alone };
        assert_eq!(next(&used_up, || panic!("nothing is withdrawn"), 0.5).next, Next::Answer);
    }

    #[test]
    fn the_wait_grows_from_its_shortest_to_ten_times_that() {
        let shortest = Duration::from_millis(100);
        let longest = |retries| backoff(shortest, retries, 1.0).as_millis();
        assert_eq!([0, 1, 2, 3, 30, u32::MAX].map(longest), [200, 400, 800, 1000, 1000, 1000]);
        assert_eq!(backoff(shortest, 3, 0.0), shortest);
        assert_eq!(backoff(shortest, 0, 0.5), Duration::from_millis(150));
    }
}
