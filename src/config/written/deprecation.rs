//! The announced end of a version.

use crate::config::read::{At, List, written};
use crate::config::values::{Count, Day, Name, Switch, Text};

use super::Sticky;

written! {
    /// The end of a version, announced in its answers; and who still calls it is counted.
    Deprecation {
        /// The version.
        required "version" version: At<Name>,
        /// Since when, or from when on, nobody is to begin to use it.
        required "at" at: At<Day>,
        /// When it is expected to answer no more; not before `at`. Default: not said.
        optional "sunset" sunset: At<Day>,
        /// Where to read about it: an http or https URL. Default: not said.
        optional "link" link: At<Text>,
        /// Where the name of a caller stands; the first present in a request wins. Without one, callers are counted together.
        optional "callers" callers: List<Sticky, 0, 16>,
        /// Show names of callers as the first digits of their SHA-256. Default: false.
        optional "hashed" hashed: At<Switch>,
        /// Most callers that are counted by their names; all further ones count as `other`. Default: 100.
        optional "maxCallers" max_callers: At<Count<1, 1000>>,
    }
}
