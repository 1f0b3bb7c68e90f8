//! Upgrades: what a client may switch to, and what becomes of its connection when the upstream agrees.

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Response, StatusCode, request};

use super::RelayBody;
use super::glance::Glance;
use super::headers::tokens;
use super::relay::Relay;
use crate::proxy::tunnel::PendingTunnel;
use crate::telemetry::Failure;
use crate::upstream::Lease;

/// The protocol a client asks to switch to. HTTP/2 by upgrade is not passed on: it would take a connection past every
/// check made here. Nor is a switch after a request with a body, whose end nobody might see if the upstream switches early.
pub(super) fn wanted(parts: &request::Parts, glance: Glance, is_h2: bool, has_body: bool) -> Option<HeaderValue> {
    if !glance.upgrade || !glance.connection || has_body {
        return None;
    }
    let mut protocols = parts.headers.get_all(UPGRADE).iter();
    let protocol = protocols.next()?;
    let named =
        parts.headers.get_all(CONNECTION).iter().flat_map(tokens).any(|name| name.eq_ignore_ascii_case(b"upgrade"));
    let single = protocols.next().is_none() && tokens(protocol).count() == 1;
    let is_http = protocol.as_bytes().to_ascii_lowercase().starts_with(b"h2");
    (named && single && !is_http && !is_h2 && parts.version == http::Version::HTTP_11).then(|| protocol.clone())
}

/// A 101 must be an answer to the question that was asked.
pub(super) fn check<B>(response: &Response<B>, wanted: Option<&HeaderValue>) -> Result<(), Failure> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(());
    }
    match (wanted, response.headers().get(UPGRADE)) {
        (Some(wanted), Some(agreed)) if wanted.as_bytes().eq_ignore_ascii_case(agreed.as_bytes()) => Ok(()),
        _ => Err(Failure::Protocol),
    }
}

/// Tells the client of the switch; once that is written, its connection becomes a tunnel.
pub(super) fn accept<B>(response: &Response<B>, lease: Lease, relay: Relay) -> Response<RelayBody> {
    let Relay { record, busy, .. } = relay;
    busy.0.tunnel.replace(Some(PendingTunnel::new(lease)));
    let mut accepted = Response::new(RelayBody::own(String::new(), Some(record), &busy));
    *accepted.status_mut() = response.status();
    accepted.headers_mut().clone_from(response.headers());
    accepted
}
