//! Where the key of a request is found.

use std::borrow::Cow;
use std::io::Write;
use std::net::IpAddr;

use http::{HeaderMap, HeaderName, header};

use super::query;
use crate::tls::{Identity, Part};

/// One place a sticky key may stand in a request.
///
/// Of several header lines, cookies or parameters with the name the first counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// The value of a header.
    Header(HeaderName),
    /// The value of a cookie with this name (case-sensitive), as it stands: quotes belong to it (RFC 6265).
    Cookie(String),
    /// The percent-decoded value of a query parameter with this name.
    Query(String),
    /// The client's address in its canonical text (RFC 5952); an IPv4 address mapped into IPv6 is the IPv4 address.
    ClientIp,
    /// A part of the certificate that the client has shown.
    ClientCertificate(Part),
}

/// The bytes that decide the version: whoever has the same key gets the same version.
///
/// A key is used whole, however long; the bound on request heads bounds it.
#[derive(Debug, Clone)]
pub struct StickyKey<'a>(Bytes<'a>);

#[derive(Debug, Clone)]
enum Bytes<'a> {
    InRequest(Cow<'a, [u8]>),
    Address { text: [u8; MAX_ADDRESS], len: usize },
}

/// Bytes of the longest IPv6 address as text, one that ends in an embedded IPv4 address.
const MAX_ADDRESS: usize = 45;

impl<'a> StickyKey<'a> {
    /// The key at the first of `sources` that the request has. An empty value counts as absent. `query` is without its `?`;
    /// `client` is whom the request comes from, after trusted proxies are taken off; `identity` is who that is by its
    /// certificate.
    ///
    /// Allocates only to decode a query parameter.
    #[must_use]
    pub fn find(
        sources: &[KeySource],
        headers: &'a HeaderMap,
        query: Option<&'a str>,
        client: Option<IpAddr>,
        identity: Option<&'a Identity>,
    ) -> Option<Self> {
        sources.iter().find_map(|source| {
            let value = match source {
                KeySource::Header(name) => Cow::Borrowed(headers.get(name)?.as_bytes()),
                KeySource::Cookie(name) => Cow::Borrowed(cookie(headers, name.as_bytes())?),
                KeySource::Query(name) => query::decode(query::first(query?, name)?),
                KeySource::ClientIp => return client.map(Self::of_address),
                KeySource::ClientCertificate(part) => Cow::Borrowed(identity?.part(*part)?.as_bytes()),
            };
            (!value.is_empty()).then_some(Self(Bytes::InRequest(value)))
        })
    }

    /// The key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Bytes::InRequest(bytes) => bytes,
            Bytes::Address { text, len } => &text[..*len],
        }
    }

    fn of_address(address: IpAddr) -> Self {
        let mut text = [0; MAX_ADDRESS];
        let mut free = &mut text[..];
        // Invariant: the buffer holds every address, and writing to memory fails for nothing else.
        write!(free, "{}", address.to_canonical()).expect("an address fits its buffer");
        let len = MAX_ADDRESS - free.len();
        Self(Bytes::Address { text, len })
    }
}

/// The value of the first cookie with this name, on any `Cookie` line: HTTP/2 may send one cookie a line.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &[u8]) -> Option<&'a [u8]> {
    headers.get_all(header::COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';')).find_map(
        |pair| {
            let equals = pair.iter().position(|byte| *byte == b'=')?;
            (pair[..equals].trim_ascii() == name).then(|| pair[equals + 1..].trim_ascii())
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        headers
    }

    fn found(source: KeySource, lines: &[(&str, &str)], query: Option<&str>) -> Option<String> {
        let headers = headers(lines);
        let key = StickyKey::find(&[source], &headers, query, None, None)?;
        Some(String::from_utf8(key.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn the_first_source_that_is_present_and_not_empty_wins() {
        let sources = [
            KeySource::Header(HeaderName::from_static("x-user-id")),
            KeySource::Cookie("session".to_owned()),
            KeySource::Query("uid".to_owned()),
            KeySource::ClientIp,
        ];
        let client = Some("192.0.2.1".parse().unwrap());
        for (lines, query, expected) in [
            (vec![("x-user-id", "u1"), ("cookie", "session=s1")], Some("uid=q1"), "u1"),
            (vec![("x-user-id", ""), ("cookie", "session=s1")], Some("uid=q1"), "s1"),
            (vec![("cookie", "session=")], Some("uid=q1"), "q1"),
            (vec![], Some("uid="), "192.0.2.1"),
            (vec![], None, "192.0.2.1"),
        ] {
            let headers = headers(&lines);
            let key = StickyKey::find(&sources, &headers, query, client, None).unwrap();
            assert_eq!(key.as_bytes(), expected.as_bytes(), "{lines:?} {query:?}");
        }
        assert!(StickyKey::find(&sources, &HeaderMap::new(), None, None, None).is_none());
        assert!(StickyKey::find(&[], &HeaderMap::new(), Some("uid=1"), client, None).is_none());
    }

    #[test]
    fn a_cookie_is_found_on_any_line_and_kept_as_it_is() {
        let session = || KeySource::Cookie("session".to_owned());
        for (lines, expected) in [
            (vec!["session=abc"], Some("abc")),
            (vec!["a=1; session=abc; b=2"], Some("abc")),
            (vec!["a=1;session=abc;b=2"], Some("abc")),
            (vec!["a=1", "session=abc"], Some("abc")),
            (vec!["session=first; session=second"], Some("first")),
            (vec!["session=\"quoted\""], Some("\"quoted\"")),
            (vec!["session=a=b=="], Some("a=b==")),
            (vec!["session = spaced "], Some("spaced")),
            (vec!["xsession=abc; sessionx=abc; Session=abc"], None),
            (vec!["session"], None),
            (vec!["session=; session=late"], None),
            (vec![""], None),
        ] {
            let lines: Vec<_> = lines.into_iter().map(|line| ("cookie", line)).collect();
            assert_eq!(found(session(), &lines, None).as_deref(), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_query_parameter_is_decoded_before_it_is_a_key() {
        let uid = || KeySource::Query("uid".to_owned());
        for (query, expected) in [
            ("uid=a%40b.example", Some("a@b.example")),
            ("uid=a+b", Some("a b")),
            ("x=1&uid=2&uid=3", Some("2")),
            ("uid", None),
            ("uid=&uid=2", None),
        ] {
            assert_eq!(found(uid(), &[], Some(query)).as_deref(), expected, "{query}");
        }
    }

    #[test]
    fn one_client_has_one_key_however_its_address_arrives() {
        for (address, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:DB8:0:0::1", "2001:db8::1"),
            ("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            let headers = HeaderMap::new();
            let client = Some(address.parse().unwrap());
            let key = StickyKey::find(&[KeySource::ClientIp], &headers, None, client, None).unwrap();
            assert_eq!(key.as_bytes(), expected.as_bytes());
        }
    }

    #[test]
    fn a_header_that_is_no_text_is_a_key_as_well() {
        let mut headers = HeaderMap::new();
        headers.insert("x-user-id", http::HeaderValue::from_bytes(b"\xff\xfe").unwrap());
        let sources = [KeySource::Header(HeaderName::from_static("x-user-id"))];
        let key = StickyKey::find(&sources, &headers, None, None, None).unwrap();
        assert_eq!(key.as_bytes(), b"\xff\xfe");
    }
}
