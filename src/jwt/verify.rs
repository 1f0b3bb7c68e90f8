//! Whether one token holds.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName};
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::KeySet;

/// Most bytes of a token that is looked at.
pub const MAX_TOKEN: usize = 8 * 1024;

/// Which tokens hold.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The keys that may have signed them.
    pub keys: Arc<KeySet>,
    /// What `iss` must say. `None`: anything.
    pub issuer: Option<String>,
    /// What `aud` must say, alone or among others. `None`: anything.
    pub audience: Option<String>,
    /// How far clocks may be apart.
    pub leeway: Duration,
}

impl Rules {
    /// Whether the same tokens hold.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let settings = |rules: &Self| (rules.issuer.clone(), rules.audience.clone(), rules.leeway);
        self.keys.is_same(&other.keys) && settings(self) == settings(other)
    }
}

/// What a token says that holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// Its claims.
    pub claims: Map<String, Value>,
    /// Seconds since 1970 at which it is over, the leeway included.
    pub until: f64,
}

/// Why a token says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It cannot be read: three parts of base64url, the first two JSON; `alg: none` is no algorithm.
    Malformed,
    /// It is longer than [`MAX_TOKEN`].
    TooLarge,
    /// No key has its `kid`, or it has none and there are several.
    UnknownKey,
    /// Its algorithm is not the key's, or it asks for an extension that is not known.
    Unsupported,
    /// The signature is not the key's.
    Signature,
    /// It is over, or says nothing of its end.
    Expired,
    /// It is not to be used yet.
    NotYet,
    /// Somebody else's.
    Issuer,
    /// For somebody else.
    Audience,
}

/// The token in a header: all of it, or what stands after `Bearer`. `None` where there is none; of several lines with the
/// name none counts, as nobody can say which is meant.
#[must_use]
pub fn bearer<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next()?.as_bytes().trim_ascii();
    if lines.next().is_some() {
        return None;
    }
    let token = match line.iter().position(|byte| *byte == b' ') {
        Some(end) if line[..end].eq_ignore_ascii_case(b"bearer") => line[end..].trim_ascii(),
        Some(_) => return None,
        None => line,
    };
    (!token.is_empty()).then_some(token)
}

/// What `token` says, if it holds at `now`.
///
/// # Errors
/// Why it does not.
pub fn verify(token: &[u8], now: SystemTime, rules: &Rules) -> Result<Verified, Refused> {
    if token.len() > MAX_TOKEN {
        return Err(Refused::TooLarge);
    }
    let header = decode_header(token).map_err(|_| Refused::Malformed)?;
    // RFC 7515, section 4.1.11: what is critical and not understood makes a token invalid. Nothing is understood here.
    if header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
        return Err(Refused::Unsupported);
    }
    let found = rules.keys.find(header.kid.as_deref(), header.alg);
    let key = found.map_err(|other| if other { Refused::Unsupported } else { Refused::UnknownKey })?;
    let claims = decode::<Map<String, Value>>(token, &key.material, &signature_alone(key.algorithm));
    let claims = claims.map_err(|error| match error.kind() {
        jsonwebtoken::errors::ErrorKind::InvalidSignature => Refused::Signature,
        _ => Refused::Malformed,
    })?;
    check(claims.claims, now, rules)
}

/// The library looks at the signature, and nothing else: it has its own clock, and we are given the time.
fn signature_alone(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

fn check(claims: Map<String, Value>, now: SystemTime, rules: &Rules) -> Result<Verified, Refused> {
    let now = seconds(now);
    let leeway = rules.leeway.as_secs_f64();
    // One that is there but is no number is not one that is not there.
    let until = claims.get("exp").and_then(Value::as_f64).ok_or(Refused::Expired)? + leeway;
    if now >= until {
        return Err(Refused::Expired);
    }
    if let Some(from) = claims.get("nbf")
        && from.as_f64().is_none_or(|from| now + leeway < from)
    {
        return Err(Refused::NotYet);
    }
    let is = |wanted: &str, said: &Value| said.as_str() == Some(wanted);
    if let Some(issuer) = &rules.issuer
        && !claims.get("iss").is_some_and(|said| is(issuer, said))
    {
        return Err(Refused::Issuer);
    }
    if let Some(audience) = &rules.audience {
        let is_meant = claims.get("aud").is_some_and(|said| match said {
            Value::Array(several) => several.iter().any(|one| is(audience, one)),
            one => is(audience, one),
        });
        if !is_meant {
            return Err(Refused::Audience);
        }
    }
    Ok(Verified { claims, until })
}

/// Seconds since 1970; before that, none.
pub(super) fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
