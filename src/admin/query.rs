//! What a query may have in it: the parameters that the document names, each once.

use axum::http::{StatusCode, Uri};

use super::problem::Problem;
use crate::ledger::clip;

/// Most characters of a name that are shown.
const SHOWN: usize = 100;

/// Whether the query of `uri` has only what is `known`, and each of it once; else the answer.
pub(super) fn check(uri: &Uri, known: &[String]) -> Result<(), Problem> {
    let wrong = |detail: String| Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    let mut seen: Vec<&String> = Vec::new();
    for part in uri.query().unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
        let name = decoded(part.split('=').next().unwrap_or_default());
        let Some(name) = known.iter().find(|known| **known == name) else {
            let expected = match known {
                [] => "a query without parameters".to_owned(),
                known => format!("none but: {}", known.join(", ")),
            };
            return wrong(format!("There is no parameter `{}` here: expected {expected}.", clip(&name, SHOWN)));
        };
        if seen.contains(&name) {
            return wrong(format!("The parameter `{name}` comes twice: expected once."));
        }
        seen.push(name);
    }
    Ok(())
}

/// A name as forms encode it (WHATWG URL, section 5.1). What is no UTF-8 is no name that is known.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let hex = |byte: u8| char::from(byte).to_digit(16);
        let byte = match (first, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, ..]) => match hex(*high).zip(hex(*low)) {
                Some((high, low)) => {
                    rest = &after[2..];
                    (high * 16 + low) as u8
                }
                None => b'%',
            },
            (byte, _) => *byte,
        };
        bytes.push(byte);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_query(query: &str) -> Result<(), String> {
        let known = ["after".to_owned(), "limit".to_owned()];
        let uri: Uri = format!("/api/v1/ledger?{query}").parse().expect("a URI");
        check(&uri, &known).map_err(|problem| format!("{problem:?}"))
    }

    #[test]
    fn known_parameters_pass_once_however_they_are_written() {
        for good in ["", "after=1", "after=1&limit=2", "%61fter=1", "after", "after=&limit=", "&&limit=1&"] {
            assert_eq!(check_query(good), Ok(()), "{good}");
        }
        for (bad, said) in [
            ("aftr=1", "`aftr` here: expected none but: after, limit"),
            ("after=1&after=2", "`after` comes twice"),
            ("after=1&%61fter=2", "`after` comes twice"),
            ("=1", "`` here"),
            ("%ff=1", "here"),
            ("%=1", "`%` here"),
        ] {
            let found = check_query(bad).expect_err(bad);
            assert!(found.contains(said), "{bad}: {found}");
        }
    }
}
