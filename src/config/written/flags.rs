//! What flags have to do with requests.

use crate::config::read::{At, List, written};
use crate::config::values::{AttributeName, FieldName, FilePath, FlagKey, Text, Timeout};

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
}
