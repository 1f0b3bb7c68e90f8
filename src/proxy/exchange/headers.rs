//! Header hygiene in both directions: what belongs to one hop stays on it.

use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST, TE, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri, Version as HttpVersion, request};

use super::ask::Asked;
use super::glance::{CLIENT_CERTIFICATE, Glance, is_doomed};
use crate::plan::{FLAG_HEADER_PREFIX, Filter, Plan, SHADOW_HEADER, Version};
use crate::proxy::client::Client;

pub(super) const X_SERIN_VERSION: HeaderName = HeaderName::from_static("x-serin-version");
pub(super) const X_SERIN_ERROR: HeaderName = HeaderName::from_static("x-serin-error");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_CLIENT_CERT: HeaderName = HeaderName::from_static(CLIENT_CERTIFICATE);
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// The comma-separated words of a header value, without blanks around them.
pub(in crate::proxy) fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

/// Prepares a request's headers for the upstream. `upgrade`: the protocol the client may switch to.
pub(super) fn to_upstream(
    parts: &mut request::Parts,
    client: &Client,
    plan: &Plan,
    asked: &Asked,
    version: &Version,
    upgrade: Option<&HeaderValue>,
) {
    let headers = &mut parts.headers;
    let glance = asked.glance;
    if glance.te {
        // Before what `Connection` names is removed: it may name this.
        let wants_trailers = only_trailers(headers);
        remove_hop_by_hop(headers, glance);
        if wants_trailers {
            headers.entry(TE).or_insert(TRAILERS);
        }
    } else {
        remove_hop_by_hop(headers, glance);
    }
    if let Some(protocol) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol.clone());
    }
    forwarded(headers, client, plan, asked);
    if glance.flags {
        // Only flags that are asked here speak to the upstream.
        let said: Vec<HeaderName> =
            headers.keys().filter(|name| name.as_str().starts_with(FLAG_HEADER_PREFIX)).cloned().collect();
        for name in said {
            headers.remove(name);
        }
    }
    if glance.shadow && !client.is_trusted(plan) {
        // An upstream may leave out what a copy must not do.
        headers.remove(SHADOW_HEADER);
    }
    headers.insert(X_SERIN_VERSION, version.header.clone());
    if asked.host_header.is_none() {
        name_host(headers, version);
    }
    if client.is_h2.get() {
        join_cookies(headers);
        if glance.expect {
            headers.remove(EXPECT);
        }
    }
    parts.version = HttpVersion::HTTP_11;
}

/// Turns the headers for one version into those for another: a request that fell back.
pub(super) fn for_version(parts: &mut request::Parts, version: &Version, names_host: bool) {
    parts.headers.insert(X_SERIN_VERSION, version.header.clone());
    if !names_host {
        name_host(&mut parts.headers, version);
    }
}

/// An HTTP/1.0 client need not name a host, but the upstream is asked in HTTP/1.1 and must get one.
fn name_host(headers: &mut HeaderMap, version: &Version) {
    let address = version.upstream.addresses.first().map(ToString::to_string).unwrap_or_default();
    headers.insert(HOST, HeaderValue::try_from(address).unwrap_or(HeaderValue::from_static("")));
}

/// Says who the client is, which host and scheme it asked for. What a client that is not trusted says about that itself
/// is dropped.
fn forwarded(headers: &mut HeaderMap, client: &Client, plan: &Plan, asked: &Asked) {
    client_certificate(headers, client, plan, asked.glance);
    let scheme = HeaderValue::from_static(if client.secured.is_some() { "https" } else { "http" });
    if client.is_trusted(plan) {
        let before =
            headers.get_all(&X_FORWARDED_FOR).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b", "[..]);
        let whole = if before.is_empty() {
            client.forwarded_for.clone()
        } else {
            let joined = [before.as_slice(), b", ", client.forwarded_for.as_bytes()].concat();
            // Invariant: made of header values and plain ASCII.
            HeaderValue::from_bytes(&joined).unwrap_or_else(|_| client.forwarded_for.clone())
        };
        headers.insert(X_FORWARDED_FOR, whole);
        headers.entry(X_FORWARDED_PROTO).or_insert(scheme);
        if let Some(host) = &asked.host_header {
            headers.entry(X_FORWARDED_HOST).or_insert_with(|| host.clone());
        }
        return;
    }
    headers.insert(X_FORWARDED_FOR, client.forwarded_for.clone());
    headers.insert(X_FORWARDED_PROTO, scheme);
    match &asked.host_header {
        Some(host) => headers.insert(X_FORWARDED_HOST, host.clone()),
        None => headers.remove(X_FORWARDED_HOST),
    };
    if asked.glance.forwarded {
        headers.remove(FORWARDED);
    }
}

