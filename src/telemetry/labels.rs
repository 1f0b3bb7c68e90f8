//! The words figures are told apart by.

/// An enum whose variants are counted in an array and exported under a label.
macro_rules! labelled {
    ($(#[$about:meta])* $name:ident { $($(#[$about_variant:meta])* $variant:ident => $label:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$about_variant])* $variant,)+ }

        impl $name {
            /// Every variant, in order; a variant's position is its number.
            pub const ALL: [Self; [$($label),+].len()] = [$(Self::$variant),+];

            /// How it is exported.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }
        }
    };
}
pub(super) use labelled;

labelled! {
    /// Why an exchange with an upstream, or the answer to a client, did not come to its proper end.
    Failure {
        /// No connection to the upstream: refused, unreachable, handshake failed.
        Connect => "connect",
        /// Opening a connection took too long.
        ConnectTimeout => "connectTimeout",
        /// The upstream or the whole request took too long.
        Timeout => "timeout",
        /// The upstream closed or reset the connection before its response began.
        Reset => "reset",
        /// The upstream's answer was not proper HTTP.
        Protocol => "protocol",
        /// The upstream ended its response before it was complete.
        Truncated => "truncated",
        /// The client left first.
        ClientGone => "clientGone",
        /// The request's body was over the limit.
        BodyTooLarge => "bodyTooLarge",
        /// The upstream's name resolved to no address.
        NoAddress => "noAddress",
        /// serin's own fault.
        Internal => "internal",
    }
}

labelled! {
    /// Why a request went to its version.
    Why {
        /// Its sticky key belongs there.
        Key => "key",
        /// It had no sticky key and was drawn.
        Draw => "draw",
        /// The client chose by hand, where the service allows it.
        Override => "override",
        /// A flag named it, or took away the one it belonged to.
        Flag => "flag",
        /// A trusted peer's baggage says that the user's request met it before.
        Follow => "follow",
        /// The version it belonged to could not take it.
        Fallback => "fallback",
        /// The stage of the service's migration says so.
        Stage => "stage",
    }
}

labelled! {
    /// What became of sending a request to its version again.
    RetryResult {
        /// It was answered then.
        Success => "success",
        /// It failed again.
        Failure => "failure",
        /// It was not sent again: the retry budget was used up.
        BudgetExhausted => "budgetExhausted",
        /// It was not sent again: that would not have been safe, or it was not there any more.
        NotReplayable => "notReplayable",
    }
}

labelled! {
    /// What became of another version answering what this one failed.
    FallbackResult {
        /// The other version answered.
        Success => "success",
        /// The other version failed, too.
        Failure => "failure",
        /// It was sent to the other version at once: this one had failed too often.
        AtOnce => "atOnce",
        /// It was not sent to the other version: that would not have been safe, or it was not there any more.
        NotReplayable => "notReplayable",
    }
}

labelled! {
    /// Why a request or a connection never reached a version.
    Refusal {
        /// No route matches.
        NoRoute => "noRoute",
        /// Not proper HTTP, or its framing is ambiguous.
        Malformed => "malformed",
        /// The head is too long or has too many lines.
        HeadersTooLarge => "headersTooLarge",
        /// The announced body is over the limit.
        BodyTooLarge => "bodyTooLarge",
        /// The head did not arrive in time.
        HeaderTimeout => "headerTimeout",
        /// As many connections are open as may be.
        TooManyConnections => "tooManyConnections",
        /// A method, version or expectation that is not served.
        Unsupported => "unsupported",
        /// A method that no service here takes.
        MethodNotAllowed => "methodNotAllowed",
        /// The caller's deadline had passed already.
        DeadlinePassed => "deadlinePassed",
        /// Meant for another server.
        Misdirected => "misdirected",
        /// The client opened and reset streams faster than they could be dropped.
        ResetFlood => "resetFlood",
        /// The system could not hand the connection over (no file descriptors, for instance).
        AcceptFailed => "acceptFailed",
        /// The version it was for had too much to do.
        Overload => "overload",
        /// A write to two versions whose key, or key against repetition, is missing or none.
        MigrationKey => "migrationKey",
        /// What cannot go to two versions: a call of gRPC, or an upgrade.
        Migration => "migration",
        /// A write to two versions that the journal did not take.
        Journal => "journal",
        /// The body of a write to two versions did not come in time.
        BodyTimeout => "bodyTimeout",
    }
}

labelled! {
    /// Why a version that had too much to do was not given a request.
    Shed {
        /// Too many waited already that mattered as much.
        QueueFull => "queueFull",
        /// It waited for too long.
        QueueTimeout => "queueTimeout",
    }
}

/// How an exchange with a version ended; exported as `code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The class of the HTTP status, 1 to 5; what is outside counts as the nearer end.
    Status(u8),
    /// The gRPC status, 0 to 16; anything else counts as 2, UNKNOWN.
    Grpc(u8),
    /// No proper end.
    Failed(Failure),
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Canonical names by number: <https://grpc.io/docs/guides/status-codes/>.
const GRPC: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
const GRPC_UNKNOWN: u8 = 2;

impl Outcome {
    /// How many different outcomes there are.
    pub(super) const COUNT: usize = CLASSES.len() + GRPC.len() + Failure::ALL.len();

    /// The outcome of an HTTP response.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        Self::Status((status / 100).clamp(1, 5) as u8)
    }

    /// How it is exported: `2xx`, the gRPC status' canonical name, or the failure's label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Status(class) => CLASSES[class_slot(class)],
            Self::Grpc(status) => GRPC[grpc_slot(status)],
            Self::Failed(failure) => failure.label(),
        }
    }

    /// Whether the user was let down by the version or by serin: a 5xx, a gRPC status that names the server's fault
    /// (the ones OpenTelemetry counts as a server's errors), or any failure but the client's own. It is the one word on
    /// that: what people see, error budgets and the judge go by it. UNIMPLEMENTED is among them, as its twin 501 is: a
    /// version that lost a method answers so, and calls that no version knows come to old and new alike.
    #[must_use]
    pub fn is_failure(self) -> bool {
        match self {
            Self::Status(class) => class >= 5,
            Self::Grpc(status) => {
                let name = GRPC[grpc_slot(status)];
                matches!(
                    name,
                    "UNKNOWN" | "DEADLINE_EXCEEDED" | "UNIMPLEMENTED" | "INTERNAL" | "UNAVAILABLE" | "DATA_LOSS"
                )
            }
            Self::Failed(failure) => !matches!(failure, Failure::ClientGone | Failure::BodyTooLarge),
        }
    }

    /// Its place in an array of [`Self::COUNT`].
    #[inline]
    pub(super) fn slot(self) -> usize {
        match self {
            Self::Status(class) => class_slot(class),
            Self::Grpc(status) => CLASSES.len() + grpc_slot(status),
            Self::Failed(failure) => CLASSES.len() + GRPC.len() + failure as usize,
        }
    }

    /// Every outcome, in the order of [`Self::slot`].
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let classes = (1..=CLASSES.len() as u8).map(Self::Status);
        let grpc = (0..GRPC.len() as u8).map(Self::Grpc);
        classes.chain(grpc).chain(Failure::ALL.into_iter().map(Self::Failed))
    }
}

