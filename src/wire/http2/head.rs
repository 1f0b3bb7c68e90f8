//! What the fields of a header block say together (RFC 9113, section 8).

use http::header::{CONTENT_LENGTH, HOST, TE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, request};

use super::hpack::{self, Field, number_of};
use crate::wire::head::decimal;
use crate::wire::take_headers;

/// Why a message is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    /// It is not HTTP; what is wrong with it.
    Malformed(&'static str),
    /// It has more than allowed.
    TooLarge,
}

/// The fields of one block, as they are read.
#[derive(Debug)]
pub(super) struct Gathering {
    method: Option<Method>,
    path: Option<PathAndQuery>,
    status: Option<StatusCode>,
    scheme: bool,
    authority: bool,
    headers: HeaderMap,
    length: Option<u64>,
    /// A field that is no pseudo-header was there.
    regular: bool,
    /// Bytes that are still allowed.
    room: usize,
    bad: Option<Bad>,
}

impl Gathering {
    /// For `expected` fields or a few more, with `room` bytes in all by the count of `SETTINGS_MAX_HEADER_LIST_SIZE`.
    pub(super) fn new(expected: usize, room: usize) -> Self {
        Self {
            method: None,
            path: None,
            status: None,
            scheme: false,
            authority: false,
            headers: take_headers(expected),
            length: None,
            regular: false,
            room,
            bad: None,
        }
    }

    /// The same fields once more, with room for `expected` or a few more. (A map that is cloned has no room, and none of those that
    /// serve again.)
    pub(super) fn again(&self, expected: usize) -> Self {
        let mut headers = take_headers(expected);
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        let Self { method, path, status, scheme, authority, headers: _, length, regular, room, bad } = self;
        let (method, path) = (method.clone(), path.clone());
        let (status, scheme, authority, length) = (*status, *scheme, *authority, *length);
        let (regular, room, bad) = (*regular, *room, *bad);
        Self { method, path, status, scheme, authority, headers, length, regular, room, bad }
    }

    /// Takes the next field.
    pub(super) fn take(&mut self, field: &Field, size: usize) {
        if self.bad.is_some() {
            return;
        }
        let Some(room) = self.room.checked_sub(size) else {
            self.bad = Some(Bad::TooLarge);
            return;
        };
        self.room = room;
        if let Err(bad) = self.add(field) {
            self.bad = Some(bad);
        }
    }

    fn add(&mut self, field: &Field) -> Result<(), Bad> {
        let repeated = match field {
            Field::Header(name, value) => {
                self.regular = true;
                return self.header(name, value);
            }
            Field::Malformed(what) => return Err(Bad::Malformed(what)),
            _ if self.regular => return Err(Bad::Malformed("a pseudo-header field follows another field")),
            Field::Method(method) => self.method.replace(method.clone()).is_some(),
            Field::Path(path) => self.path.replace(path.clone()).is_some(),
            Field::Status(status) => self.status.replace(*status).is_some(),
            Field::Scheme => std::mem::replace(&mut self.scheme, true),
            Field::Authority(authority) => {
                self.append(&HOST, authority)?;
                std::mem::replace(&mut self.authority, true)
            }
        };
        if repeated { Err(Bad::Malformed("a pseudo-header field is there twice")) } else { Ok(()) }
    }

    fn header(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), Bad> {
        match *name {
            CONTENT_LENGTH => {
                let length = decimal(value.as_bytes()).ok_or(Bad::Malformed("content-length is not a plain number"))?;
                if self.length.replace(length).is_some() {
                    return Err(Bad::Malformed("there is more than one content-length"));
                }
            }
            // `:authority` stands for it already; where they differ there are two, which nobody takes.
            HOST if self.authority
                && self
                    .headers
                    .get(HOST)
                    .is_some_and(|host| host.as_bytes().eq_ignore_ascii_case(value.as_bytes())) =>
            {
                return Ok(());
            }
            TE if value != "trailers" => return Err(OF_A_CONNECTION),
            _ if is_of_a_connection(name) => return Err(OF_A_CONNECTION),
            _ => {}
        }
        self.append(name, value)
    }

    fn append(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), Bad> {
        self.headers.try_append(name, value.clone()).map(|_| ()).map_err(|_| Bad::TooLarge)
    }

    /// Whether something is wrong with it.
    pub(super) fn is_bad(&self) -> bool {
        self.bad.is_some()
    }

    /// How many fields there were.
    pub(super) fn len(&self) -> usize {
        self.headers.len()
    }

    /// A request, with `Host` in place of `:authority`; and the length of its body as its head says. `ended`: it has none.
    pub(super) fn request(self, ended: bool) -> Result<(request::Parts, Option<u64>), Bad> {
        if let Some(bad) = self.bad {
            return Err(bad);
        }
        if self.status.is_some() {
            return Err(Bad::Malformed("a request has a status"));
        }
        let method = self.method.ok_or(Bad::Malformed("there is no method"))?;
        // RFC 9113, sections 8.3.1 and 8.5.
        let is_right = if method == Method::CONNECT {
            !self.scheme && self.path.is_none()
        } else {
            self.scheme && self.path.is_some()
        };
        if !is_right {
            return Err(Bad::Malformed("the scheme or the path is missing, or there though it must not be"));
        }
        if ended && self.length.is_some_and(|length| length > 0) {
            return Err(Bad::Malformed("there is no body though the content-length says so"));
        }
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = self.path.map(Uri::from).unwrap_or_default();
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = self.headers;
        Ok((request.into_parts().0, self.length))
    }

    /// A response, and the length that its head speaks of.
    pub(super) fn response(self) -> Result<(Response<()>, Option<u64>), Bad> {
        if let Some(bad) = self.bad {
            return Err(bad);
        }
        if self.method.is_some() || self.path.is_some() || self.scheme || self.authority {
            return Err(Bad::Malformed("a response has fields of a request"));
        }
        let status = self.status.ok_or(Bad::Malformed("there is no status"))?;
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Bad::Malformed("there is no other protocol to switch to"));
        }
        let mut response = Response::new(());
        *response.status_mut() = status;
        *response.version_mut() = Version::HTTP_2;
        *response.headers_mut() = self.headers;
        Ok((response, self.length))
    }

    /// Trailers.
    pub(super) fn trailers(self) -> Result<HeaderMap, Bad> {
        match self.bad {
            Some(bad) => Err(bad),
            None if self.method.is_some() || self.path.is_some() || self.status.is_some() => Err(PSEUDO_TRAILERS),
            None if self.scheme || self.authority => Err(PSEUDO_TRAILERS),
            None => Ok(self.headers),
        }
    }
}

const OF_A_CONNECTION: Bad = Bad::Malformed("a field speaks of an HTTP/1 connection");
const PSEUDO_TRAILERS: Bad = Bad::Malformed("there are pseudo-header fields among the trailers");

/// Whether a header means something to HTTP/1 connections only, and must not be sent over HTTP/2 (RFC 9113, section 8.2.2).
pub(super) fn is_of_a_connection(name: &HeaderName) -> bool {
    match number_of(name) {
        0 => matches!(name.as_str(), "connection" | "upgrade" | "keep-alive" | "proxy-connection"),
        // What HPACK knows, most messages have.
        number => hpack::is_of_a_connection(number),
    }
}
