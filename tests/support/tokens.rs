//! Whoever issues tokens: keys, the JWKS that tells of them, and tokens in any condition.

use rcgen::{KeyPair, SigningKey};
use serde_json::{Value, json};
use x509_parser::public_key::RSAPublicKey;

/// A key that signs tokens.
pub struct Issuer {
    id: &'static str,
    algorithm: &'static str,
    key: KeyPair,
}

impl Issuer {
    pub fn rs256(id: &'static str) -> Self {
        Self::new(id, "RS256", &rcgen::PKCS_RSA_SHA256)
    }

    pub fn es256(id: &'static str) -> Self {
        Self::new(id, "ES256", &rcgen::PKCS_ECDSA_P256_SHA256)
    }

    pub fn eddsa(id: &'static str) -> Self {
        Self::new(id, "EdDSA", &rcgen::PKCS_ED25519)
    }

    fn new(id: &'static str, algorithm: &'static str, kind: &'static rcgen::SignatureAlgorithm) -> Self {
        Self { id, algorithm, key: KeyPair::generate_for(kind).expect("a key") }
    }

    /// The public key as a JWKS has it.
    pub fn jwk(&self) -> Value {
        let raw = self.key.public_key_raw();
        let mut jwk = match self.algorithm {
            "RS256" => {
                let (_, key) = x509_parser::der_parser::parse_der(raw).expect("a key in DER");
                let parts = key.as_sequence().expect("modulus and exponent");
                let number = |at: usize| parts[at].as_slice().expect("a number");
                let key = RSAPublicKey { modulus: number(0), exponent: number(1) };
                json!({ "kty": "RSA", "n": base64(trimmed(key.modulus)), "e": base64(key.exponent) })
            }
            "ES256" => json!({ "kty": "EC", "crv": "P-256", "x": base64(&raw[1..33]), "y": base64(&raw[33..]) }),
            _ => json!({ "kty": "OKP", "crv": "Ed25519", "x": base64(raw) }),
        };
        jwk["kid"] = json!(self.id);
        jwk["alg"] = json!(self.algorithm);
        jwk
    }

    /// A token with these claims.
    pub fn token(&self, claims: &Value) -> String {
        self.token_of(&json!({ "alg": self.algorithm, "kid": self.id, "typ": "JWT" }), claims)
    }

    /// A token with this head, signed by this key whatever the head says.
    pub fn token_of(&self, head: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", base64(head.to_string().as_bytes()), base64(claims.to_string().as_bytes()));
        let signature = self.key.sign(signed.as_bytes()).expect("a signature");
        let signature = if self.algorithm == "ES256" { fixed(&signature) } else { signature };
        format!("{signed}.{}", base64(&signature))
    }
}

/// A JWKS of these keys.
pub fn jwks(issuers: &[&Issuer]) -> String {
    json!({ "keys": issuers.iter().map(|issuer| issuer.jwk()).collect::<Vec<_>>() }).to_string()
}

/// Base64 for URLs, without padding (RFC 4648, section 5).
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(DIGITS[(group >> (18 - 6 * digit)) as usize & 63]));
        }
    }
    text
}

/// An ECDSA signature as JWTs have it, from the DER that certificates have: both numbers in 32 bytes.
fn fixed(der: &[u8]) -> Vec<u8> {
    let (_, sequence) = x509_parser::der_parser::parse_der(der).expect("a signature in DER");
    let numbers = sequence.as_sequence().expect("two numbers").iter().map(|number| {
        let number = trimmed(number.as_slice().expect("a number"));
        [&vec![0; 32 - number.len()], number].concat()
    });
    numbers.collect::<Vec<_>>().concat()
}

/// Without the zero that keeps a number from being negative.
fn trimmed(number: &[u8]) -> &[u8] {
    number.strip_prefix(&[0]).unwrap_or(number)
}
