//! Who is told of what happens.

use crate::config::read::{At, List, written};
use crate::config::values::{EventName, FilePath, HookUrl, Period};

written! {
    /// A receiver that is told of what happens, by Standard Webhooks.
    Webhook {
        /// An `http://` or `https://` URL that events are posted to, each on its own. Redirects are not followed.
        required "url" url: At<HookUrl>,
        /// Of which events it is told; `weights`: of every change of weights, whoever made it.
        required "events" events: List<At<EventName>, 1, 32>,
        /// File with the secret that both sides know, `whsec_` and base64; while it is exchanged, two of them on a line each. It is watched.
        required "secretFile" secret_file: At<FilePath>,
        /// Longest time for one try, at most 60s. Default: 10s.
        optional "timeout" timeout: At<Period>,
        /// PEM file: the CAs that vouch for it; only with `https`. Default: the system's.
        optional "ca" ca: At<FilePath>,
    }
}
