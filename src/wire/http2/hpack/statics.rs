//! The fields that both sides know from the beginning (RFC 7541, appendix A).

use http::header::{
    ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE, ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_ORIGIN, AGE, ALLOW,
    AUTHORIZATION, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE, COOKIE, DATE, ETAG, EXPECT, EXPIRES, FROM, HOST, IF_MATCH,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED, LINK, LOCATION, MAX_FORWARDS,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, RANGE, REFERER, REFRESH, RETRY_AFTER, SERVER, SET_COOKIE,
    STRICT_TRANSPORT_SECURITY, TRANSFER_ENCODING, USER_AGENT, VARY, VIA, WWW_AUTHENTICATE,
};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::field::{Entry, Field};

/// How many there are.
pub(super) const COUNT: usize = FIELDS.len();
/// Positions that the encoder names.
pub(super) const AUTHORITY: u8 = 1;
pub(super) const METHOD: u8 = 2;
pub(super) const METHOD_POST: u8 = 3;
pub(super) const PATH: u8 = 4;
pub(super) const SCHEME: u8 = 6;
pub(super) const SCHEME_HTTPS: u8 = 7;
pub(super) const STATUS: u8 = 8;

const fn header(name: HeaderName, length: usize) -> Entry {
    Entry { field: Field::Header(name, HeaderValue::from_static("")), name_length: length, value_length: 0 }
}

const fn pseudo(field: Field, name_length: usize, value_length: usize) -> Entry {
    Entry { field, name_length, value_length }
}

