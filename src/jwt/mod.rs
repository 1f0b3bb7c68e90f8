//! Floor 0. Tokens that clients show (JSON Web Tokens, RFC 7519), believed only where a key of ours says so.
//!
//! A [`KeySet`] is the public keys of a JWKS file (RFC 7517), each with the one algorithm it is for; [`Rules`] say which
//! tokens hold, [`verify()`] holds one against them, and a [`Cache`] remembers for one worker how that ended. Pure: the file's
//! content and the time are arguments. Nothing here signs, fetches keys, or takes a token's own word for how it is to be
//! verified.

mod cache;
mod keys;
mod verify;

pub use cache::{Cache, Looked};
pub use keys::{KeySet, KeySetError};
pub use verify::{MAX_TOKEN, Refused, Rules, Verified, bearer, verify};

#[cfg(test)]
mod tests;
