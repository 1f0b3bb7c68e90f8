//! How both sides of a migration are held against each other, and what has to be shown before a stage.

use crate::config::read::{At, List, written};
use crate::config::values::{Count, HttpMethod, PerSecond, Percent, Period, RepairBy, Size, StageName, Text};

use super::Headers;

written! {
    /// How things are read from both versions by their keys, and written where the two disagree; compared by the service's `diff`.
    Reconcile {
        /// Reads one thing; an answer 404 or 410 says that there is none.
        required "read" read: KeyCall,
        /// How a disagreement is mended: copy writes what the authoritative version says to the other, resend sends the writes again that the journal still has, none says that nothing is repaired. Default: copy where there is `write` and both versions are seen to represent things alike, else none.
        optional "repair" repair: At<RepairBy>,
        /// Writes one thing as the authoritative version represents it. For repairs by copying.
        optional "write" write: KeyCall,
        /// Takes away what the authoritative version does not have. Without it such things are told of and stay.
        optional "delete" delete: KeyCall,
        /// Where the keys of all things are listed. Without it keys are known from writes, or named by whoever asks.
        optional "list" list: KeyList,
        /// Headers sent with each of these requests.
        optional "headers" headers: Headers,
        /// How many keys are verified without anybody asking; `0/s` for none. Default: 5/s.
        optional "verifyRate" verify_rate: At<PerSecond>,
        /// Longest that one request may take. Default: 2s.
        optional "timeout" timeout: At<Period>,
        /// Most bytes of one thing. Default: 1MiB.
        optional "maxBody" max_body: At<Size<1, { 1 << 24 }>>,
    }

    /// A request about one key.
    KeyCall {
        /// Its method. Default: GET to read, PUT to write, DELETE to delete.
        optional "method" method: At<HttpMethod>,
        /// Its path and query, with `{key}` where the key stands.
        required "path" path: At<Text>,
    }

    /// Where keys are listed, page by page, by GET.
    KeyList {
        /// The path and query, with `{after}` where the last key of the page before stands; without that there is one page.
        required "path" path: At<Text>,
        /// Where the keys stand in a page, such as `$.items[*].id`.
        required "keys" keys: At<Text>,
    }

    /// What has to be shown before a stage is taken. What is left out has its default.
    MigrationGates {
        /// The share of keys that is shown to be the same on both sides before `live`: the lower end of the interval. Default: 99.9%.
        optional "consistency" consistency: At<Percent<1>>,
        /// Different keys that have been looked at before `live`. Default: 1000.
        optional "minKeys" min_keys: At<Count<1, 1_000_000>>,
        /// How long `rampDown` has been in force before `complete`. Default: 10m.
        optional "bake" bake: At<Period>,
    }

    /// A stage that a migration goes to by itself.
    MigrationStep {
        /// dualWrite, shadow, live, rampDown or complete.
        required "stage" stage: At<StageName>,
        /// Share of keys. Default: 100%.
        optional "share" share: At<Percent<1>>,
        /// How long it stays there at least.
        required "bake" bake: At<Period>,
    }
}

/// The steps of a plan.
pub(in crate::config) type MigrationSteps = List<MigrationStep, 1, 50>;
