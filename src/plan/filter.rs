//! What a route changes on the way, with the meaning of Gateway API's filters.

use http::uri::{self, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, request};

use super::{Host, Matched};

/// Header changes: `set` replaces, `add` appends, `remove` takes away; in that order.
#[derive(Debug, Clone, Default)]
pub struct HeaderEdit {
    /// Overwrites.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Appends.
    pub add: Vec<(HeaderName, HeaderValue)>,
    /// Removes.
    pub remove: Vec<HeaderName>,
}

/// A change of the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathEdit {
    /// The whole path becomes this; the query stays.
    Full(String),
    /// The matched prefix becomes this; a slash at its end does not count. Empty: the prefix goes.
    Prefix(String),
}

/// An answer that sends the client elsewhere. What is `None` stays as in the request.
#[derive(Debug, Clone)]
pub struct Redirect {
    /// `http` or `https`.
    pub scheme: Option<uri::Scheme>,
    /// Host name.
    pub hostname: Option<String>,
    /// Path.
    pub path: Option<PathEdit>,
    /// Port; without one the scheme's own where the scheme is given, else the listener's.
    pub port: Option<u16>,
    /// 301 or 302 (Gateway API's two), or 303, 307, 308.
    pub status: StatusCode,
}

/// One filter of a route.
#[derive(Debug, Clone)]
pub enum Filter {
    /// Changes the request's headers.
    RequestHeaders(HeaderEdit),
    /// Changes the response's headers.
    ResponseHeaders(HeaderEdit),
    /// Changes host and path towards the upstream.
    Rewrite {
        /// The new `Host`.
        hostname: Option<HeaderValue>,
        /// The new path.
        path: Option<PathEdit>,
    },
    /// Answers with a redirect; no upstream is asked.
    Redirect(Redirect),
}

impl HeaderEdit {
    /// Applies the edit. What is added becomes a line of its own after those there are, which means the same as one joined
    /// by commas.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.set {
            headers.insert(name, value.clone());
        }
        for (name, value) in &self.add {
            headers.append(name, value.clone());
        }
        for name in &self.remove {
            headers.remove(name);
        }
    }
}

impl PathEdit {
    /// The edited path with the query as it was. `prefix` is the one that matched ([`Matched::prefix`]); without one,
    /// [`PathEdit::Prefix`] leaves the path as it is, and so do both with a target that is no path (`OPTIONS *`).
    ///
    /// # Errors
    /// If the new target is longer than a URI may be (64 KiB), or the replacement is no path, which `config` refuses.
    pub fn apply(&self, target: &PathAndQuery, prefix: Option<&str>) -> Result<PathAndQuery, uri::InvalidUri> {
        let path = target.path();
        if !path.starts_with('/') {
            return Ok(target.clone());
        }
        let mut edited = match self {
            Self::Full(replacement) => replacement.clone(),
            Self::Prefix(replacement) => {
                let matched = prefix.map(|prefix| prefix.trim_end_matches('/'));
                let Some(rest) = matched.and_then(|matched| path.strip_prefix(matched)) else {
                    return Ok(target.clone());
                };
                [replacement.trim_end_matches('/'), rest].concat()
            }
        };
        if edited.is_empty() {
            edited.push('/');
        }
        if let Some(query) = target.query() {
            edited.push('?');
            edited.push_str(query);
        }
        PathAndQuery::try_from(edited)
    }
}

impl Default for Redirect {
    /// Changes nothing, with Gateway API's default status of 302.
    fn default() -> Self {
        Self { scheme: None, hostname: None, path: None, port: None, status: StatusCode::FOUND }
    }
}

impl Redirect {
    /// The absolute `Location` for a request that matched. `scheme` and `host` are the request's, `port` the listener's,
    /// which has none on a unix socket.
    ///
    /// `None` where there is no host to send the client to (HTTP/1.0 lets one out) or the new target is too long.
    #[must_use]
    pub fn location(
        &self,
        scheme: &uri::Scheme,
        host: Host<'_>,
        port: Option<u16>,
        request: &request::Parts,
        matched: Matched<'_>,
    ) -> Option<HeaderValue> {
        let target = self.scheme.as_ref().unwrap_or(scheme);
        let host = self.hostname.as_deref().unwrap_or(host.0);
        if host.is_empty() {
            return None;
        }
        let well_known = well_known_port(target);
        let port = match (self.port, &self.scheme) {
            (Some(port), _) => Some(port),
            (None, Some(_)) => well_known.or(port),
            (None, None) => port,
        };

        let mut location = format!("{target}://{host}");
        if let Some(port) = port.filter(|port| Some(*port) != well_known) {
            location.push(':');
            location.push_str(&port.to_string());
        }
        let requested = request.uri.path_and_query();
        match (requested.filter(|target| target.path().starts_with('/')), &self.path) {
            (None, _) => location.push('/'),
            (Some(requested), None) => location.push_str(requested.as_str()),
            (Some(requested), Some(edit)) => location.push_str(edit.apply(requested, matched.prefix).ok()?.as_str()),
        }
        HeaderValue::try_from(location).ok()
    }
}

fn well_known_port(scheme: &uri::Scheme) -> Option<u16> {
    match scheme.as_str() {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
