//! How the two sides of a migration are read, held against each other and mended; and what has to be shown before a stage.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};

use super::{Progress, Share};
use crate::diff::Patterns;

/// How entities are read from both versions of a service by their keys, and written where they are wrong.
#[derive(Debug, Clone)]
pub struct Reconcile {
    /// Reads one entity; 404 and 410 say that there is none.
    pub read: KeyCall,
    /// How entities on which the sides disagree are mended.
    pub repair: Repair,
    /// Writes one entity as it was read from the other side; there where repairs copy.
    pub write: Option<KeyCall>,
    /// Takes one entity away that the authoritative side does not have. `None`: such are told of and stay.
    pub delete: Option<KeyCall>,
    /// Where the keys of all entities are listed. `None`: keys are known by what is written, or by whoever asks.
    pub list: Option<KeyList>,
    /// Sent with every one of these requests.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How many keys are looked at in a second without anybody asking; 0: none.
    pub verify_rate: f64,
    /// Longest that one request may take.
    pub timeout: Duration,
    /// Most bytes of an entity.
    pub max_body: usize,
}

/// How something on which the two sides disagree is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Repair {
    /// It is not.
    #[default]
    None,
    /// What the authoritative side says is written to the other, where both were seen to represent things alike.
    CopyAlike,
    /// The same, whatever was seen.
    Copy,
    /// The other side is sent the writes again that the journal still has for it.
    Resend,
}

/// A request about one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCall {
    /// Its method.
    pub method: Method,
    /// Its path, with `{key}` where the key stands.
    pub path: PathTemplate,
}

/// Where keys are listed, page by page.
#[derive(Debug, Clone)]
pub struct KeyList {
    /// The path, with `{after}` where the last key of the page before stands; without that there is one page.
    pub path: PathTemplate,
    /// Where the keys stand in a page.
    pub keys: Patterns,
}

/// A path and query with places for a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate {
    /// What stands before, between and after the values; one more than there are values.
    parts: Vec<String>,
}

/// Longest path as it is written, in bytes.
const MAX_PATH: usize = 1024;

impl PathTemplate {
    /// The path `text` in which `{name}` stands for values.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str, name: &str) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Err("it does not begin with `/`".to_owned());
        }
        if text.len() > MAX_PATH {
            return Err(format!("it is longer than {MAX_PATH} bytes"));
        }
        let parts: Vec<String> = text.split(&format!("{{{name}}}")).map(str::to_owned).collect();
        if let Some(odd) = parts.iter().flat_map(|part| part.chars()).find(|c| !is_plain(*c)) {
            return Err(format!("`{odd}` cannot stand in it"));
        }
        Ok(Self { parts })
    }

    /// Whether there is a place for a value.
    #[must_use]
    pub fn has_place(&self) -> bool {
        self.parts.len() > 1
    }

    /// The path with `value` in its places, percent-encoded but for what is safe everywhere (RFC 3986, section 2.3).
    #[must_use]
    pub fn with(&self, value: &str) -> String {
        let mut encoded = String::with_capacity(value.len());
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                encoded.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
        // A segment of dots alone means another place (RFC 3986, section 5.2.4).
        if matches!(value, "." | "..") {
            encoded = encoded.replace('.', "%2E");
        }
        self.parts.join(&encoded)
    }
}

/// Whether it can stand in a path or query as it is; a `#` would begin what is never sent.
fn is_plain(c: char) -> bool {
    c.is_ascii_graphic() && !"\"#<>\\^`{|}".contains(c)
}

/// How a migration is looked after: whether its sides agree, and what has to be shown before it moves on.
#[derive(Debug, Clone, Default)]
pub struct MigrationChecks {
    /// How both sides are read and mended. `None`: nobody looks.
    pub reconcile: Option<Arc<Reconcile>>,
    /// What has to be shown before a stage.
    pub gates: MigrationGates,
    /// Where it goes by itself, one after another; empty: nowhere.
    pub steps: Vec<MigrationStep>,
}

/// A point that a migration goes to by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MigrationStep {
    /// The stage, and the share of keys.
    pub to: Progress,
    /// How long it stays there at least.
    pub bake: Duration,
}

/// What has to be shown before a stage is taken.
#[derive(Debug, Clone, PartialEq)]
pub struct MigrationGates {
    /// The share of keys that must at least be the same on both sides before `live`: the lower end of what is shown.
    pub consistency: Share,
    /// Different keys that must have been looked at.
    pub min_keys: u32,
    /// How long `rampDown` must have been in force before `complete`.
    pub bake: Duration,
}

impl Default for MigrationGates {
    fn default() -> Self {
        Self { consistency: Share::from_hundredths(9_990), min_keys: 1_000, bake: Duration::from_mins(10) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_in_a_path_as_itself_and_as_nothing_else() {
        let path = PathTemplate::new("/items/{key}?of={key}", "key").unwrap();
        assert_eq!(path.with("a-1"), "/items/a-1?of=a-1");
        assert_eq!(path.with("a/b?c#ü"), "/items/a%2Fb%3Fc%23%C3%BC?of=a%2Fb%3Fc%23%C3%BC");
        assert_eq!(PathTemplate::new("/items/{key}", "key").unwrap().with(".."), "/items/%2E%2E");
        assert!(path.has_place());
        assert!(!PathTemplate::new("/items", "after").unwrap().has_place());
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for (path, why) in [
            ("items/{key}", "it does not begin with `/`"),
            ("/items/{id}", "`{` cannot stand in it"),
            ("/items/ü", "`ü` cannot stand in it"),
            ("/items/{key}#x", "`#` cannot stand in it"),
            ("/items/ {key}", "` ` cannot stand in it"),
        ] {
            assert_eq!(PathTemplate::new(path, "key").unwrap_err(), why, "{path}");
        }
        assert!(PathTemplate::new(&format!("/{}", "a".repeat(2_000)), "key").is_err());
    }
}
