//! What is asked, and whether it may be: host, target, body length.

use std::borrow::Cow;

use http::header::{CONNECTION, HOST};
use http::{HeaderValue, Method, Version, request};
use http_body::Body;

use super::glance::Glance;
use crate::plan::{Limits, normalize_host};
use crate::telemetry::Refusal;
use crate::wire::Incoming;

/// The checked facts of a request.
#[derive(Debug)]
pub(super) struct Asked {
    /// The host as the client named it; HTTP/1.0 need not name one.
    pub(super) host_header: Option<HeaderValue>,
    /// What there is among its headers.
    pub(super) glance: Glance,
}

impl Asked {
    /// The host that routes are found by: without port, in lower case.
    pub(super) fn host(&self) -> Cow<'_, str> {
        let named = self.host_header.as_ref().and_then(|host| host.to_str().ok());
        named.map_or(Cow::Borrowed(""), normalize_host)
    }
}

type Refused = (Refusal, &'static str);

/// Checks a request and brings its target into origin form: a path, or `*`.
pub(super) fn check(
    parts: &mut request::Parts,
    is_h2: bool,
    limits: &Limits,
    body: &Incoming,
) -> Result<Asked, Refused> {
    if parts.method == Method::CONNECT {
        return Err((Refusal::MethodNotAllowed, "CONNECT is not offered here."));
    }
    if !matches!(parts.version, Version::HTTP_10 | Version::HTTP_11 | Version::HTTP_2) {
        return Err((Refusal::Malformed, "The HTTP version is not known here."));
    }
    let glance = Glance::at(&parts.headers);
    if glance.connection {
        check_connection(parts)?;
    }
    // Over HTTP/1 the lines were counted as they came.
    if is_h2 && parts.headers.len() > limits.header_count {
        return Err((Refusal::HeadersTooLarge, "The request has more header lines than allowed."));
    }
    if limits.body_bytes.is_some_and(|limit| body.size_hint().lower() > limit) {
        return Err((Refusal::BodyTooLarge, "The request body is larger than allowed."));
    }
    let host_header = host_header(parts)?;
    if host_header.as_ref().is_some_and(|host| !is_host(host.as_bytes())) {
        return Err((Refusal::Malformed, "The host is not a host name."));
    }
    to_origin_form(parts)?;
    Ok(Asked { host_header, glance })
}

/// The one host of a request: that of an absolute-form target wins over `Host` (RFC 9112, section 3.2.2). `:authority` has become
/// `Host` already; where the two differed there are two hosts.
fn host_header(parts: &mut request::Parts) -> Result<Option<HeaderValue>, Refused> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err((Refusal::Malformed, "There is more than one Host."));
    }
    let Some(authority) = parts.uri.authority() else {
        return match host {
            Some(host) => Ok(Some(host.clone())),
            None if parts.version == Version::HTTP_10 => Ok(None),
            None => Err((Refusal::Malformed, "There is no Host.")),
        };
    };
    if parts.version == Version::HTTP_11 && host.is_none() {
        return Err((Refusal::Malformed, "There is no Host."));
    }
    if host.is_some_and(|host| !is_host(host.as_bytes())) {
        return Err((Refusal::Malformed, "The host is not a host name."));
    }
    let value = HeaderValue::from_str(authority.as_str())
        .map_err(|_| (Refusal::Malformed, "The authority is not a host name."))?;
    parts.headers.insert(HOST, value.clone());
    Ok(Some(value))
}

fn to_origin_form(parts: &mut request::Parts) -> Result<(), Refused> {
    let malformed = (Refusal::Malformed, "The request target is not a path.");
    let target = parts.uri.path_and_query().ok_or(malformed)?;
    if parts.uri.scheme().is_some() && target.as_str().starts_with('?') {
        // `http://host?query`: the empty path stands for the root (RFC 9110, section 4.2.3).
        parts.uri = format!("/{}", target.as_str()).parse().map_err(|_| malformed)?;
        return Ok(());
    }
    if target.as_str() == "*" {
        if parts.method != Method::OPTIONS {
            return Err((Refusal::Malformed, "Only OPTIONS may ask for *."));
        }
    } else if !target.as_str().starts_with('/') {
        return Err(malformed);
    }
    if parts.uri.scheme().is_some() || parts.uri.authority().is_some() {
        parts.uri = http::Uri::from(target.clone());
    }
    Ok(())
}

/// Whether a value is `uri-host [ ":" port ]` (RFC 3986, section 3.2.2): a name or an address in brackets, never empty,
/// without user information.
fn is_host(value: &[u8]) -> bool {
    if value.is_empty() {
        return false;
    }
    let (host, rest) = if value.first() == Some(&b'[') {
        let Some(end) = value.iter().position(|byte| *byte == b']') else { return false };
        let (address, rest) = (&value[1..end], &value[end + 1..]);
        let is_address = !address.is_empty() && address.iter().all(|b| b.is_ascii_hexdigit() || b":.".contains(b));
        if !is_address {
            return false;
        }
        (address, rest)
    } else {
        let end = value.iter().position(|byte| *byte == b':').unwrap_or(value.len());
        value.split_at(end)
    };
    let is_name = value[0] == b'[' || host.iter().all(|byte| NAME[usize::from(*byte)]);
    let is_port = match rest {
        [] => true,
        [b':', port @ ..] => port.len() <= 5 && port.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    !host.is_empty() && is_name && is_port
}

/// The bytes that a name may have (RFC 3986, `reg-name`).
const NAME: [bool; 256] = {
    let mut allowed = [false; 256];
    let punctuation = b"-._~%!$&'()*+,;=";
    let mut at = 0;
    while at < 256 {
        allowed[at] = (at as u8).is_ascii_alphanumeric();
        at += 1;
    }
    at = 0;
    while at < punctuation.len() {
        allowed[punctuation[at] as usize] = true;
        at += 1;
    }
    allowed
};

/// A `Connection` that names a header which frames or routes the message would take it away from the next hop only.
fn check_connection(parts: &request::Parts) -> Result<(), Refused> {
    for value in parts.headers.get_all(CONNECTION) {
        for name in super::headers::tokens(value) {
            if [b"host".as_slice(), b"content-length", b"transfer-encoding"]
                .iter()
                .any(|protected| name.eq_ignore_ascii_case(protected))
            {
                return Err((Refusal::Malformed, "Connection names a header that must stay."));
            }
        }
    }
    Ok(())
}
