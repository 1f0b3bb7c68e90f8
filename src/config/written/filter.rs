//! What is changed on the way.

use crate::config::read::{At, List, written};
use crate::config::values::{
    Count, FieldName, FieldValue, FilterType, Hostname, PathModifierType, RedirectStatus, Scheme, Text,
};

use super::Headers;

written! {
    /// One change: `type`, and the key of the same name.
    Filter {
        /// Which of the following keys there is.
        required "type" kind: At<FilterType>,
        /// Changes the request's headers.
        optional "requestHeaderModifier" request_headers: HeaderModifier,
        /// Changes the response's headers.
        optional "responseHeaderModifier" response_headers: HeaderModifier,
        /// Changes host and path towards the upstream.
        optional "urlRewrite" url_rewrite: UrlRewrite,
        /// Answers with a redirect; no upstream is asked.
        optional "requestRedirect" redirect: Redirect,
    }

    /// Header changes: set, then add, then remove.
    HeaderModifier {
        /// Overwrites these headers.
        optional "set" set: Headers,
        /// Appends these headers.
        optional "add" add: Headers,
        /// Removes these headers.
        optional "remove" remove: List<At<FieldName>, 1, 64>,
    } also { "minProperties": 1 }

    /// A header and its value.
    Header {
        /// The header's name.
        required "name" name: At<FieldName>,
        /// The header's value.
        required "value" value: At<FieldValue>,
    }

    /// Changes host and path towards the upstream.
    UrlRewrite {
        /// The new host.
        optional "hostname" hostname: At<Hostname>,
        /// The new path.
        optional "path" path: PathModifier,
    } also { "minProperties": 1 }

    /// Answers with a redirect. What is left out stays as in the request.
    Redirect {
        /// The new scheme.
        optional "scheme" scheme: At<Scheme>,
        /// The new host.
        optional "hostname" hostname: At<Hostname>,
        /// The new path.
        optional "path" path: PathModifier,
        /// The new port. Default: the scheme's own where the scheme is given, else the listener's.
        optional "port" port: At<Count<1, 65_535>>,
        /// Default: 302.
        optional "statusCode" status_code: At<RedirectStatus>,
    }

    /// A change of the path: `type`, and the key of the same name.
    PathModifier {
        /// Which of the following keys there is.
        required "type" kind: At<PathModifierType>,
        /// The new path.
        optional "replaceFullPath" full: At<Text>,
        /// What takes the place of the matched prefix; only where every match is a `PathPrefix`.
        optional "replacePrefixMatch" prefix: At<Text>,
    }
}
