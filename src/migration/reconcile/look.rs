//! What two sides say of one key.

use http::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::diff::{Answer, Difference, Rules};

/// What one side says of a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// There is nothing of this key.
    Absent,
    /// This.
    Entity(Entity),
}

/// Something of a key, as a side represents it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    /// The headers of the answer.
    pub headers: HeaderMap,
    /// Its body, whole.
    pub body: bytes::Bytes,
}

/// How two sides disagree.
#[derive(Debug, Clone, PartialEq)]
pub struct Disagreement {
    /// In what way.
    pub kind: Kind,
    /// Where, if both have something: `old` is the authoritative side's, `new` the other's; redacted and cut.
    pub differences: Vec<Difference>,
}

/// In what way two sides disagree of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// Both have it, and not the same.
    Differs,
    /// Only the authoritative side has it.
    Missing,
    /// Only the other side has it.
    Extra,
}

/// How the two sides disagree of a key; `None` where they do not.
#[must_use]
pub fn look(rules: &Rules, authoritative: &Reading, other: &Reading) -> Option<Disagreement> {
    let bare = |kind| Some(Disagreement { kind, differences: Vec::new() });
    match (authoritative, other) {
        (Reading::Absent, Reading::Absent) => None,
        (Reading::Entity(_), Reading::Absent) => bare(Kind::Missing),
        (Reading::Absent, Reading::Entity(_)) => bare(Kind::Extra),
        (Reading::Entity(one), Reading::Entity(two)) => {
            let differences = rules.compare(&one.answer(), &two.answer()).differences;
            (!differences.is_empty()).then_some(Disagreement { kind: Kind::Differs, differences })
        }
    }
}

impl Entity {
    /// As answers are compared: one status says that there is something, whatever else it says.
    fn answer(&self) -> Answer {
        let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            (name.as_str().to_owned(), value.as_bytes().to_vec())
        };
        Answer { status: 200, headers: self.headers.iter().map(header).collect(), body: Some(self.body.to_vec()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::Patterns;

    fn entity(body: &'static str) -> Reading {
        Reading::Entity(Entity { headers: HeaderMap::new(), body: body.into() })
    }

    #[test]
    fn sides_agree_where_they_say_the_same_by_the_rules() {
        let mut ignore = Patterns::default();
        ignore.add("$.at").unwrap();
        let rules = Rules { ignore, ..Rules::default() };
        let one = entity(r#"{"name": "Ada", "at": 1}"#);
        assert_eq!(look(&rules, &one, &entity(r#"{"at": 2, "name": "Ada"}"#)), None);
        assert_eq!(look(&rules, &Reading::Absent, &Reading::Absent), None);
        let kind = |a: &Reading, b: &Reading| look(&rules, a, b).map(|disagreement| disagreement.kind);
        assert_eq!(kind(&one, &Reading::Absent), Some(Kind::Missing));
        assert_eq!(kind(&Reading::Absent, &one), Some(Kind::Extra));
        let differs = look(&rules, &one, &entity(r#"{"name": "Eve"}"#)).expect("other names");
        assert_eq!((differs.kind, differs.differences[0].place.as_str()), (Kind::Differs, "$.name"));
    }
}
