//! The keys of everything that the two sides have, or a sample of them.

use std::collections::HashSet;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::Value;

use super::http::{Found, HttpSides};
use super::run::MAX_RUN_KEYS;
use crate::plan::{KeyList, MAX_ENTITY_KEY, Share, Side};

/// Most pages of one side.
const MAX_PAGES: usize = 100_000;
/// Most keys of one page.
const MAX_PAGE: usize = 100_000;

/// Keys that belong to a sample: the same of both sides, others with every seed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) share: Share,
    pub(super) seed: u64,
}

impl Sample {
    fn holds(self, key: &str) -> bool {
        self.share.holds(xxhash_rust::xxh3::xxh3_64_with_seed(key.as_bytes(), self.seed))
    }
}

/// Lists the sampled keys of both sides, each once. `paced` is waited for before every page.
pub(super) async fn list<F: Future<Output = ()>>(
    sides: &HttpSides<'_>,
    found: &Found,
    sample: Sample,
    mut paced: impl FnMut() -> F,
) -> Result<Vec<Arc<str>>, String> {
    let Some(list) = &found.reconcile.list else { return Err("`migration.reconcile` has no `list`".to_owned()) };
    let (mut keys, mut known) = (Vec::new(), HashSet::new());
    for side in [Side::From, Side::To] {
        let mut after = String::new();
        for turned in 0.. {
            if turned == MAX_PAGES {
                return Err(format!("the list of keys has more than {MAX_PAGES} pages"));
            }
            paced().await;
            let path = list.path.with(&after);
            let answer = sides.get(side, Method::GET, &path).await?;
            if answer.status() != StatusCode::OK {
                return Err(format!("GET {path} was answered {}", answer.status().as_u16()));
            }
            let found = keys_of(list, answer.body()).map_err(|why| format!("GET {path}: {why}"))?;
            let end = found.last().cloned();
            for key in found.into_iter().filter(|key| sample.holds(key)) {
                let key: Arc<str> = key.into();
                if known.insert(Arc::clone(&key)) {
                    keys.push(key);
                }
            }
            if keys.len() > MAX_RUN_KEYS {
                return Err(format!("there are more than {MAX_RUN_KEYS} keys: take a smaller sample"));
            }
            match end.filter(|end| list.path.has_place() && *end != after) {
                Some(end) => after = end,
                None => break,
            }
        }
    }
    Ok(keys)
}

/// The keys of one page.
fn keys_of(list: &KeyList, body: &[u8]) -> Result<Vec<String>, String> {
    let document: Value = serde_json::from_slice(body).map_err(|error| format!("the answer is not JSON: {error}"))?;
    let keys = list.keys.select(&document, MAX_PAGE);
    let key = |value: &&Value| match value {
        Value::String(key) if (1..=MAX_ENTITY_KEY).contains(&key.len()) => Ok(key.clone()),
        Value::Number(number) => Ok(number.to_string()),
        other => {
            let shown: String = other.to_string().chars().take(60).collect();
            Err(format!("{shown} is no key: expected text of 1 to {MAX_ENTITY_KEY} bytes, or a number"))
        }
    };
    keys.iter().map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::Patterns;
    use crate::plan::PathTemplate;

    #[test]
    fn keys_are_texts_and_numbers_and_nothing_else() {
        let mut keys = Patterns::default();
        keys.add("$.items[*].id").unwrap();
        let list = KeyList { path: PathTemplate::new("/items", "after").unwrap(), keys };
        let read = |text: &str| keys_of(&list, text.as_bytes());
        assert_eq!(read(r#"{"items":[{"id":"a"},{"id":7}]}"#), Ok(vec!["a".to_owned(), "7".to_owned()]));
        assert_eq!(read(r#"{"items":[]}"#), Ok(Vec::new()));
        let wrong = "is no key: expected text of 1 to 512 bytes, or a number";
        assert_eq!(read(r#"{"items":[{"id":null}]}"#), Err(format!("null {wrong}")));
        assert_eq!(read(r#"{"items":[{"id":""}]}"#), Err(format!("\"\" {wrong}")));
        assert!(read("<html>").is_err_and(|why| why.starts_with("the answer is not JSON")));
    }

    #[test]
    fn a_sample_is_of_its_share_and_all_is_all() {
        let sample = Sample { share: Share::from_hundredths(1_000), seed: 3 };
        let count = (0..10_000).filter(|n| sample.holds(&n.to_string())).count();
        assert!((900..1_100).contains(&count), "{count}");
        assert!((0..1_000).all(|n| Sample { share: Share::ALL, seed: n }.holds(&n.to_string())));
    }
}
