//! A write as bytes.
//!
//! A version byte; then service, key, method, target, authoritative version, other version, idempotency header and its value,
//! body; then each header's name and value. Each of them is its length, four bytes with the least first, and its bytes.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::Write;

const VERSION: u8 = 1;

/// How many bytes a write takes.
pub(super) fn length(write: &Write) -> usize {
    1 + fields(write).map(|field| 4 + field.len()).sum::<usize>()
}

/// Appends a write.
pub(super) fn encode(write: &Write, bytes: &mut Vec<u8>) {
    bytes.reserve(length(write));
    bytes.push(VERSION);
    for field in fields(write) {
        // Invariant: the book takes no write that is longer than MAX_WRITE, which is far below 4 GiB.
        bytes.extend_from_slice(&(field.len() as u32).to_le_bytes());
        bytes.extend_from_slice(field);
    }
}

/// `None`: it is no write.
pub(super) fn decode(bytes: &[u8]) -> Option<Write> {
    let (&VERSION, mut rest) = bytes.split_first()? else { return None };
    let mut field = || {
        let (length, behind) = rest.split_first_chunk()?;
        let (field, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        rest = behind;
        Some(field)
    };
    let text = |field: Option<&[u8]>| Some(Arc::<str>::from(std::str::from_utf8(field?).ok()?));
    let (service, key) = (text(field())?, text(field())?);
    let method = Method::from_bytes(field()?).ok()?;
    let target = text(field())?.as_ref().to_owned();
    let (authoritative, other) = (text(field())?, text(field())?);
    let idempotency = (HeaderName::from_bytes(field()?).ok()?, HeaderValue::from_bytes(field()?).ok()?);
    let body = Bytes::copy_from_slice(field()?);
    let mut headers = HeaderMap::new();
    while let Some(name) = field() {
        headers.append(HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(field()?).ok()?);
    }
    rest.is_empty().then_some(())?;
    Some(Write { service, key, method, target, headers, body, idempotency, authoritative, other })
}

fn fields(write: &Write) -> impl Iterator<Item = &[u8]> {
    let (name, value) = &write.idempotency;
    let fixed = [
        write.service.as_bytes(),
        write.key.as_bytes(),
        write.method.as_str().as_bytes(),
        write.target.as_bytes(),
        write.authoritative.as_bytes(),
        write.other.as_bytes(),
        name.as_str().as_bytes(),
        value.as_bytes(),
        &write.body,
    ];
    let headers = write.headers.iter().flat_map(|(name, value)| [name.as_str().as_bytes(), value.as_bytes()]);
    fixed.into_iter().chain(headers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn write() -> impl Strategy<Value = Write> {
        let text = || "[a-zäß/?=&]{0,20}";
        let header = ("[a-z-]{1,12}", "[a-zA-Z0-9 ]{0,12}");
        let headers = prop::collection::vec(header, 0..6);
        (text(), text(), text(), headers, prop::collection::vec(any::<u8>(), 0..64)).prop_map(
            |(service, key, target, headers, body)| {
                let mut map = HeaderMap::new();
                for (name, value) in headers {
                    let name = HeaderName::try_from(name).expect("a name of letters");
                    map.append(name, HeaderValue::try_from(value).expect("a value of letters"));
                }
                Write {
                    service: service.into(),
                    key: key.into(),
                    method: Method::PATCH,
                    target,
                    headers: map,
                    body: body.into(),
                    idempotency: (
                        HeaderName::from_static("idempotency-key"),
                        HeaderValue::from_bytes(b"a\xe9").expect("a value"),
                    ),
                    authoritative: "old".into(),
                    other: "new".into(),
                }
            },
        )
    }

    proptest! {
        #[test]
        fn a_write_is_read_as_it_was_written(write in write()) {
            let mut bytes = Vec::new();
            encode(&write, &mut bytes);
            prop_assert_eq!(bytes.len(), length(&write));
            prop_assert_eq!(decode(&bytes), Some(write));
        }

        #[test]
        fn no_bytes_make_it_panic_and_a_write_cut_short_is_none(write in write(), cut in any::<prop::sample::Index>(), junk: Vec<u8>) {
            let mut bytes = Vec::new();
            encode(&write, &mut bytes);
            let cut = cut.index(bytes.len());
            // Between two headers it is whole as far as it goes.
            if let Some(read) = decode(&bytes[..cut]) {
                prop_assert!(read.headers.len() < write.headers.len());
            }
            let _ = decode(&junk);
        }
    }
}
