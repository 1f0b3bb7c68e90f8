//! Version affinity: versions named in W3C `baggage` (<https://www.w3.org/TR/baggage/>), so that one user's request meets one
//! consistent set of versions all the way down a chain of services. Pure.
//!
//! An entry `serin.<service>=<version>` says which version of a service the request has met. All other entries are
//! somebody else's and pass as they are.

use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

use super::{Service, Version, VersionId, Weight};

/// Lets a service follow the versions named in baggage, and announces its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follow {
    /// Peers whose entries are followed; from all others they are removed. `None`: those whose `X-Forwarded-*` are believed.
    pub from: Option<Vec<IpNet>>,
}

const BAGGAGE: HeaderName = HeaderName::from_static("baggage");
const PREFIX: &[u8] = b"serin.";
/// Most entries of a baggage that everybody passes on (section 3.3.2 of the specification).
const MAX_ENTRIES: usize = 64;
/// Most bytes of such a baggage.
const MAX_BYTES: usize = 8192;

/// The version of `service` that the baggage of a request names: one that exists and gets anything at all, so that nobody
/// is kept on a version that was taken back.
#[must_use]
pub fn followed(headers: &HeaderMap, service: &Service) -> Option<VersionId> {
    let entry = entries(headers).find(|entry| named_service(entry) == Some(service.name.as_bytes()))?;
    let id = service.versions.iter().position(|version| names(entry, &version.name)).map(VersionId::from_index)?;
    (service.split.weights()[id.index()] > Weight::ZERO).then_some(id)
}

/// Says in the baggage of a request which version of `service` it meets, in the place of what it said of that before. Where
/// the peer is not `trusted`, everything else it says of serin's services is taken out. An entry that would make the baggage
/// longer than everybody passes on is left out: what others say is never lost for it.
pub fn announce(headers: &mut HeaderMap, service: &Service, version: &Version, trusted: bool) {
    let stays = |entry: &&[u8]| match named_service(entry) {
        None => true,
        Some(name) => trusted && name != service.name.as_bytes(),
    };
    let (mut all, mut kept, mut right) = (0, 0, 0);
    for entry in entries(headers) {
        all += 1;
        kept += usize::from(stays(&entry));
        let is_own = named_service(entry) == Some(service.name.as_bytes());
        right += usize::from(is_own && names(entry, &version.name));
    }
    if right == 1 && all == kept + 1 {
        return;
    }
    let mut joined = entries(headers).filter(stays).collect::<Vec<_>>().join(&b',');
    let own = [PREFIX, service.name.as_bytes(), b"=", version.name.as_bytes()].concat();
    if kept < MAX_ENTRIES && joined.len() + usize::from(kept > 0) + own.len() <= MAX_BYTES {
        if kept > 0 {
            joined.push(b',');
        }
        joined.extend_from_slice(&own);
        kept += 1;
    }
    headers.remove(BAGGAGE);
    // Invariant: pieces of header values, commas and names of plain ASCII are a header value.
    if kept > 0
        && let Ok(value) = HeaderValue::from_bytes(&joined)
    {
        headers.insert(BAGGAGE, value);
    }
}

/// The entries of all `baggage` lines, properties and all, without blanks around them.
fn entries(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(BAGGAGE).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|entry| !entry.is_empty())
}

/// The service that an entry speaks of, if it is one of serin's.
fn named_service(entry: &[u8]) -> Option<&[u8]> {
    let end = entry.iter().position(|byte| matches!(byte, b'=' | b';')).unwrap_or(entry.len());
    entry[..end].trim_ascii_end().strip_prefix(PREFIX)
}

