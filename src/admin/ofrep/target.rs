//! What a request is for, by its path.

use crate::telemetry::OfrepKind;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// The flag with this key.
    Single(String),
    /// All flags.
    Bulk,
    /// To be told of changes.
    Events,
    /// Nothing there is.
    Unknown,
}

/// Where all flags are evaluated; a key behind another slash is that of one.
const FLAGS: &str = "/ofrep/v1/evaluate/flags";
/// Where clients wait to be told of changes.
pub(super) const EVENTS: &str = "/ofrep/v1/events";

impl Target {
    /// Of a request to `path`, without its query.
    pub(super) fn of(path: &str) -> Self {
        match path.strip_prefix(FLAGS) {
            Some("") => Self::Bulk,
            // Providers do not all encode keys: one with a slash is a key, too.
            Some(rest) => rest.strip_prefix('/').map_or(Self::Unknown, |key| Self::Single(decoded(key))),
            None if path == EVENTS => Self::Events,
            None => Self::Unknown,
        }
    }

    /// What is offered there.
    pub(super) fn allowed(&self) -> &'static str {
        match self {
            Self::Single(_) | Self::Bulk => "POST, OPTIONS",
            Self::Events => "GET, HEAD, OPTIONS",
            Self::Unknown => "",
        }
    }

    /// Whether `method` is offered there.
    pub(super) fn allows(&self, method: &http::Method) -> bool {
        self.allowed().split(", ").any(|allowed| allowed == method.as_str())
    }

    /// As what it is counted.
    pub(super) fn kind(&self) -> OfrepKind {
        match self {
            Self::Single(_) => OfrepKind::Single,
            Self::Bulk => OfrepKind::Bulk,
            Self::Events => OfrepKind::Events,
            Self::Unknown => OfrepKind::Other,
        }
    }
}

/// Percent-decoded as URLs are (WHATWG): a `%` that begins no byte is itself; what is no UTF-8 matches no key.
fn decoded(key: &str) -> String {
    let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = key.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if let (b'%', Some(high), Some(low)) = (byte, hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            // Two hexadecimal digits are at most 255.
            out.push((high * 16 + low) as u8);
            at += 3;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_for_all_flags_one_of_them_events_or_nothing() {
        let single = |key: &str| Target::Single(key.to_owned());
        for (path, target) in [
            ("/ofrep/v1/evaluate/flags", Target::Bulk),
            ("/ofrep/v1/evaluate/flags/", single("")),
            ("/ofrep/v1/evaluate/flags/new-checkout", single("new-checkout")),
            ("/ofrep/v1/evaluate/flags/team/flag", single("team/flag")),
            ("/ofrep/v1/evaluate/flags/team%2Fflag", single("team/flag")),
            ("/ofrep/v1/evaluate/flags/gr%C3%BCn%20%25", single("grün %")),
            ("/ofrep/v1/evaluate/flags/100%", single("100%")),
            ("/ofrep/v1/evaluate/flags/%zz%4", single("%zz%4")),
            ("/ofrep/v1/evaluate/flags/%ff", single("\u{fffd}")),
            ("/ofrep/v1/evaluate/flagship", Target::Unknown),
            ("/ofrep/v1/events", Target::Events),
            ("/ofrep/v1/events/", Target::Unknown),
            ("/", Target::Unknown),
            ("*", Target::Unknown),
        ] {
            assert_eq!(Target::of(path), target, "{path}");
        }
    }
}
