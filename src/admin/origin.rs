//! Whether a change may be a web page's doing: a page anybody visits can have the browser ask any address that can be
//! reached from there, and can have a name of its own resolve to it (DNS rebinding).

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::connection::Peer;
use super::refusal::Refusal;
use crate::access::Access;
use crate::telemetry::AuthFailure;

/// What browsers say of a request: whether it comes from a page of this address.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses a change whose body is not said to be JSON, which no plain form can (nor can one ask for a DELETE); and where nothing was shown that only
/// its owner has (`ambient`), one that names a foreign host or comes from a page of another address.
pub(super) fn check(request: &Request, access: &Access, peer: &Peer, ambient: bool) -> Result<(), Refusal> {
    let headers = request.headers();
    let json = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).is_some_and(is_json);
    if !json && request.method() != Method::DELETE {
        let detail = "What is expected is a body of JSON, and the header `Content-Type: application/json`.";
        return Err(Refusal::new(AuthFailure::Foreign, StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    if !ambient {
        return Ok(());
    }
    let foreign = |detail: String| Err(Refusal::new(AuthFailure::Foreign, StatusCode::FORBIDDEN, detail));
    let Some(host) = host_of(request) else {
        return foreign("What is expected is one host that is asked for.".to_owned());
    };
    // No page reaches a unix socket, and none has a certificate for a name that is not its own.
    if !peer.is_unix() && !peer.encrypted && !is_ours(&host, access) {
        return foreign(format!(
            "`{}` is no name of this address: ask for an IP address or `localhost`, or name it in `admin.hosts`.",
            host.host()
        ));
    }
    match from_page(headers, &host, peer.encrypted) {
        Some(origin) => foreign(format!("This comes from a web page of another address ({origin}).")),
        None => Ok(()),
    }
}

fn is_json(kind: &str) -> bool {
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The one host that a request asks for.
fn host_of(request: &Request) -> Option<Authority> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.clone());
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next().filter(|_| hosts.next().is_none())?;
    Authority::try_from(host.as_bytes()).ok().filter(|authority| !authority.as_str().contains('@'))
}

/// Whether no other name can have led here than one that is meant to.
fn is_ours(host: &Authority, access: &Access) -> bool {
    let name = host.host().to_ascii_lowercase();
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&name);
    address.parse::<IpAddr>().is_ok() || name == "localhost" || access.hosts.contains(&name)
}

/// The page of another address that a request comes from, where it says so.
fn from_page(headers: &HeaderMap, host: &Authority, encrypted: bool) -> Option<String> {
    let scheme = if encrypted { "https" } else { "http" };
    let own = format!("{scheme}://{host}");
    let shown = |value: &[u8]| String::from_utf8_lossy(&value[..value.len().min(200)]).into_owned();
    let origins = headers.get_all(header::ORIGIN).iter();
    let foreign = origins.map(HeaderValue::as_bytes).find(|origin| !origin.eq_ignore_ascii_case(own.as_bytes()));
    let site = headers.get_all(SEC_FETCH_SITE).iter().map(HeaderValue::as_bytes);
    let site = site.into_iter().find(|site| !matches!(*site, b"same-origin" | b"none"));
    foreign.or(site).map(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(text: &str) -> Authority {
        text.parse().expect("an authority")
    }

    #[test]
    fn addresses_localhost_and_configured_names_are_ours() {
        let access = Access { hosts: vec!["serin.internal".to_owned()], ..Access::default() };
        for ours in
            ["127.0.0.1", "127.0.0.1:9901", "[::1]:9901", "10.0.0.1", "localhost", "LOCALHOST:1", "Serin.Internal:9901"]
        {
            assert!(is_ours(&authority(ours), &access), "{ours}");
        }
        for foreign in
            ["evil.example", "localhost.evil.example", "serin.internal.evil.example:9901", "1.2.3.4.evil", "admin"]
        {
            assert!(!is_ours(&authority(foreign), &access), "{foreign}");
        }
    }

    #[test]
    fn a_page_of_another_address_is_told_from_our_own() {
        let page = |name: &HeaderName, value: &str, encrypted| {
            let headers = HeaderMap::from_iter([(name.clone(), value.parse().expect("a value"))]);
            from_page(&headers, &authority("localhost:9901"), encrypted)
        };
        assert_eq!(page(&header::ORIGIN, "http://localhost:9901", false), None);
        assert_eq!(page(&header::ORIGIN, "https://localhost:9901", true), None);
        for foreign in
            ["https://localhost:9901", "http://localhost", "http://localhost:8080", "null", "http://evil.example", ""]
        {
            assert_eq!(page(&header::ORIGIN, foreign, false).as_deref(), Some(foreign));
        }
        assert_eq!(page(&SEC_FETCH_SITE, "same-origin", false), None);
        assert_eq!(page(&SEC_FETCH_SITE, "none", false), None);
        assert_eq!(page(&SEC_FETCH_SITE, "cross-site", false).as_deref(), Some("cross-site"));
        assert_eq!(page(&SEC_FETCH_SITE, "same-site", false).as_deref(), Some("same-site"), "another port is another");
        assert_eq!(from_page(&HeaderMap::new(), &authority("localhost"), false), None, "no browser");
    }

    #[test]
    fn a_body_is_json_where_that_is_said() {
        for json in ["application/json", "Application/JSON; charset=utf-8"] {
            assert!(is_json(json), "{json}");
        }
        for other in
            ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "text/plain; application/json"]
        {
            assert!(!is_json(other), "{other}");
        }
    }
}
