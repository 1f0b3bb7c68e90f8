//! Semantic versions ([SemVer 2.0.0](https://semver.org)), read as leniently as flagd reads them.

use std::cmp::Ordering;

/// Largest number in a version: the largest that JavaScript counts to exactly.
const MAX: u64 = (1 << 53) - 1;
/// Most characters of a version.
const MAX_LENGTH: usize = 256;

/// A version without its build metadata, which compares equal whatever it says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Version<'a> {
    main: [u64; 3],
    /// Dot-separated identifiers; empty for a release.
    pre: &'a str,
}

/// How two versions may stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    SameMajor,
    SameMinor,
}

impl Relation {
    pub(super) fn from_text(text: &str) -> Option<Self> {
        Some(match text {
            "=" => Self::Equal,
            "!=" => Self::Unequal,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            "^" => Self::SameMajor,
            "~" => Self::SameMinor,
            _ => return None,
        })
    }

    /// Whether `left` stands so to `right`. `^` and `~` have no lower bound, as in flagd.
    pub(super) fn holds(self, left: &Version<'_>, right: &Version<'_>) -> bool {
        let order = left.precedence(right);
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::SameMajor => left.main[0] == right.main[0],
            Self::SameMinor => left.main[..2] == right.main[..2],
        }
    }
}

impl<'a> Version<'a> {
    /// A whole version, or `1` and `1.2` for `1.0.0` and `1.2.0`; a `v` in front is no matter.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        Self::parse_whole(text).or_else(|| Self::parse_part(text))
    }

    fn parse_whole(text: &'a str) -> Option<Self> {
        let text = text.trim();
        if text.len() > MAX_LENGTH {
            return None;
        }
        let text = text.strip_prefix('v').unwrap_or(text);
        let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
        let (main, pre) = text.split_once('-').map_or((text, None), |(main, pre)| (main, Some(pre)));
        let mut numbers = main.split('.').map(number);
        let main = [numbers.next()??, numbers.next()??, numbers.next()??];
        let legal = numbers.next().is_none()
            && pre.is_none_or(|pre| pre.split('.').all(|word| is_word(word) && !has_leading_zero(word)))
            && build.is_none_or(|build| build.split('.').all(is_word));
        legal.then_some(Self { main, pre: pre.unwrap_or_default() })
    }

    fn parse_part(text: &str) -> Option<Self> {
        /// What has more digits is not taken for part of a version.
        const MOST_DIGITS: usize = 16;
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        let minor = if is_number(minor) && minor.len() > MOST_DIGITS { "0" } else { minor };
        Some(Self { main: [number(major)?, number(minor)?, 0], pre: "" })
    }

    fn precedence(&self, other: &Self) -> Ordering {
        self.main.cmp(&other.main).then_with(|| match (self.pre, other.pre) {
            ("", "") => Ordering::Equal,
            ("", _) => Ordering::Greater,
            (_, "") => Ordering::Less,
            (left, right) => by_identifiers(left, right),
        })
    }
}

fn by_identifiers(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(left), Some(right)) => match (is_number(left), is_number(right)) {
                // Without leading zeros the longer number is the larger one.
                (true, true) => left.len().cmp(&right.len()).then_with(|| left.cmp(right)),
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => left.cmp(right),
            },
        };
        if order.is_ne() {
            return order;
        }
    }
}

fn number(text: &str) -> Option<u64> {
    let legal = is_number(text) && !has_leading_zero(text);
    legal.then(|| text.parse().ok()).flatten().filter(|number| *number <= MAX)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn has_leading_zero(text: &str) -> bool {
    text.len() > 1 && text.starts_with('0') && is_number(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(left: &str, relation: &str, right: &str) -> Option<bool> {
        Some(Relation::from_text(relation)?.holds(&Version::parse(left)?, &Version::parse(right)?))
    }

    #[test]
    fn versions_are_in_the_order_of_the_specification() {
        let ascending = [
            "0.9.9",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1",
            "1.2",
            "1.10.0",
            "v2",
            "10",
        ];
        for (i, left) in ascending.iter().enumerate() {
            for (j, right) in ascending.iter().enumerate() {
                assert_eq!(holds(left, "<", right), Some(i < j), "{left} < {right}");
                assert_eq!(holds(left, ">=", right), Some(i >= j), "{left} >= {right}");
                assert_eq!(holds(left, "=", right), Some(i == j), "{left} = {right}");
            }
        }
    }

    #[test]
    fn caret_and_tilde_ask_only_for_the_same_major_and_minor() {
        assert_eq!(holds("1.0.0", "^", "1.9.0"), Some(true));
        assert_eq!(holds("2.0.0", "^", "1.9.0"), Some(false));
        assert_eq!(holds("1.2.0", "~", "1.2.9"), Some(true));
        assert_eq!(holds("1.3.0", "~", "1.2.9"), Some(false));
    }

    #[test]
    fn build_metadata_and_a_v_are_no_matter_and_half_versions_are_filled() {
        for version in ["1.0.0", "v1.0.0", "V1.0.0", "1", "1.0", "1.0.0+build.007", " 1.0.0 "] {
            assert_eq!(holds(version, "=", "1.0.0"), Some(true), "{version}");
        }
    }

    #[test]
    fn what_is_no_version_has_no_order() {
        for version in [
            "",
            "x",
            "1.2.3.4",
            "01.0.0",
            "1.0.0-",
            "1.0.0-01",
            "1.0.0+",
            "1.",
            " 1",
            "myVersion_1",
            "1.0.0-ä",
            "9007199254740992",
        ] {
            assert_eq!(holds(version, "=", "1.0.0"), None, "{version}");
        }
        assert_eq!(holds("1.0.0", "==", "1.0.0"), None);
    }
}
