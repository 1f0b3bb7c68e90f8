//! The files that somebody starts from: `config/serin.yaml` and `config/weights.yaml` of this project, comments and all,
//! with the names and addresses of their own service.

use super::values::{self, Bind, Name, Upstream};
use super::{Errors, Source, load};

const SERIN: &str = include_str!("../../config/serin.yaml");
const WEIGHTS: &str = include_str!("../../config/weights.yaml");

/// What is asked for; every value as it is written in a file.
#[derive(Debug, Clone)]
pub struct Starter {
    /// The service's name.
    pub service: String,
    /// Where the old version answers.
    pub old: String,
    /// Where the new version answers.
    pub new: String,
    /// Where clients connect.
    pub listen: String,
    /// Where the admin API answers.
    pub admin: String,
}

/// The text of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StarterFiles {
    /// `serin.yaml`.
    pub serin: String,
    /// `weights.yaml`, which the former names.
    pub weights: String,
}

/// Why there are no files to start from.
#[derive(Debug, thiserror::Error)]
pub enum StarterError {
    /// A value is not what it should be.
    #[error("{what} `{found}`: {problem}")]
    Value {
        /// Which value.
        what: &'static str,
        /// What it is.
        found: String,
        /// What is wrong with it and what is expected.
        problem: String,
    },
    /// Each value is right, but not the whole.
    #[error(transparent)]
    Whole(#[from] Errors),
}

/// The files for `starter`. All traffic goes to the old version at first.
///
/// # Errors
/// The first value that is wrong.
pub fn starter(starter: &Starter) -> Result<StarterFiles, StarterError> {
    let Starter { service, old, new, listen, admin } = starter;
    checked::<Name>("the service's name", service)?;
    checked::<Upstream>("the old version's upstream", old)?;
    checked::<Upstream>("the new version's upstream", new)?;
    checked::<Bind>("the address to listen on", listen)?;
    let bind = checked::<Bind>("the admin API's address", admin)?;
    // Where others can reach it, it is read-only until the file says who may do what.
    let open = if bind.is_local() { ", open: true" } else { "" };
    let serin = [
        ("\"http://127.0.0.1:9001\"", quoted(old)),
        ("\"http://127.0.0.1:9002\"", quoted(new)),
        ("address: 127.0.0.1:8080", format!("address: {}", quoted(listen))),
        ("address: 127.0.0.1:9901, open: true", format!("address: {}{open}", quoted(admin))),
        ("  checkout:", format!("  {}:", quoted(service))),
        ("service: checkout", format!("service: {}", quoted(service))),
        ("--config config/serin.yaml", "--config serin.yaml".to_owned()),
        ("config/full.yaml", "config/full.yaml of the project".to_owned()),
    ];
    let weights = [("checkout: { old: 95, new: 5 }", format!("{}: {{ old: 100, new: 0 }}", quoted(service)))];
    let files = StarterFiles { serin: replaced(SERIN, &serin), weights: replaced(WEIGHTS, &weights) };
    load(
        Source { name: "serin.yaml", text: &files.serin },
        Some(Source { name: "weights.yaml", text: &files.weights }),
    )?;
    Ok(files)
}

fn checked<T: values::Scalar>(what: &'static str, found: &str) -> Result<T, StarterError> {
    values::parse::<T>(found).map_err(|problem| StarterError::Value { what, found: found.to_owned(), problem })
}

/// JSON's strings are YAML's as well.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// `text` with each of `parts`, once, in the place of what it names. A part that is not there says so in the tests.
fn replaced(text: &str, parts: &[(&str, String)]) -> String {
    let mut rest = text;
    let mut done = String::with_capacity(text.len() + 256);
    // In the order of the text, so that nothing that was put in is looked at again.
    let mut places: Vec<(usize, &str, &str)> =
        parts.iter().filter_map(|(old, new)| Some((text.find(old)?, *old, new.as_str()))).collect();
    places.sort_unstable();
    for (_, old, new) in places {
        if let Some((before, after)) = rest.split_once(old) {
            done.push_str(before);
            done.push_str(new);
            rest = after;
        }
    }
    done + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Starter {
        Starter {
            service: "cart".to_owned(),
            old: "http://10.0.0.1:7001".to_owned(),
            new: "unix:/run/new \"two\".sock".to_owned(),
            listen: "[::]:80".to_owned(),
            admin: "unix:/run/serin.sock".to_owned(),
        }
    }

    #[test]
    fn the_files_say_what_was_asked_for_and_nothing_of_the_example() {
        let StarterFiles { serin, weights } = starter(&asked()).expect("valid");
        let loaded = load(Source { name: "", text: &serin }, Some(Source { name: "", text: &weights })).expect("valid");
        let (_, service) = loaded.plan.service_named("cart").expect("the service");
        assert_eq!(service.split.weights().iter().map(|weight| weight.thousandths()).collect::<Vec<_>>(), [100_000, 0]);
        assert_eq!(loaded.settings.listeners[0].address.to_string(), "[::]:80");
        assert_eq!(
            loaded.settings.admin.map(|admin| admin.address.to_string()).as_deref(),
            Some("unix:/run/serin.sock")
        );
        for left in ["checkout", "127.0.0.1:9", "127.0.0.1:8080\n", "config/serin.yaml"] {
            assert!(!serin.contains(left) && !weights.contains(left), "{left} is left in\n{serin}{weights}");
        }
        assert!(serin.contains("10.0.0.1:7001") && serin.contains("# in order of age"));
    }

    #[test]
    fn the_admin_api_is_open_where_nobody_else_can_reach_it() {
        for (admin, open) in [("127.0.0.1:1", true), ("unix:/run/serin.sock", true), ("0.0.0.0:1", false)] {
            let files = starter(&Starter { admin: admin.to_owned(), ..asked() }).expect("valid");
            let loaded = load(Source { name: "", text: &files.serin }, None).expect("valid");
            assert_eq!(loaded.settings.admin.map(|admin| admin.access.open), Some(open), "{admin}");
        }
    }

    #[test]
    fn a_value_that_is_wrong_is_named() {
        let wrong = |change: fn(&mut Starter)| {
            let mut asked = asked();
            change(&mut asked);
            starter(&asked).expect_err("wrong").to_string()
        };
        let said = wrong(|asked| asked.old = "10.0.0.1:7001".to_owned());
        assert!(said.starts_with("the old version's upstream `10.0.0.1:7001`: not a URL"), "{said}");
        assert!(wrong(|asked| asked.service = "a b".to_owned()).contains("the service's name `a b`"));
        assert!(wrong(|asked| asked.listen = "8080".to_owned()).contains("the address to listen on"));
    }
}
