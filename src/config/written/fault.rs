//! Faults put into requests, for drills.

use crate::config::read::{At, List, written};
use crate::config::values::{Count, Moment, Name, Percent, Period, Size, Yes};

use super::filter::Header;

written! {
    /// A fault put into requests of one version: a delay, and at most one of abort, reset and slowBody.
    Fault {
        /// A name for figures and answers, unique within the service.
        required "name" name: At<Name>,
        /// The version whose requests are hurt, and which the fault counts against.
        required "version" version: At<Name>,
        /// How many of its requests, such as `10%`. Default: all of those with the header.
        optional "share" share: At<Percent<1>>,
        /// Only requests with this header. Default: all of the share.
        optional "header" header: Header,
        /// The request waits before it is sent on.
        optional "delay" delay: FaultDelay,
        /// serin answers with an error in the version's place.
        optional "abort" abort: FaultAbort,
        /// The client's connection (HTTP/1) or stream (HTTP/2) is reset.
        optional "reset" reset: At<Yes>,
        /// The response's body comes slowly.
        optional "slowBody" slow_body: SlowBody,
        /// Most requests under this fault at one time; further ones are left alone. Default: 100.
        optional "maxConcurrent" max_concurrent: At<Count<1, 100_000>>,
        /// When it stops by itself, as RFC 3339 writes it; at most 24 hours after the file is read.
        required "until" until: At<Moment>,
    }

    /// How long a request waits: exactly one of these keys, each at most 5 minutes.
    FaultDelay {
        /// Always as long.
        optional "fixed" fixed: At<Period>,
        /// Evenly distributed between two durations.
        optional "uniform" uniform: List<At<Period>, 2, 2>,
        /// Exponentially distributed with this mean, cut at ten times the mean.
        optional "exponential" exponential: At<Period>,
    } also { "minProperties": 1, "maxProperties": 1 }

    /// The error of an abort: exactly one of these keys. Every caller is answered in its own protocol.
    FaultAbort {
        /// An HTTP status.
        optional "status" status: At<Count<400, 599>>,
        /// A gRPC status.
        optional "grpcStatus" grpc_status: At<Count<1, 16>>,
    } also { "minProperties": 1, "maxProperties": 1 }

    /// How slowly a response's body comes.
    SlowBody {
        /// Bytes a second.
        required "bytesPerSecond" bytes_per_second: At<Size<1, { 1 << 30 }>>,
    }
}
