//! One service: its versions, its sticky keys, and what guards it.

use crate::config::read::{At, List, Named, written};
use crate::config::values::{
    CertificatePart, Cidr, Count, FallbackCause, FieldName, FollowSource, Name, Percent, Period, Size, Text, Tolerance,
    Yes,
};

use super::deprecation::Deprecation;
use super::fault::Fault;
use super::flags::{ByFlag, MeasureBy};
use super::migration::Migration;
use super::rollout::Rollout;
use super::shadow::{Diff, Shadow};
use super::upstream::{Health, Outliers, Version};
use super::{MAX_CONCURRENCY, MAX_VERSIONS, Weights};

written! {
    /// One service: several versions of the same thing, and how requests are shared among them.
    Service {
        /// Versions by name, in order of age: the last is the newest.
        required "versions" versions: Named<Version, 1, MAX_VERSIONS>,
        /// Where the key stands that decides the version; the first present in a request wins. Without one, each request draws.
        optional "sticky" sticky: List<Sticky, 1, 16>,
        /// Weights by version, used where the weight file does not name the service. A version left out gets 0. Default: all to the first version, the oldest.
        optional "weights" weights: Weights,
        /// Lets chosen clients pick a version by a header. Without it nobody can.
        optional "override" version_override: Override,
        /// How the addresses of all versions are asked whether they are well. Without it they are not.
        optional "health" health: Health,
        /// When an address is ejected for how it treats requests. What is left out has its default.
        optional "outliers" outliers: Outliers,
        /// Bounds on the requests each version is given at a time; `{}` for all defaults. Without it there are none.
        optional "overload" overload: Overload,
        /// Which version answers what the others fail, where a request may be sent again. Without it none does.
        optional "fallback" fallback: Fallback,
        /// Follow the version that a trusted peer's W3C `baggage` names in `serin.<service>=<version>`, and announce the own version there. Default: baggage is left alone.
        optional "follow" follow: At<FollowSource>,
        /// Address ranges of peers whose `serin.` entries are followed; those of all others are removed. `[]` announces only. Default: `forwarded.trust`.
        optional "followFrom" follow_from: List<At<Cidr>, 0, 256>,
        /// Faults put into requests of a version, for drills; of those that strike a request, the first counts. Default: none.
        optional "faults" faults: List<Fault, 0, 16>,
        /// A plan to widen one version's share step by step. Without it shares change by hand.
        optional "rollout" rollout: Rollout,
        /// Moving the data of one version to another, stage by stage. Without it no request goes to two versions.
        optional "migration" migration: Migration,
        /// Copies of requests for a version that answers nobody with them. Without it there are none.
        optional "shadow" shadow: Shadow,
        /// How answers are compared that two versions give to the same request; `{}` for all defaults. Without it they are not.
        optional "diff" diff: Diff,
        /// The end of a version, announced in its answers. Without it none is.
        optional "deprecation" deprecation: Deprecation,
        /// The flag whose variant is the version of a request; where it names none, the weights decide.
        optional "versionFrom" version_from: ByFlag,
        /// The flag by whose variants latency and failures are kept apart, within each version: its key, or with the variant that all others are compared with.
        optional "measureBy" measure_by: MeasureBy,
    }

    /// One place where a sticky key may stand: exactly one of these keys.
    Sticky {
        /// The value of this header.
        optional "header" header: At<FieldName>,
        /// The value of this cookie.
        optional "cookie" cookie: At<Text>,
        /// The value of this query parameter.
        optional "query" query: At<Text>,
        /// The client's address.
        optional "clientIp" client_ip: At<Yes>,
        /// A part of the client's verified certificate.
        optional "clientCertificate" client_certificate: At<CertificatePart>,
    } also { "minProperties": 1, "maxProperties": 1 }

    /// Lets chosen clients pick a version by a header.
    Override {
        /// The header that carries the version's name. Default: x-serin-version.
        optional "header" header: At<FieldName>,
        /// Address ranges of clients that may.
        required "from" from: List<At<Cidr>, 1, 256>,
    }

    /// Bounds on the requests each version is given at a time, for the whole process: workers share them out evenly.
    Overload {
        /// The limit on requests in flight to begin with; from there it follows the latency. Default: 100.
        optional "initial" initial: At<Count<1, MAX_CONCURRENCY>>,
        /// It never gets lower. Default: 10.
        optional "min" min: At<Count<1, MAX_CONCURRENCY>>,
        /// It never gets higher; the same as `min` for a fixed limit. Default: 1000.
        optional "max" max: At<Count<1, MAX_CONCURRENCY>>,
        /// Most requests that wait for room; one more is answered 503 at once. Default: 100.
        optional "queue" queue: At<Count<0, 100_000>>,
        /// How long a request waits before it is answered 503. Default: 500ms.
        optional "queueTimeout" queue_timeout: At<Period>,
        /// How many times the unloaded latency is not yet an overload. Default: 1.5.
        optional "tolerance" tolerance: At<Tolerance>,
        /// A header that says how much a request matters: high, normal or low. It wins over the route's `priority`. Without it there is none.
        optional "priorityHeader" priority_header: PriorityHeader,
    }

    /// A header that says how much a request matters: high, normal or low.
    PriorityHeader {
        /// The header's name. Default: x-priority.
        optional "name" name: At<FieldName>,
        /// Address ranges of clients that are believed.
        required "from" from: List<At<Cidr>, 1, 256>,
    }

    /// Which version answers what the others fail: requests with an idempotent method or an `Idempotency-Key`, and those of which nothing was sent.
    Fallback {
        /// The version that answers.
        required "to" to: At<Name>,
        /// The ways to fail that it answers for. Default: all of them.
        optional "on" on: List<At<FallbackCause>, 1, 8>,
        /// Share of a version's requests that may fail so before all but a trickle of its requests go to `to` at once, until it recovers. Default: 20%.
        optional "budget" budget: At<Percent<0>>,
        /// Most bytes of a request's body that are kept for sending it again. Default: 64KiB.
        optional "bodyBytes" body_bytes: At<Size<0, { 1 << 24 }>>,
    }
}
