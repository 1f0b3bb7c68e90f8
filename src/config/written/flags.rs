//! What flags have to do with requests.

use serde_json::{Value, json};

use crate::config::node::Kind;
use crate::config::problem::Problems;
use crate::config::read::{At, Cursor, List, Read, written};
use crate::config::values::{AttributeName, FieldName, FilePath, FlagKey, Text, Timeout, VariantName};

written! {
    /// What the rules of flags may ask about requests, beside targetingKey, clientAddress, route, service, version, host, path and method.
    FlagContext {
        /// Attributes taken from requests. Only what is named here is.
        optional "attributes" attributes: List<FlagAttribute, 1, 64>,
        /// The token whose claims may be attributes. Without it there are no claims.
        optional "jwt" jwt: Jwt,
    }

    /// One attribute: exactly one of header, cookie, query and claim, and what rules call it.
    FlagAttribute {
        /// The value of this header.
        optional "header" header: At<FieldName>,
        /// The value of this cookie.
        optional "cookie" cookie: At<Text>,
        /// The value of this query parameter.
        optional "query" query: At<Text>,
        /// This claim of the token, whatever its type; rules reach into objects by dots.
        optional "claim" claim: At<Text>,
        /// Its name in rules. Default: the name of the header, cookie, parameter or claim.
        optional "as" name: At<AttributeName>,
    }

    /// Which tokens are believed: those whose signature is that of a key in a file, and which are not over.
    Jwt {
        /// JWKS file with the issuer's public keys. It is watched.
        required "jwks" jwks: At<FilePath>,
        /// The header with the token, after `Bearer` or alone. Default: authorization.
        optional "header" header: At<FieldName>,
        /// What `iss` must say. Default: anything.
        optional "issuer" issuer: At<Text>,
        /// What `aud` must say, alone or among others. Default: anything.
        optional "audience" audience: At<Text>,
        /// How far the issuer's clock and this one may be apart, at most 5m. Default: 30s.
        optional "leeway" leeway: At<Timeout>,
    }

    /// A flag that decides something.
    ByFlag {
        /// Its key in the flag file.
        required "flag" flag: At<FlagKey>,
    }

    /// The flag that is measured by, and what its variants are compared with.
    Measured {
        /// The flag's key in the flag file.
        required "flag" flag: At<FlagKey>,
        /// The variant that each of the others is compared with. Default: the flag's defaultVariant; where it has none, the requests without a variant.
        optional "baseline" baseline: At<VariantName>,
    }
}

/// The flag that is measured by: its key alone, or a mapping.
#[derive(Debug)]
pub(in crate::config) struct MeasureBy {
    /// Its key.
    pub(in crate::config) flag: Option<At<FlagKey>>,
    /// The variant that the others are compared with.
    pub(in crate::config) baseline: Option<At<VariantName>>,
}

impl Read for MeasureBy {
    fn read(at: &Cursor<'_>, problems: &mut Problems<'_>) -> Option<Self> {
        match at.node.kind {
            Kind::Map(_) => {
                let Measured { flag, baseline, .. } = Measured::read(at, problems)?;
                Some(Self { flag, baseline })
            }
            Kind::List(_) => {
                at.mismatch("the key of a flag, or a mapping with keys of: flag, baseline", problems);
                None
            }
            _ => Some(Self { flag: Some(At::read(at, problems)?), baseline: None }),
        }
    }

    fn schema() -> Value {
        json!({ "anyOf": [At::<FlagKey>::schema(), Measured::schema()] })
    }
}
