//! `serin pick`: which version a key belongs to, answered from a plan alone.

use std::io::{self, BufRead, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::BAD_USAGE;
use super::print::{complain, failed};
use crate::config;
use crate::control::{Files, FlagFile};
use crate::flags::{Attribute, Context};
use crate::plan::{Attached, Lot, Plan, Service, VersionId, VersionSet, weigh};

/// Answers for `keys`, or for those on standard input, from the files; gives the exit code.
pub(super) fn run(
    config: &Path,
    weights: Option<&Path>,
    service: &str,
    keys: &[String],
    stdin: bool,
    context: Option<&str>,
    json: bool,
) -> ExitCode {
    let context = match context.map_or_else(|| Ok(Map::new()), serde_json::from_str::<Map<String, Value>>) {
        Ok(context) => context,
        Err(error) => {
            let why = format_args!("--context: expected a JSON object such as '{{\"country\":\"ch\"}}': {error}");
            return failed(why, BAD_USAGE);
        }
    };
    let read = Files::read(config, weights).and_then(|(_, mut loaded)| {
        FlagFile::read(&mut loaded, config)?;
        Ok(loaded.plan)
    });
    let plan = match read {
        Ok(plan) => plan,
        Err(error) => return failed(error, BAD_USAGE),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let asked = Asked { context: &context, json, now };
    if let Some((_, service)) = plan.service_named(service)
        && Attached::new(&plan.flags, &[], service).steers_by_rules()
    {
        complain("the rules of flags decide, too: they see the key, the service, the version by weight and --context");
    }
    let out = io::stdout().lock();
    let picked = if stdin {
        pick(&plan, service, asked, lines(io::stdin().lock()), out)
    } else {
        pick(&plan, service, asked, keys.iter().map(Ok), out)
    };
    match picked {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ (PickError::UnknownService { .. } | PickError::EmptyKey)) => failed(error, BAD_USAGE),
        Err(PickError::Read(error)) => failed(format_args!("reading the keys: {error}"), ExitCode::FAILURE),
        Err(PickError::Write(error)) => failed(format_args!("writing the versions: {error}"), ExitCode::FAILURE),
    }
}

/// What the rules of flags see beside the key, and when; and how the answer is to be written.
#[derive(Clone, Copy)]
struct Asked<'a> {
    context: &'a Map<String, Value>,
    /// As lines of JSON.
    json: bool,
    /// In seconds of Unix time.
    now: u64,
}

/// A request of which only its key is known, and what was said of it.
struct Imagined<'a> {
    asked: Asked<'a>,
    key: &'a [u8],
    service: &'a Service,
    by_weight: VersionId,
}

impl Context for Imagined<'_> {
    fn attribute(&self, name: &str) -> Option<Attribute<'_>> {
        match name {
            "targetingKey" => std::str::from_utf8(self.key).ok().map(Attribute::from),
            "service" => Some(Attribute::from(&*self.service.name)),
            "version" => Some(Attribute::from(&*self.service.version(self.by_weight).name)),
            other => self.asked.context.attribute(other),
        }
    }
}

