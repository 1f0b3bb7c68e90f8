//! Tokens: secrets that are shown, and known here by their SHA-256 alone.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Role;

/// The SHA-256 of a token. No salt: a token is 256 random bits, which nobody finds by trying.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

/// Somebody known by a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Who it is. Several tokens may name the same, so that one can take the place of another.
    pub name: Arc<str>,
    /// What it is.
    pub role: Role,
    /// The hash of the token.
    pub hash: TokenHash,
    /// From when on the token is worth nothing. `None`: never.
    pub expires: Option<SystemTime>,
}

/// All tokens there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tokens(Vec<Token>);

/// Why a token that was shown is worth nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WrongToken {
    /// It is nobody's.
    Unknown,
    /// It was this one's.
    Expired(Arc<str>),
}

/// A fresh token of 256 random bits. It begins with a word by which those who search for leaked secrets know it.
#[must_use]
pub fn new_token(random: [u8; 32]) -> String {
    format!("serin_{}", TokenHash(random))
}

impl TokenHash {
    /// The hash of a token.
    #[must_use]
    pub fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// From 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(hash))
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Enough to tell them apart.
        let mut hex = String::new();
        write!(hex, "{self}")?;
        write!(f, "{}…", &hex[..8])
    }
}

impl Tokens {
    /// These tokens, no two of them the same.
    #[must_use]
    pub fn new(tokens: Vec<Token>) -> Self {
        Self(tokens)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose token this is.
    ///
    /// The time that takes says nothing about the tokens there are: hashes are compared, each whole, and always all.
    ///
    /// # Errors
    /// [`WrongToken`] where it is nobody's, or not any more.
    pub fn find(&self, shown: &[u8], now: SystemTime) -> Result<&Token, WrongToken> {
        let hash = TokenHash::of(shown);
        let mut found = None;
        for token in &self.0 {
            if bool::from(token.hash.0.ct_eq(&hash.0)) {
                found = Some(token);
            }
        }
        match found {
            None => Err(WrongToken::Unknown),
            Some(token) if token.expires.is_some_and(|expires| expires <= now) => {
                Err(WrongToken::Expired(Arc::clone(&token.name)))
            }
            Some(token) => Ok(token),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn token(name: &str, secret: &str, expires: Option<u64>) -> Token {
        let expires = expires.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        Token { name: name.into(), role: Role::Operator, hash: TokenHash::of(secret.as_bytes()), expires }
    }

    fn found(tokens: &Tokens, secret: &str, now: u64) -> Result<String, WrongToken> {
        tokens.find(secret.as_bytes(), UNIX_EPOCH + Duration::from_secs(now)).map(|token| token.name.to_string())
    }

    #[test]
    fn a_token_is_found_by_its_whole_self_and_until_it_expires() {
        let tokens = Tokens::new(vec![token("a", "one", None), token("b", "two", Some(100)), token("a", "six", None)]);
        assert_eq!(found(&tokens, "one", 0), Ok("a".to_owned()));
        assert_eq!(found(&tokens, "six", 0), Ok("a".to_owned()), "a second one of the same");
        assert_eq!(found(&tokens, "two", 99), Ok("b".to_owned()));
        assert_eq!(found(&tokens, "two", 100), Err(WrongToken::Expired("b".into())));
        for wrong in ["", "on", "one ", "onee", "One"] {
            assert_eq!(found(&tokens, wrong, 0), Err(WrongToken::Unknown), "{wrong:?}");
        }
        assert_eq!(found(&Tokens::default(), "one", 0), Err(WrongToken::Unknown));
    }

    #[test]
    fn hashes_are_written_as_sha256sum_writes_them() {
        // The first test vector of FIPS 180.
        let hash = TokenHash::of(b"abc");
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash.to_string(), hex);
        assert_eq!(TokenHash::from_hex(hex), Some(hash));
        assert_eq!(TokenHash::from_hex(&hex.to_uppercase()), Some(hash));
        for wrong in ["", &hex[1..], &format!("{hex}0"), &hex.replacen("ba", "+a", 1), &hex.replacen("ba", "é", 1)] {
            assert_eq!(TokenHash::from_hex(wrong), None, "{wrong}");
        }
        assert!(!format!("{hash:?}").contains(&hex[9..]), "messages do not hold it whole");
    }

    #[test]
    fn a_new_token_is_all_of_its_randomness() {
        let token = new_token(std::array::from_fn(|index| index as u8));
        assert_eq!(token, "serin_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
    }
}