/// The fields; the first has number 1.
pub(super) static FIELDS: [Entry; 61] = [
    pseudo(Field::Authority(HeaderValue::from_static("")), 10, 0),
    pseudo(Field::Method(Method::GET), 7, 3),
    pseudo(Field::Method(Method::POST), 7, 4),
    pseudo(Field::Path(PathAndQuery::from_static("/")), 5, 1),
    pseudo(Field::Path(PathAndQuery::from_static("/index.html")), 5, 11),
    pseudo(Field::Scheme, 7, 4),
    pseudo(Field::Scheme, 7, 5),
    pseudo(Field::Status(StatusCode::OK), 7, 3),
    pseudo(Field::Status(StatusCode::NO_CONTENT), 7, 3),
    pseudo(Field::Status(StatusCode::PARTIAL_CONTENT), 7, 3),
    pseudo(Field::Status(StatusCode::NOT_MODIFIED), 7, 3),
    pseudo(Field::Status(StatusCode::BAD_REQUEST), 7, 3),
    pseudo(Field::Status(StatusCode::NOT_FOUND), 7, 3),
    pseudo(Field::Status(StatusCode::INTERNAL_SERVER_ERROR), 7, 3),
    header(ACCEPT_CHARSET, 14),
    Entry {
        field: Field::Header(ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate")),
        name_length: 15,
        value_length: 13,
    },
    header(ACCEPT_LANGUAGE, 15),
    header(ACCEPT_RANGES, 13),
    header(ACCEPT, 6),
    header(ACCESS_CONTROL_ALLOW_ORIGIN, 27),
    header(AGE, 3),
    header(ALLOW, 5),
    header(AUTHORIZATION, 13),
    header(CACHE_CONTROL, 13),
    header(CONTENT_DISPOSITION, 19),
    header(CONTENT_ENCODING, 16),
    header(CONTENT_LANGUAGE, 16),
    header(CONTENT_LENGTH, 14),
    header(CONTENT_LOCATION, 16),
    header(CONTENT_RANGE, 13),
    header(CONTENT_TYPE, 12),
    header(COOKIE, 6),
    header(DATE, 4),
    header(ETAG, 4),
    header(EXPECT, 6),
    header(EXPIRES, 7),
    header(FROM, 4),
    header(HOST, 4),
    header(IF_MATCH, 8),
    header(IF_MODIFIED_SINCE, 17),
    header(IF_NONE_MATCH, 13),
    header(IF_RANGE, 8),
    header(IF_UNMODIFIED_SINCE, 19),
    header(LAST_MODIFIED, 13),
    header(LINK, 4),
    header(LOCATION, 8),
    header(MAX_FORWARDS, 12),
    header(PROXY_AUTHENTICATE, 18),
    header(PROXY_AUTHORIZATION, 19),
    header(RANGE, 5),
    header(REFERER, 7),
    header(REFRESH, 7),
    header(RETRY_AFTER, 11),
    header(SERVER, 6),
    header(SET_COOKIE, 10),
    header(STRICT_TRANSPORT_SECURITY, 25),
    header(TRANSFER_ENCODING, 17),
    header(USER_AGENT, 10),
    header(VARY, 4),
    header(VIA, 3),
    header(WWW_AUTHENTICATE, 16),
];

/// Whether a field with this number is one whose value is secret.
pub(super) fn is_secret(number: u8) -> bool {
    matches!(number, 23 | 32 | 49 | 55)
}

/// Whether a field with this number means something to HTTP/1 connections only. There are more such fields than have numbers.
pub(crate) fn is_of_a_connection(number: u8) -> bool {
    number == 57
}

/// The number of a field with this name; 0 where there is none.
pub(crate) fn number_of(name: &HeaderName) -> u8 {
    match *name {
        ACCEPT_CHARSET => 15,
        ACCEPT_ENCODING => 16,
        ACCEPT_LANGUAGE => 17,
        ACCEPT_RANGES => 18,
        ACCEPT => 19,
        ACCESS_CONTROL_ALLOW_ORIGIN => 20,
        AGE => 21,
        ALLOW => 22,
        AUTHORIZATION => 23,
        CACHE_CONTROL => 24,
        CONTENT_DISPOSITION => 25,
        CONTENT_ENCODING => 26,
        CONTENT_LANGUAGE => 27,
        CONTENT_LENGTH => 28,
        CONTENT_LOCATION => 29,
        CONTENT_RANGE => 30,
        CONTENT_TYPE => 31,
        COOKIE => 32,
        DATE => 33,
        ETAG => 34,
        EXPECT => 35,
        EXPIRES => 36,
        FROM => 37,
        HOST => 38,
        IF_MATCH => 39,
        IF_MODIFIED_SINCE => 40,
        IF_NONE_MATCH => 41,
        IF_RANGE => 42,
        IF_UNMODIFIED_SINCE => 43,
        LAST_MODIFIED => 44,
        LINK => 45,
        LOCATION => 46,
        MAX_FORWARDS => 47,
        PROXY_AUTHENTICATE => 48,
        PROXY_AUTHORIZATION => 49,
        RANGE => 50,
        REFERER => 51,
        REFRESH => 52,
        RETRY_AFTER => 53,
        SERVER => 54,
        SET_COOKIE => 55,
        STRICT_TRANSPORT_SECURITY => 56,
        TRANSFER_ENCODING => 57,
        USER_AGENT => 58,
        VARY => 59,
        VIA => 60,
        WWW_AUTHENTICATE => 61,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_number_and_its_length() {
        for (at, entry) in FIELDS.iter().enumerate() {
            if let Field::Header(name, value) = &entry.field {
                assert_eq!(usize::from(number_of(name)), at + 1, "{name}");
                assert_eq!((name.as_str().len(), value.len()), (entry.name_length, entry.value_length), "{name}");
            }
        }
    }

    #[test]
    fn what_is_secret_is_known_by_its_number_too() {
        let secret = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE].map(|name| number_of(&name));
        assert!((0..=COUNT as u8).all(|number| is_secret(number) == secret.contains(&number)));
        assert!(
            (0..=COUNT as u8).all(|number| is_of_a_connection(number) == (number == number_of(&TRANSFER_ENCODING)))
        );
    }
}
