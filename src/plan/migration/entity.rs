//! The key of the thing that a request reads or writes.

use std::borrow::Cow;
use std::num::NonZeroU8;

use http::{HeaderName, request};

use crate::plan::query;

/// Most bytes of a key.
pub const MAX_ENTITY_KEY: usize = 512;

/// One place where the key may stand in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// The value of a header.
    Header(HeaderName),
    /// The percent-decoded value of a query parameter.
    Query(String),
    /// The percent-decoded part of the path between two slashes, counted from 1: the second of `/items/42` is `42`. It is
    /// the path as the client sent it, before filters.
    PathSegment(NonZeroU8),
}

/// The key of a thing: text of at most [`MAX_ENTITY_KEY`] bytes, never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityKey<'a>(Cow<'a, str>);

/// What stands at the place of a key is longer than [`MAX_ENTITY_KEY`], or no text in UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key is longer than {MAX_ENTITY_KEY} bytes, or no text")]
pub struct NotAKey;

impl<'a> EntityKey<'a> {
    /// The key at the first of `sources` that the request has; an empty value counts as absent.
    pub(super) fn find(sources: &[KeySource], parts: &'a request::Parts) -> Result<Option<Self>, NotAKey> {
        let Some(bytes) = sources.iter().find_map(|source| source.find(parts)) else { return Ok(None) };
        if bytes.len() > MAX_ENTITY_KEY {
            return Err(NotAKey);
        }
        let text = match bytes {
            Cow::Borrowed(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).map_err(|_| NotAKey)?),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).map_err(|_| NotAKey)?),
        };
        Ok(Some(Self(text)))
    }

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl KeySource {
    fn find<'a>(&self, parts: &'a request::Parts) -> Option<Cow<'a, [u8]>> {
        let value = match self {
            Self::Header(name) => Cow::Borrowed(parts.headers.get(name)?.as_bytes()),
            Self::Query(name) => query::decode(query::first(parts.uri.query()?, name)?),
            Self::PathSegment(number) => segment(parts.uri.path(), *number)?,
        };
        (!value.is_empty()).then_some(value)
    }
}

/// A `+` in a path is a plus.
fn segment(path: &str, number: NonZeroU8) -> Option<Cow<'_, [u8]>> {
    let raw = path.strip_prefix('/')?.split('/').nth(usize::from(number.get()) - 1)?;
    if !raw.contains('%') {
        return Some(Cow::Borrowed(raw.as_bytes()));
    }
    let parts: Vec<Vec<u8>> = raw.split('+').map(|part| query::decoded(part).collect()).collect();
    Some(Cow::Owned(parts.join(&b'+')))
}