/// Whether the value of an entry, its percent-encoding taken off, is `name`. Properties do not matter.
fn names(entry: &[u8], name: &str) -> bool {
    let pair = entry.split(|byte| *byte == b';').next().unwrap_or_default();
    let Some(equals) = pair.iter().position(|byte| *byte == b'=') else { return false };
    let value = pair[equals + 1..].trim_ascii();
    let (mut value, mut name) = (value, name.as_bytes());
    while let Some((expected, later)) = name.split_first() {
        let (byte, rest) = match value {
            [b'%', high, low, rest @ ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, rest),
                _ => return false,
            },
            [byte, rest @ ..] => (*byte, rest),
            [] => return false,
        };
        if byte != *expected {
            return false;
        }
        (value, name) = (rest, later);
    }
    value.is_empty()
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::{Source, load};

    fn shop() -> Arc<Service> {
        let text = "\
listeners: [{ address: 127.0.0.1:0 }]
services:
  shop:
    versions: { old: { upstream: http://x }, v-2.1: { upstream: http://y }, gone: { upstream: http://z } }
    weights: { old: 1, v-2.1: 1 }
routes: [{ service: shop }]
";
        Arc::clone(&load(Source { name: "serin.yaml", text }, None).unwrap().plan.services[0])
    }

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(BAGGAGE, HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    #[test]
    fn a_version_that_exists_and_has_a_weight_is_followed_and_no_other() {
        let shop = shop();
        let found = |lines: &[&str]| followed(&headers(lines), &shop).map(|id| &*shop.version(id).name);
        for (lines, expected) in [
            (vec!["serin.shop=v-2.1"], Some("v-2.1")),
            (vec!["a=b, serin.shop = v-2.1 ;ttl=1;x , c=d"], Some("v-2.1")),
            (vec!["a=b", "serin.shop=old"], Some("old")),
            (vec!["serin.shop=v%2D2%2e1"], Some("v-2.1")),
            (vec!["serin.shop=gone"], None),
            (vec!["serin.shop=newest"], None),
            (vec!["serin.shop=v-2.1x"], None),
            (vec!["serin.shop=v-2."], None),
            (vec!["serin.shop=v%2"], None),
            (vec!["serin.shop="], None),
            (vec!["serin.shop"], None),
            (vec!["serin.shop;p=old"], None),
            (vec!["serin.shopping=old", "xserin.shop=old", "shop=old", "Serin.shop=old"], None),
            (vec!["serin.shop=gone", "serin.shop=old"], None),
            (vec![""], None),
            (vec![], None),
        ] {
            assert_eq!(found(&lines), expected, "{lines:?}");
        }
    }

    fn announced(lines: &[&str], trusted: bool) -> Vec<String> {
        let shop = shop();
        let mut headers = headers(lines);
        announce(&mut headers, &shop, &shop.versions[1], trusted);
        headers.get_all(BAGGAGE).iter().map(|line| line.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_own_entry_is_added_or_replaced_and_others_stay_as_they_are() {
        for (lines, expected) in [
            (vec![], "serin.shop=v-2.1"),
            (vec!["a=b;p=1 ; q"], "a=b;p=1 ; q,serin.shop=v-2.1"),
            (vec!["serin.shop=old,a=b", "c=%20d"], "a=b,c=%20d,serin.shop=v-2.1"),
            (vec!["serin.cart=x, serin.shop=old;p"], "serin.cart=x,serin.shop=v-2.1"),
            (vec!["serin.shop=v-2.1,serin.shop=old"], "serin.shop=v-2.1"),
        ] {
            assert_eq!(announced(&lines, true), [expected], "{lines:?}");
        }
        let right = ["a=b , serin.shop=v-2.1;p", "c=d"];
        assert_eq!(announced(&right, true), right, "nothing to change");
    }

    #[test]
    fn what_a_stranger_says_of_our_services_is_taken_out() {
        assert_eq!(announced(&["serin.cart=x,a=b,serin.shop=old"], false), ["a=b,serin.shop=v-2.1"]);
        assert_eq!(announced(&["serin.shop=v-2.1"], false), ["serin.shop=v-2.1"]);
        assert_eq!(announced(&["serin.cart=x", "serin.=y"], false), ["serin.shop=v-2.1"]);
    }

    #[test]
    fn past_the_bounds_of_the_specification_the_own_entry_is_left_out() {
        let entries = |count: usize| (0..count).map(|i| format!("k{i}=v")).collect::<Vec<_>>().join(",");
        assert_eq!(announced(&[&entries(63)], true), [entries(63) + ",serin.shop=v-2.1"]);
        assert_eq!(announced(&[&entries(64)], true), [entries(64)]);
        let own = ",serin.shop=v-2.1".len();
        let long = |bytes: usize| format!("k={}", "v".repeat(bytes - 2));
        assert_eq!(announced(&[&long(8192 - own)], true)[0].len(), 8192);
        assert_eq!(announced(&[&long(8193 - own)], true), [long(8193 - own)]);
        let stale = format!("serin.shop=old,{}", long(8192));
        assert_eq!(announced(&[&stale], true), [long(8192)], "but what is not true any more goes");
    }
}