/// Says who the client is by its certificate. What it says itself is dropped, unless it is trusted: then its own
/// certificate comes after those that it speaks of.
fn client_certificate(headers: &mut HeaderMap, client: &Client, plan: &Plan, glance: Glance) {
    let keep = glance.client_certificate && client.is_trusted(plan);
    match client.identity() {
        None if glance.client_certificate && !keep => {
            headers.remove(X_FORWARDED_CLIENT_CERT);
        }
        None => {}
        Some(identity) if keep => {
            let before = headers.get_all(&X_FORWARDED_CLIENT_CERT).iter().map(HeaderValue::as_bytes);
            let all = before.chain([identity.forwarded().as_bytes()]).collect::<Vec<_>>().join(&b","[..]);
            // Invariant: made of header values and a comma.
            let all = HeaderValue::from_bytes(&all).unwrap_or_else(|_| identity.forwarded().clone());
            headers.insert(X_FORWARDED_CLIENT_CERT, all);
        }
        Some(identity) => {
            headers.insert(X_FORWARDED_CLIENT_CERT, identity.forwarded().clone());
        }
    }
}

/// Leaves nothing of `TE` but that trailers are wanted; whether they are.
fn only_trailers(headers: &mut HeaderMap) -> bool {
    let mut lines = headers.get_all(TE).iter();
    if lines.next().is_some_and(|te| *te == TRAILERS) && lines.next().is_none() {
        return true;
    }
    let is_wanted = |te: &HeaderValue| tokens(te).any(|te| te.eq_ignore_ascii_case(b"trailers"));
    let wanted = headers.get_all(TE).iter().any(is_wanted);
    if wanted {
        headers.insert(TE, TRAILERS);
    } else {
        headers.remove(TE);
    }
    wanted
}

/// Prepares a response's headers for the client.
pub(super) fn to_client<B>(response: &mut Response<B>, version: &HeaderValue, upgrade: Option<&HeaderValue>) {
    let status = response.status();
    *response.version_mut() = HttpVersion::HTTP_11;
    let headers = response.headers_mut();
    let glance = Glance::at(headers);
    remove_hop_by_hop(headers, glance);
    if glance.te {
        headers.remove(TE);
    }
    if status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
    }
    if status == StatusCode::SWITCHING_PROTOCOLS
        && let Some(protocol) = upgrade
    {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol.clone());
    }
    headers.insert(X_SERIN_VERSION, version.clone());
}

/// Removes what speaks of this connection only, and what `Connection` names.
fn remove_hop_by_hop(headers: &mut HeaderMap, glance: Glance) {
    if glance.connection {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(tokens)
            .filter(|name| !NAMES_NOTHING.iter().any(|word| name.eq_ignore_ascii_case(word)))
            .filter_map(|name| HeaderName::from_bytes(name).ok())
            .collect();
        headers.remove(CONNECTION);
        for name in named {
            headers.remove(name);
        }
    }
    if glance.doomed {
        let doomed: Vec<HeaderName> = headers.keys().filter(|name| is_doomed(name)).cloned().collect();
        for name in doomed {
            headers.remove(name);
        }
    }
}

/// Words in `Connection` that are no header to be removed, or one that is removed anyway.
const NAMES_NOTHING: [&[u8]; 3] = [b"keep-alive", b"close", b"upgrade"];

/// HTTP/2 clients may send a cookie per line; HTTP/1.1 knows one line (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let lines: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if lines.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b"; "[..]))
    {
        headers.insert(COOKIE, joined);
    }
}

/// Applies a filter that changes the request. `prefix`: the path prefix that matched.
pub(super) fn apply_request_filter(filter: &Filter, parts: &mut request::Parts, prefix: Option<&str>) {
    match filter {
        Filter::RequestHeaders(edit) => edit.apply(&mut parts.headers),
        Filter::Rewrite { hostname, path } => {
            if let Some(host) = hostname {
                parts.headers.insert(HOST, host.clone());
            }
            if let Some(edit) = path
                && let Some(target) = parts.uri.path_and_query()
                && let Ok(rewritten) = edit.apply(target, prefix)
            {
                parts.uri = Uri::from(rewritten);
            }
        }
        Filter::ResponseHeaders(_) | Filter::Redirect(_) => {}
    }
}

/// Makes an HTTP/2 request of one for HTTP/1.1. Its `Host` is what `:authority` says.
pub(super) fn for_h2(parts: &mut request::Parts) {
    parts.version = HttpVersion::HTTP_2;
    // Hardly ever is there one of them.
    if parts.headers.keys().any(|name| matches!(*name, CONNECTION | EXPECT)) {
        parts.headers.remove(CONNECTION);
        parts.headers.remove(EXPECT);
    }
}
