//! Values that are one of a few words.

use serde_json::{Value, json};

use super::{Scalar, Wrong};
use crate::config::read::did_you_mean;

/// Declares an enum whose variants are written as the given words.
macro_rules! choice {
    ($( $(#[$meta:meta])+ $name:ident { $( $word:literal => $variant:ident, )+ } )+) => {$(
        $(#[$meta])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::config) enum $name { $( $variant, )+ }

        impl $name {
            /// As it is written.
            #[allow(dead_code, reason = "not every choice is named in a message")]
            pub(in crate::config) fn word(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }
        }

        impl Scalar for $name {
            fn expected() -> String {
                one_of(&[$($word),+])
            }

            fn schema() -> Value {
                json!({ "enum": [$($word),+] })
            }

            fn from_text(text: &str) -> Result<Self, Wrong> {
                match text {
                    $( $word => Ok(Self::$variant), )+
                    other => Err(unknown(other, &[$($word),+])),
                }
            }
        }
    )+};
}

choice! {
    /// The protocol spoken to an upstream.
    Protocol { "auto" => Auto, "http1" => Http1, "h2" => H2, }
    /// Where the journal of a migration is kept.
    Durability { "fsync" => Fsync, "memory" => Memory, }
    /// What becomes of a write that cannot be journaled.
    OnFull { "refuse" => Refuse, "oldOnly" => OldOnly, }
    /// How an address is asked whether it is well.
    ProbeType { "http" => Http, "grpc" => Grpc, "tcp" => Tcp, }
    /// Whether something can be had without credentials.
    Guarded { "open" => Open, "protected" => Protected, }
    /// How a path is matched.
    PathMatchType { "Exact" => Exact, "PathPrefix" => PathPrefix, "RegularExpression" => RegularExpression, }
    /// How the value of a header or query parameter is matched.
    MatchType { "Exact" => Exact, "RegularExpression" => RegularExpression, }
    /// What a filter does.
    FilterType {
        "RequestHeaderModifier" => RequestHeaderModifier,
        "ResponseHeaderModifier" => ResponseHeaderModifier,
        "URLRewrite" => UrlRewrite,
        "RequestRedirect" => RequestRedirect,
    }
    /// How a path is changed.
    PathModifierType { "ReplaceFullPath" => ReplaceFullPath, "ReplacePrefixMatch" => ReplacePrefixMatch, }
    /// A way to fail that another version answers for.
    FallbackCause {
        "connect" => Connect,
        "timeout" => Timeout,
        "reset" => Reset,
        "5xx" => ServerError,
        "grpcUnavailable" => GrpcUnavailable,
    }
    /// The scheme of a redirect.
    Scheme { "http" => Http, "https" => Https, }
    /// Whether clients show a certificate.
    ClientAuth { "none" => None, "optional" => Optional, "required" => Required, }
    /// A part of a client's certificate.
    CertificatePart { "subject" => Subject, "uri" => Uri, "dns" => Dns, "hash" => Hash, }
    /// Where the version that is followed is named.
    FollowSource { "baggage" => Baggage, }
    /// What is needed of the evidence before exposure is widened.
    EvidenceNeeded { "absenceOfHarm" => AbsenceOfHarm, "required" => Required, }
    /// What happens where a gate of a rollout fails.
    OnRegression { "rollback" => Rollback, "pause" => Pause, }
    /// What becomes of writes to both sides without a key.
    WithoutKey { "refuse" => Refuse, "oneByOne" => OneByOne, }
    /// How something is mended on which two sides disagree.
    RepairBy { "copy" => Copy, "resend" => Resend, "none" => None, }
    /// How much a request matters.
    Priority { "high" => High, "normal" => Normal, "low" => Low, }
    /// How an access log line is written.
    LogFormat { "json" => Json, "text" => Text, }
}

/// The status of a redirect.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct RedirectStatus(pub(in crate::config) http::StatusCode);

const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

impl Scalar for RedirectStatus {
    fn expected() -> String {
        "one of: 301, 302, 303, 307, 308".to_owned()
    }

    fn schema() -> Value {
        json!({ "enum": REDIRECTS })
    }

    fn from_integer(number: i128) -> Result<Self, Wrong> {
        let status = u16::try_from(number).ok().filter(|status| REDIRECTS.contains(status));
        let status = status.and_then(|status| http::StatusCode::from_u16(status).ok());
        status.map(Self).ok_or_else(|| Wrong::new("not the status of a redirect"))
    }
}

pub(super) fn one_of(words: &[&str]) -> String {
    format!("one of: {}", words.join(", "))
}

pub(super) fn unknown(found: &str, words: &[&str]) -> Wrong {
    let wrong = Wrong::new("unknown value");
    match did_you_mean(found, words.iter().copied()) {
        Some(help) => wrong.help(help),
        None => wrong,
    }
}
