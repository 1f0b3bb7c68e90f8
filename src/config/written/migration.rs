//! How a service's data moves from one version to another.

use crate::config::read::{At, List, written};
use crate::config::values::{Count, FieldName, HttpMethod, Name, Percent, Size, StageName, Text, WithoutKey};

use super::journal::Journal;
use super::{MigrationGates, MigrationSteps, Reconcile};

written! {
    /// Moving the data of one version to another, stage by stage; it begins at the stage written here and is moved on like a weight.
    Migration {
        /// off, dualWrite, shadow, live, rampDown or complete. Default: off.
        optional "stage" stage: At<StageName>,
        /// Share of keys that are in the stage; all others are in the one before. Default: 100%.
        optional "share" share: At<Percent<1>>,
        /// The version whose data is there at the beginning.
        required "from" from: At<Name>,
        /// The version whose data is there in the end.
        required "to" to: At<Name>,
        /// Methods of requests that write; all others read. Default: POST, PUT, PATCH, DELETE.
        optional "writes" writes: List<At<HttpMethod>, 1, 9>,
        /// Where the key of what is read or written stands; the first present in a request wins. Writes of one key are kept in order.
        required "key" key: List<MigrationKey, 1, 16>,
        /// What becomes of writes to both sides without a key: refuse answers them 400, oneByOne keeps all of them in one order. Default: refuse.
        optional "withoutKey" without_key: At<WithoutKey>,
        /// The header that tells a write from its repetition; where a client sends none, serin makes one for both sides. Default: Idempotency-Key.
        optional "idempotencyKey" idempotency_key: At<FieldName>,
        /// Most bytes of the body of a write to both sides; more is answered 413. Default: 1MiB.
        optional "maxBody" max_body: At<Size<0, { 1 << 26 }>>,
        /// Versions that do a write once, however often it comes with the same idempotency key: a write whose outcome nobody knows is sent there again. Default: none, and its key is listed for reconciliation.
        optional "idempotent" idempotent: List<At<Name>, 0, 2>,
        /// How writes to both sides are journaled and delivered. What is left out has its default.
        optional "journal" journal: Journal,
        /// How things are read from both versions, compared, and mended. Without it nobody looks whether they agree.
        optional "reconcile" reconcile: Reconcile,
        /// What has to be shown before a stage is taken. What is left out has its default.
        optional "gates" gates: MigrationGates,
        /// Where it goes by itself, step by step, once each has baked and the gates hold. Without it somebody moves it.
        optional "plan" plan: MigrationSteps,
    }

    /// One place where the key may stand: exactly one of these keys.
    MigrationKey {
        /// The value of this header.
        optional "header" header: At<FieldName>,
        /// The value of this query parameter.
        optional "query" query: At<Text>,
        /// This part of the path, from 1: the second of `/items/42` is `42`.
        optional "pathSegment" path_segment: At<Count<1, 32>>,
    } also { "minProperties": 1, "maxProperties": 1 }
}