#[inline]
fn class_slot(class: u8) -> usize {
    usize::from(class.clamp(1, 5) - 1)
}

#[inline]
fn grpc_slot(status: u8) -> usize {
    usize::from(if usize::from(status) < GRPC.len() { status } else { GRPC_UNKNOWN })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_own_slot_and_label() {
        let all: Vec<_> = Outcome::all().collect();
        assert_eq!(all.len(), Outcome::COUNT);
        for (slot, outcome) in all.iter().enumerate() {
            assert_eq!(outcome.slot(), slot, "{outcome:?}");
        }
        let labels: std::collections::BTreeSet<_> = all.iter().map(|outcome| outcome.label()).collect();
        assert_eq!(labels.len(), Outcome::COUNT);
    }

    #[test]
    fn a_variants_position_is_its_number() {
        assert!(Failure::ALL.iter().enumerate().all(|(i, f)| *f as usize == i));
        assert!(Why::ALL.iter().enumerate().all(|(i, w)| *w as usize == i));
        assert!(RetryResult::ALL.iter().enumerate().all(|(i, r)| *r as usize == i));
        assert!(FallbackResult::ALL.iter().enumerate().all(|(i, r)| *r as usize == i));
        assert!(Refusal::ALL.iter().enumerate().all(|(i, r)| *r as usize == i));
    }

    #[test]
    fn outcomes_are_named_as_operators_know_them() {
        assert_eq!(Outcome::of_status(204).label(), "2xx");
        assert_eq!(Outcome::of_status(503).label(), "5xx");
        assert_eq!(Outcome::Grpc(0).label(), "OK");
        assert_eq!(Outcome::Grpc(14).label(), "UNAVAILABLE");
        assert_eq!(Outcome::Failed(Failure::ConnectTimeout).label(), "connectTimeout");
    }

    #[test]
    fn numbers_out_of_range_fall_to_the_nearest_meaning() {
        assert_eq!(Outcome::of_status(999).label(), "5xx");
        assert_eq!(Outcome::of_status(0).label(), "1xx");
        assert_eq!(Outcome::Status(0).label(), "1xx");
        assert_eq!(Outcome::Grpc(17).label(), "UNKNOWN");
        assert_eq!(Outcome::Grpc(255).label(), "UNKNOWN");
    }

    #[test]
    fn a_client_that_leaves_or_sends_too_much_is_not_the_versions_failure() {
        let failures: Vec<_> = Outcome::all().filter(|o| o.is_failure()).map(Outcome::label).collect();
        let expected = "5xx UNKNOWN DEADLINE_EXCEEDED UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS connect \
                        connectTimeout timeout reset protocol truncated noAddress internal";
        assert_eq!(failures.join(" "), expected);
    }
}
