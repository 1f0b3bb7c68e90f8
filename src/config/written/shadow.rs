//! Copies of requests for a version that answers nobody yet, and how answers are compared.

use crate::config::read::{At, List, written};
use crate::config::values::{Count, DocumentPath, FieldName, HttpMethod, Name, Percent, Period, Size, Spread, Switch};

written! {
    /// Copies of requests for a version that answers nobody with them. Clients never wait for a copy.
    Shadow {
        /// The version that gets the copies; its own requests are not copied.
        required "to" to: At<Name>,
        /// The part of the requests that is copied; the same keys again and again where the service is sticky. Default: 100%.
        optional "share" share: At<Percent<1>>,
        /// The methods of requests that are copied. Default: GET and HEAD.
        optional "methods" methods: List<At<HttpMethod>, 1, 8>,
        /// Most bytes of a request's body that are kept for its copy, and of a copy's answer that are read. Default: 64KiB.
        optional "maxBody" max_body: At<Size<0, { 1 << 24 }>>,
        /// Most copies in flight, of the whole process; one more is dropped. Default: 128.
        optional "maxInFlight" max_in_flight: At<Count<1, 100_000>>,
        /// How long a copy may take once the request's body is there. Default: 2s.
        optional "timeout" timeout: At<Period>,
        /// That it does no harm to carry out a request twice; needed for methods that write. Default: false.
        optional "idempotent" idempotent: At<Switch>,
    }

    /// How answers are compared that two versions give to the same request.
    Diff {
        /// Paths into JSON bodies that are not looked at, such as `$.items[*].updatedAt`. Default: none.
        optional "ignore" ignore: List<At<DocumentPath>, 0, 64>,
        /// Paths of arrays whose order means nothing. Default: none.
        optional "unordered" unordered: List<At<DocumentPath>, 0, 64>,
        /// Numbers are the same that differ by no more than this times the greater of them, or of 1. Default: 0.
        optional "tolerance" tolerance: At<Spread>,
        /// Headers that are compared. Default: content-type.
        optional "headers" headers: List<At<FieldName>, 0, 32>,
        /// Paths whose values samples never show, with all that is below them. Default: none.
        optional "redact" redact: List<At<DocumentPath>, 0, 64>,
        /// The part of the copied requests that goes to the answering version a second time, so that noise is known; 0%: none, and every difference counts. Default: 10%.
        optional "noise" noise: At<Percent<0>>,
        /// Most bytes of an answer's body that are kept to be compared; of longer ones only status and headers are. Default: 64KiB.
        optional "maxBody" max_body: At<Size<0, { 1 << 24 }>>,
    }
}