/// Why not every key got its line.
#[derive(Debug, thiserror::Error)]
enum PickError {
    /// The plan has no such service.
    #[error("there is no service `{asked}`; the configuration has: {known}{meant}")]
    UnknownService {
        /// The name that was asked for.
        asked: String,
        /// What was meant, after a semicolon, where that can be guessed.
        meant: String,
        /// The names there are, separated by commas.
        known: String,
    },
    /// A request with an empty key has no key.
    #[error("an empty key is no key: a request without one gets a version at random")]
    EmptyKey,
    /// The keys cannot be read.
    #[error("reading the keys")]
    Read(#[source] io::Error),
    /// The answers cannot be written.
    #[error("writing the versions")]
    Write(#[source] io::Error),
}

/// Writes a line `KEY VERSION`, or a JSON object with `key` and `version`, to `out` for each of `keys`, as they come. A key is written byte for byte; as it may hold
/// spaces and the name of a version may not, the last word is the version. A reader of `out` who has seen enough and
/// leaves (`| head`) is no error.
///
/// # Errors
/// If the plan has no service of that name (nothing is written then), a key is empty or cannot be read, or `out` fails.
fn pick<K: AsRef<[u8]>>(
    plan: &Plan,
    service: &str,
    asked: Asked<'_>,
    keys: impl IntoIterator<Item = io::Result<K>>,
    out: impl Write,
) -> Result<(), PickError> {
    let (_, service) = plan.service_named(service).ok_or_else(|| unknown(plan, service))?;
    let attached = Attached::new(&plan.flags, &[], service);
    let mut out = BufWriter::with_capacity(64 * 1024, out);
    for key in keys {
        let key = key.map_err(PickError::Read)?;
        let key = key.as_ref();
        if key.is_empty() {
            return Err(PickError::EmptyKey);
        }
        let version = &service.version(version_of(&attached, service, key, asked)).name;
        let line = if asked.json {
            write!(out, "{}", json!({ "key": String::from_utf8_lossy(key), "version": &**version }))
        } else {
            out.write_all(key).and_then(|()| out.write_all(b" ")).and_then(|()| out.write_all(version.as_bytes()))
        };
        if let Err(error) = line.and_then(|()| out.write_all(b"\n")) {
            return unless_reader_left(error);
        }
    }
    out.flush().or_else(unless_reader_left)
}

/// The version of a key: under a migration the one that answers what is read under it, else the one a flag names for it, else the one its weight gives it among those that no flag takes away.
fn version_of(attached: &Attached, service: &Service, key: &[u8], asked: Asked<'_>) -> VersionId {
    if let Some(migration) = &service.migration {
        return migration.version(migration.stage_of(Some(key)).client_gets());
    }
    let by_weight = service.split.pick_key(key);
    if !attached.steers() {
        return by_weight;
    }
    let imagined = Imagined { asked, key, service, by_weight };
    let answers = attached.ask_steering(&imagined, asked.now, &mut |_, _| {});
    let alive = attached.alive(&answers);
    let named = attached.version(&answers).filter(|version| alive.contains(*version));
    named.unwrap_or_else(|| weigh(&service.split, Lot::Key(key), VersionSet::ALL, alive))
}

/// The keys of a text with one a line; empty lines are passed over, and line ends of either kind are no part of a key.
fn lines(input: impl BufRead) -> impl Iterator<Item = io::Result<Vec<u8>>> {
    let keys = input.split(b'\n').map(|line| {
        let mut key = line?;
        if key.last() == Some(&b'\r') {
            key.pop();
        }
        Ok(key)
    });
    keys.filter(|key: &io::Result<Vec<u8>>| key.as_ref().map_or(true, |key| !key.is_empty()))
}

fn unknown(plan: &Plan, asked: &str) -> PickError {
    let known: Vec<&str> = plan.services.iter().map(|service| &*service.name).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let meant = config::did_you_mean(asked, plan.services.iter().map(|service| &*service.name));
    let meant = meant.map(|meant| format!("; {meant}")).unwrap_or_default();
    PickError::UnknownService { asked: asked.to_owned(), meant, known }
}

fn unless_reader_left(error: io::Error) -> Result<(), PickError> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(PickError::Write(error)) }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, LazyLock};

    use http::HeaderValue;

    use super::*;
    use crate::plan::{
        Limits, Outliers, Protocol, RetryBudget, RouteTable, Service, ServiceFlags, Split, UpstreamSettings,
        UpstreamSpec, Version, Weight,
    };

    fn plan(services: &[&str]) -> Plan {
        let names: [Arc<str>; 2] = [Arc::from("old"), Arc::from("new")];
        let service = |name: &&str| {
            let weights = [70.0, 30.0].map(|weight| Weight::from_f64(weight).unwrap()).into();
            let version = |name: &Arc<str>| Version {
                name: Arc::clone(name),
                header: HeaderValue::from_str(name).unwrap(),
                upstream: Arc::new(UpstreamSpec { addresses: Vec::new(), protocol: Protocol::Auto, tls: None }),
                health: None,
            };
            Arc::new(Service {
                name: Arc::from(*name),
                versions: names.iter().map(version).collect(),
                sticky: Vec::new(),
                split: Split::new(name, 0, &names, weights).unwrap(),
                version_override: None,
                overload: None,
                fallback: None,
                outliers: Outliers::default(),
                follow: None,
                faults: Vec::new(),
                rollout: None,
                migration: None,
                deprecation: None,
                shadow: None,
                diff: None,
                flags: ServiceFlags::default(),
                control: None,
            })
        };
        Plan {
            generation: 1,
            routes: Arc::new(RouteTable::default()),
            services: services.iter().map(service).collect(),
            limits: Limits::default(),
            trusted: Vec::new(),
            upstream: UpstreamSettings::default(),
            retry_budget: RetryBudget::default(),
            flags: Arc::default(),
            flag_context: Arc::default(),
        }
    }

    fn asked() -> Asked<'static> {
        static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        Asked { context: &NOTHING, json: false, now: 0 }
    }

    fn picked(plan: &Plan, service: &str, keys: &[&str]) -> Result<String, PickError> {
        let mut out = Vec::new();
        pick(plan, service, asked(), keys.iter().map(Ok), &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn each_key_gets_a_line_with_the_version_of_the_split() {
        let plan = plan(&["checkout", "search"]);
        let split = &plan.services[1].split;
        let keys = ["user-1", "user-2", "a key with spaces", "user-3", "user-4", "user-5", "user-6", "user-7"];
        let name = |key: &str| ["old", "new"][split.pick_key(key.as_bytes()).index()];
        let expected = keys.map(|key| format!("{key} {}", name(key)));
        assert_eq!(picked(&plan, "search", &keys).unwrap(), expected.join("\n") + "\n");
        assert!(["old", "new"].iter().all(|version| expected.iter().any(|line| line.ends_with(version))));
    }

    #[test]
    fn an_unknown_service_is_answered_with_those_there_are() {
        let error = picked(&plan(&["checkout", "search"]), "chekcout", &["a"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no service `chekcout`; the configuration has: checkout, search; did you mean `checkout`?"
        );
        let error = picked(&plan(&[]), "checkout", &["a"]).unwrap_err();
        assert_eq!(error.to_string(), "there is no service `checkout`; the configuration has: none");
    }

    #[test]
    fn an_empty_key_is_refused() {
        assert!(matches!(picked(&plan(&["checkout"]), "checkout", &[""]), Err(PickError::EmptyKey)));
    }

    #[test]
    fn lines_become_keys_without_their_ends() {
        let keys: Result<Vec<_>, _> = lines(&b"a\nb\r\n\n c \r\n\r\n\xff\nlast"[..]).collect();
        assert_eq!(keys.unwrap(), [&b"a"[..], b"b", b" c ", b"\xff", b"last"]);
    }

    /// A reader that leaves, or a disk that is full.
    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_leaves_ends_the_work_and_any_other_failure_is_told() {
        let plan = plan(&["checkout"]);
        let endless = || std::iter::repeat_with(|| Ok(b"key"));
        assert!(pick(&plan, "checkout", asked(), endless(), Failing(io::ErrorKind::BrokenPipe)).is_ok());
        let full = pick(&plan, "checkout", asked(), endless(), Failing(io::ErrorKind::StorageFull));
        assert!(matches!(full, Err(PickError::Write(_))));
        let one = || endless().take(1);
        assert!(pick(&plan, "checkout", asked(), one(), Failing(io::ErrorKind::BrokenPipe)).is_ok());
        assert!(pick(&plan, "checkout", asked(), one(), Failing(io::ErrorKind::StorageFull)).is_err());
    }

    #[test]
    fn keys_that_cannot_be_read_end_the_work() {
        let keys = [Ok(b"a"), Err(io::Error::other("gone"))];
        assert!(matches!(pick(&plan(&["checkout"]), "checkout", asked(), keys, Vec::new()), Err(PickError::Read(_))));
    }
}
