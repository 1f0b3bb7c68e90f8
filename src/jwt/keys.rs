//! The keys of a JWKS file.

use std::collections::HashSet;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use sha2::{Digest, Sha256};

/// Most keys of a file: issuers have two or three at a time.
const MAX_KEYS: usize = 64;
/// Fewest bytes of an RSA modulus (2048 bits), and most (8192), beyond which a signature costs too much to look at.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// Public keys that tokens may be signed by. Never empty.
#[derive(Debug, Clone)]
pub struct KeySet {
    keys: Vec<Key>,
    fingerprint: [u8; 32],
}

/// A key and the one algorithm that it is for: what a token says of its algorithm chooses nothing.
#[derive(Debug, Clone)]
pub(super) struct Key {
    id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) material: DecodingKey,
}

/// Why a file holds no keys that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// It is not JSON, or not a key set.
    #[error("not a JSON Web Key Set: {0}")]
    NotAKeySet(String),
    /// There are too many.
    #[error("{0} keys; at most {MAX_KEYS} are read")]
    TooMany(usize),
    /// One of them is wrong.
    #[error("keys[{position}]: {message}")]
    Wrong {
        /// Its place in the list.
        position: usize,
        /// What is wrong with it.
        message: String,
    },
    /// None of them is for signatures that are known here.
    #[error("no key in it verifies RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA")]
    NoneUsable,
}

impl KeySet {
    /// The keys of a JWKS file. A key without `alg` is for the algorithm its kind is nearly always used with: RS256, or the
    /// one of its curve. Keys for encryption, and of kinds that are not known, are passed over, as RFC 7517 (section 5)
    /// has it, and so are symmetric ones: whoever can read those could sign.
    ///
    /// # Errors
    /// [`KeySetError`]; nothing of the file is used then.
    pub fn parse(content: &[u8]) -> Result<Self, KeySetError> {
        let set: JwkSet =
            serde_json::from_slice(content).map_err(|error| KeySetError::NotAKeySet(error.to_string()))?;
        if set.keys.len() > MAX_KEYS {
            return Err(KeySetError::TooMany(set.keys.len()));
        }
        let mut keys = Vec::with_capacity(set.keys.len());
        let mut known = HashSet::new();
        let fingerprint = Sha256::digest(content).into();
        for (position, jwk) in set.keys.iter().enumerate() {
            let wrong = |message: String| KeySetError::Wrong { position, message };
            let Some(key) = usable(jwk).map_err(wrong)? else { continue };
            // Two of one name would be tried one after the other, at twice the price for whoever sends rubbish.
            if !known.insert((key.id.clone(), format!("{:?}", key.algorithm))) {
                return Err(wrong("another key before it has the same `kid` and the same algorithm".to_owned()));
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(KeySetError::NoneUsable) } else { Ok(Self { keys, fingerprint }) }
    }

    /// The key a token is to be verified by: the one it names, and where it names none the only one there is for its
    /// algorithm. `Err(true)`: there is such a key, but for another algorithm.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<&Key, bool> {
        let named = || self.keys.iter().filter(|key| id.is_none() || key.id.as_deref() == id);
        let mut fitting = named().filter(|key| key.algorithm == algorithm);
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (None, _) => Err(named().next().is_some()),
            // Only where it names none.
            (Some(_), Some(_)) => Err(false),
        }
    }

    /// Whether both were read from the same content.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.keys.len()
    }
}

/// A key as it is used here; `None` where it is not for signatures, or of a kind that is not known.
fn usable(jwk: &Jwk) -> Result<Option<Key>, String> {
    let common = &jwk.common;
    let for_other_things = common.public_key_use.as_ref().is_some_and(|what| *what != PublicKeyUse::Signature)
        || common.key_operations.as_ref().is_some_and(|what| !what.contains(&KeyOperations::Verify));
    if for_other_things {
        return Ok(None);
    }
    let (fitting, bytes): (&[Algorithm], _) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (&RSA, None),
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => (&[Algorithm::ES256], Some(65)),
            EllipticCurve::P384 => (&[Algorithm::ES384], Some(97)),
            _ => return Ok(None),
        },
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            (&[Algorithm::EdDSA], Some(32))
        }
        _ => return Ok(None),
    };
    let algorithm = match common.key_algorithm {
        None => fitting[0],
        Some(said) => match Algorithm::try_from(said) {
            Ok(said) if fitting.contains(&said) => said,
            Ok(_) => return Err(format!("its `alg`, {said}, is not one for its kind of key")),
            Err(_) => return Ok(None),
        },
    };
    let key = DecodingKey::from_jwk(jwk).map_err(|error| error.to_string())?;
    match (&jwk.algorithm, bytes) {
        (AlgorithmParameters::RSA(_), _) => {
            let jsonwebtoken::DecodingKeyKind::RsaModulusExponent { n, .. } = key.kind() else {
                return Err("not an RSA key".to_owned());
            };
            let length = n.iter().skip_while(|byte| **byte == 0).count();
            if !RSA_BYTES.contains(&length) {
                return Err(format!("an RSA key of about {} bits; 2048 to 8192 are used", length * 8));
            }
        }
        (_, Some(bytes)) if key.try_get_as_bytes().is_ok_and(|key| key.len() == bytes) => {}
        _ => return Err("its coordinates have the wrong length for its curve".to_owned()),
    }
    Ok(Some(Key { id: common.key_id.clone(), algorithm, material: key }))
}

/// What an RSA key may be for; first what it is for where it does not say.
const RSA: [Algorithm; 6] =
    [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];
