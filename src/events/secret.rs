//! Signatures of what is sent to others, by [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What stands before a secret, so that people and scanners know it for one.
const PREFIX: &str = "whsec_";
/// Bytes of a key, as the specification has them.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Most keys at a time: the one that comes and the one that goes.
const KEYS: usize = 2;
/// What is expected of the text, for messages.
const EXPECTED: &str =
    "one or two lines of `whsec_` and 24 to 64 bytes in base64, as `echo whsec_$(openssl rand -base64 32)` makes them";

/// The keys that a receiver knows serin by.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<Vec<u8>>);

impl Secret {
    /// What a file of secrets holds: one a line. With two, everything is signed by both, so that a receiver may go over from
    /// one to the other.
    ///
    /// # Errors
    /// A sentence that shows nothing of the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() || lines.len() > KEYS {
            return Err(format!("it has {} lines with something on them: expected {EXPECTED}", lines.len()));
        }
        let keys = lines.iter().enumerate().map(|(index, line)| {
            let key = line.strip_prefix(PREFIX).and_then(|encoded| STANDARD.decode(encoded).ok());
            let wrong = || format!("its line {} is no secret: expected {EXPECTED}", index + 1);
            key.filter(|key| KEY_BYTES.contains(&key.len())).ok_or_else(wrong)
        });
        keys.collect::<Result<_, _>>().map(Self)
    }

    /// What stands in `webhook-signature`: a signature by each key, with spaces between them.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let signatures = self.0.iter().map(|key| {
            let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
            context.update(format!("{id}.{timestamp}.").as_bytes());
            context.update(body);
            format!("v1,{}", STANDARD.encode(context.sign()))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Debug for Secret {
    /// Says nothing of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the specification's libraries have it in their tests.
    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn a_message_is_signed_as_others_sign_it() {
        let secret = Secret::parse(KEY).unwrap();
        let signed = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn with_two_keys_there_are_two_signatures_the_first_key_s_first() {
        let other = format!("whsec_{}", STANDARD.encode([7; 32]));
        let both = Secret::parse(&format!("\n{KEY}\r\n  {other}\n")).unwrap().sign("a", 1, b"x");
        let [one, two] = [KEY, &other].map(|key| Secret::parse(key).unwrap().sign("a", 1, b"x"));
        assert_eq!(both, format!("{one} {two}"));
    }

    #[test]
    fn what_is_no_secret_is_refused_and_not_shown() {
        let short = format!("whsec_{}", STANDARD.encode([7; 23]));
        let long = format!("whsec_{}", STANDARD.encode([7; 65]));
        let three = format!("{KEY}\n{KEY}\n{KEY}");
        for wrong in
            ["", "\n", "hunter2hunter2", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!!", &short, &long, &three]
        {
            let said = Secret::parse(wrong).unwrap_err();
            assert!(said.contains("expected one or two lines"), "{said}");
            assert!(!said.contains("hunter2") && !said.contains("MfKQ"), "{said}");
        }
        assert_eq!(format!("{:?}", Secret::parse(KEY)), "Ok(Secret)");
    }
}
