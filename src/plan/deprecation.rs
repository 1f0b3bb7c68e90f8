//! A version whose end is announced: what its answers say of that, and by what its callers are told apart.

use std::time::{SystemTime, UNIX_EPOCH};

use http::header::{Entry, LINK};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{KeySource, VersionId};

const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// The end of one version of a service, announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deprecation {
    /// What is announced.
    pub announced: Announcement,
    headers: Headers,
}

/// What is announced of the end of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The version.
    pub version: VersionId,
    /// Since when, or from when on, nobody is to begin to use it.
    pub at: SystemTime,
    /// When it is expected to answer no more. `None`: that is not said.
    pub sunset: Option<SystemTime>,
    /// Where to read about it.
    pub link: Option<String>,
    /// Where the name of a caller stands; the first source present in a request wins.
    pub callers: Vec<KeySource>,
    /// Names of callers are shown as the first digits of their SHA-256.
    pub hashed: bool,
    /// Most callers that are counted by their names; all further ones count together.
    pub max_callers: usize,
}

/// What answers say, made once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Headers {
    deprecation: Option<HeaderValue>,
    sunset: Option<HeaderValue>,
    links: Vec<HeaderValue>,
}

impl Deprecation {
    /// The end that this announces.
    #[must_use]
    pub fn new(announced: Announcement) -> Self {
        let Announcement { at, sunset, link, .. } = &announced;
        let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let value = |text: String| HeaderValue::try_from(text).ok();
        let relations = ["deprecation"].into_iter().chain(sunset.map(|_| "sunset"));
        let links = link.iter().flat_map(|link| {
            relations.clone().filter_map(move |relation| value(format!("<{link}>; rel=\"{relation}\"")))
        });
        let headers = Headers {
            deprecation: value(format!("@{seconds}")),
            sunset: sunset.map(httpdate::fmt_http_date).and_then(value),
            links: links.collect(),
        };
        Self { announced, headers }
    }

    /// Says it in an answer of the version: `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and `Link`. What the version says of
    /// that itself is about the very thing that was asked for, and stays.
    pub fn announce(&self, headers: &mut HeaderMap) {
        let Headers { deprecation, sunset, links } = &self.headers;
        for (name, value) in [(DEPRECATION, deprecation), (SUNSET, sunset)] {
            if let (Entry::Vacant(entry), Some(value)) = (headers.entry(name), value) {
                entry.insert(value.clone());
            }
        }
        for link in links {
            headers.append(LINK, link.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn announcement() -> Announcement {
        Announcement {
            version: VersionId::from_index(0),
            at: UNIX_EPOCH + Duration::from_secs(1_688_169_599),
            sunset: Some(UNIX_EPOCH + Duration::from_secs(1_719_791_999)),
            link: Some("https://shop.example/v1".to_owned()),
            callers: Vec::new(),
            hashed: false,
            max_callers: 1,
        }
    }

    #[test]
    fn answers_say_it_in_the_words_of_the_rfcs() {
        let mut headers = HeaderMap::new();
        headers.insert(LINK, "</next>; rel=\"next\"".parse().unwrap());
        Deprecation::new(announcement()).announce(&mut headers);
        assert_eq!(headers["deprecation"], "@1688169599");
        assert_eq!(headers["sunset"], "Sun, 30 Jun 2024 23:59:59 GMT");
        let links: Vec<_> = headers.get_all(LINK).iter().collect();
        assert_eq!(
            links,
            [
                "</next>; rel=\"next\"",
                "<https://shop.example/v1>; rel=\"deprecation\"",
                "<https://shop.example/v1>; rel=\"sunset\""
            ]
        );
    }

    #[test]
    fn what_is_not_announced_is_not_said_and_what_the_version_says_itself_stays() {
        let mut headers = HeaderMap::new();
        headers.insert(DEPRECATION, "@1".parse().unwrap());
        let bare = Announcement { sunset: None, link: None, ..announcement() };
        Deprecation::new(bare).announce(&mut headers);
        assert_eq!(headers["deprecation"], "@1");
        assert_eq!((headers.get(SUNSET), headers.get(LINK)), (None, None));
    }
}
