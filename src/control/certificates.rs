//! The files of certificates, keys, CAs, tokens and secrets, and of the keys that tokens of requests are signed by: read with the
//! configuration that names them, and made part of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::files::{Hash, beside};
use super::force::InForce;
use crate::access::Tokens;
use crate::config::{self, Errors, ListenerTls, Loaded, Problem, Settings, Source};
use crate::events::Secret;
use crate::jwt::{KeySet, Rules};
use crate::plan::{FlagContext, Plan, Service, UpstreamSpec, UpstreamTls};
use crate::telemetry::CertificateInUse;
use crate::tls::{ClientFiles, Connector, Facts, Fault, Material, Server};

/// Longest file that is read, in bytes: bundles of all public CAs have about 200 KiB.
const MAX_BYTES: u64 = 4 << 20;

/// The files as they were read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Certificates {
    /// By the path as written: where that is, and the hash of what was there; `None` where it could not be read.
    pub(super) seen: BTreeMap<PathBuf, (PathBuf, Option<Hash>)>,
    /// What could not be used, so that what was in force before stays.
    pub(super) stale: Vec<Stale>,
}

/// Files that belong together and of which the former content stays in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stale {
    /// As written.
    pub(super) files: Vec<PathBuf>,
    /// What they are for.
    pub(super) what: &'static str,
    /// What is wrong with them.
    pub(super) problems: Vec<Problem>,
}

impl Certificates {
    /// Reads the files that `loaded` names, beside `config`, and gives listeners, upstreams and the admin API what they make. What `before`
    /// made of the same files stays where they cannot be used now.
    ///
    /// # Errors
    /// What is wrong with files of which nothing is in force yet.
    pub(super) fn read(loaded: &mut Loaded, config: &Path, before: Option<&InForce>) -> Result<Self, Errors> {
        let paths: BTreeSet<PathBuf> = paths(&loaded.settings, &loaded.plan).cloned().collect();
        let mut reading = Reading {
            before,
            material: Material::default(),
            certificates: Self::default(),
            errors: Vec::new(),
            connectors: BTreeMap::new(),
        };
        for path in paths {
            let place = beside(config, &path);
            let content = content(&place);
            let hash = content.as_ref().ok().map(|bytes| Hash::of(bytes));
            reading.certificates.seen.insert(path.clone(), (place, hash));
            reading.material.insert(path, content.map_err(|error| format!("cannot be read: {error}")));
        }
        reading.listeners(loaded);
        reading.upstreams(loaded);
        reading.admin(loaded, config);
        reading.webhooks(loaded);
        reading.signing_keys(loaded, config);
        warn(loaded);
        if reading.errors.is_empty() { Ok(reading.certificates) } else { Err(Errors(reading.errors)) }
    }

    /// Which files, as written, are not what they were.
    pub(super) fn changed_since(&self, before: &Self) -> Vec<&PathBuf> {
        let same = |(path, seen): &(&PathBuf, &(PathBuf, Option<Hash>))| before.seen.get(*path) == Some(*seen);
        self.seen.iter().filter(|entry| !same(entry)).map(|(path, _)| path).collect()
    }

    /// Whether the content of a file, by its path as written, is not in force.
    pub(super) fn is_stale(&self, path: &Path) -> bool {
        self.stale.iter().any(|stale| stale.files.iter().any(|file| file == path))
    }

    /// What is at the places of these files now.
    pub(super) fn seen_now(&self) -> BTreeMap<PathBuf, Option<Hash>> {
        self.seen.values().map(|(place, _)| (place.clone(), hash_now(place))).collect()
    }

    /// What was at their places when they were read.
    pub(super) fn seen(&self) -> BTreeMap<PathBuf, Option<Hash>> {
        self.seen.values().cloned().collect()
    }
}

/// Reads the files of certificates, keys, CAs and tokens that `loaded` names beside `config`, and makes them part of it.
///
/// # Errors
/// Everything that is wrong with them.
pub fn read_certificates(loaded: &mut Loaded, config: &Path) -> Result<(), Errors> {
    Certificates::read(loaded, config, None).map(|_| ())
}

/// The hash of what is at this place now.
pub(super) fn hash_now(place: &Path) -> Option<Hash> {
    content(place).ok().map(|bytes| Hash::of(&bytes))
}

fn content(place: &Path) -> io::Result<Vec<u8>> {
    let length = std::fs::metadata(place)?.len();
    if length > MAX_BYTES {
        return Err(io::Error::other(format!("it has {length} bytes; at most {MAX_BYTES} are read")));
    }
    std::fs::read(place)
}

fn paths<'a>(settings: &'a Settings, plan: &'a Plan) -> impl Iterator<Item = &'a PathBuf> {
    let shown_to_clients = server_tls(settings).flat_map(|(_, tls)| tls.files.paths());
    let tokens = settings.admin.iter().filter_map(|admin| admin.tokens_file.as_ref());
    let secrets = settings.webhooks.iter().map(|hook| &hook.secret_file);
    let shown_to_us = upstream_tls(plan).chain(hook_tls(settings)).flat_map(|tls| tls.files.paths());
    shown_to_clients.chain(shown_to_us).chain(tokens).chain(secrets)
}

/// The TLS that clients meet, with what they meet it at.
fn server_tls(settings: &Settings) -> impl Iterator<Item = (&'static str, &ListenerTls)> {
    let listeners = settings.listeners.iter().filter_map(|listener| Some(("listener", listener.tls.as_ref()?)));
    listeners.chain(settings.admin.iter().filter_map(|admin| Some(("admin", admin.tls.as_ref()?))))
}

fn upstream_tls(plan: &Plan) -> impl Iterator<Item = &UpstreamTls> {
    let versions = plan.services.iter().flat_map(|service| &service.versions);
    versions.filter_map(|version| version.upstream.tls.as_ref())
}

/// The TLS towards receivers of events.
fn hook_tls(settings: &Settings) -> impl Iterator<Item = &UpstreamTls> {
    settings.webhooks.iter().filter_map(|hook| hook.tls.as_ref())
}

/// The files while they are read.
struct Reading<'a> {
    before: Option<&'a InForce>,
    material: Material,
    certificates: Certificates,
    errors: Vec<Problem>,
    /// One for all versions that say the same.
    connectors: BTreeMap<String, Option<Arc<Connector>>>,
}

impl Reading<'_> {
    fn listeners(&mut self, loaded: &mut Loaded) {
        let mut listeners = std::mem::take(&mut loaded.settings.listeners);
        for listener in &mut listeners {
            let Some(tls) = &mut listener.tls else { continue };
            let before = self.before.and_then(|before| {
                let same = before.settings().listeners.iter().find(|known| known.name == listener.name);
                same?.tls.as_ref()
            });
            self.server(tls, before, loaded);
        }
        loaded.settings.listeners = listeners;
    }

    /// Gives `tls` what its files make; `before`: what is in force in its place.
    fn server(&mut self, tls: &mut ListenerTls, before: Option<&ListenerTls>, loaded: &Loaded) {
        let known = before.and_then(|before| Some((&before.files, before.server.as_ref()?)));
        tls.server = match Server::new(&tls.files, &self.material, known.map(|(_, server)| &**server)) {
            // What did not change stays itself.
            Ok(same) if known.is_some_and(|(_, server)| **server == same) => {
                known.map(|(_, server)| Arc::clone(server))
            }
            Ok(new) => Some(Arc::new(new)),
            Err(faults) => {
                let kept = known.filter(|(files, _)| **files == tls.files).map(|(_, server)| Arc::clone(server));
                self.note("certificate", &faults, kept.is_some(), tls.files.paths().cloned().collect(), loaded);
                kept
            }
        };
    }

    fn admin(&mut self, loaded: &mut Loaded, config: &Path) {
        let Some(mut admin) = loaded.settings.admin.take() else { return };
        let before = self.before.and_then(|before| before.settings().admin.as_ref());
        if let Some(tls) = &mut admin.tls {
            self.server(tls, before.and_then(|before| before.tls.as_ref()), loaded);
        }
        if let Some(path) = &admin.tokens_file {
            let same_file = before.filter(|before| before.tokens_file.as_ref() == Some(path));
            let known = same_file.and_then(|before| before.access.tokens.clone());
            admin.access.tokens = self.tokens(path, config, known, loaded);
        }
        loaded.settings.admin = Some(admin);
    }

    /// The tokens in the file at `path`; those of `before` where that cannot be used now.
    fn tokens(
        &mut self,
        path: &Path,
        config: &Path,
        before: Option<Arc<Tokens>>,
        loaded: &Loaded,
    ) -> Option<Arc<Tokens>> {
        let place = beside(config, path);
        let name = place.display().to_string();
        let tokens = match self.material.bytes(path) {
            Err(fault) => Err(loaded.problem_with(path, &fault.message).into_iter().collect()),
            Ok(bytes) => config::text(&name, bytes)
                .and_then(|text| config::tokens(Source { name: &name, text }))
                .map_err(|Errors(problems)| problems),
        };
        match tokens {
            Ok(tokens) => Some(Arc::new(tokens)),
            Err(problems) => {
                if before.is_some() {
                    self.certificates.stale.push(Stale { files: vec![path.to_owned()], what: "tokens", problems });
                } else {
                    self.errors.extend(problems);
                }
                before
            }
        }
    }

    /// What receivers of events are spoken to with, and what is signed by.
    fn webhooks(&mut self, loaded: &mut Loaded) {
        let mut hooks = std::mem::take(&mut loaded.settings.webhooks);
        for hook in &mut hooks {
            if let Some(tls) = &mut hook.tls {
                tls.connector = self.connector(&tls.files, loaded);
            }
            let known = self.before.and_then(|before| {
                let same = before.settings().webhooks.iter().find(|known| known.secret_file == hook.secret_file);
                same?.secret.clone()
            });
            let bytes = self.material.bytes(&hook.secret_file);
            let secret = bytes.and_then(|bytes| {
                Secret::parse(&String::from_utf8_lossy(bytes))
                    .map_err(|message| Fault { path: hook.secret_file.clone(), message })
            });
            hook.secret = match secret {
                Ok(secret) => Some(Arc::new(secret)),
                Err(fault) => {
                    self.note("secret", &[fault], known.is_some(), vec![hook.secret_file.clone()], loaded);
                    known
                }
            };
        }
        loaded.settings.webhooks = hooks;
    }

    fn upstreams(&mut self, loaded: &mut Loaded) {
        let mut services = std::mem::take(&mut loaded.plan.services);
        for service in &mut services {
            if service.versions.iter().all(|version| version.upstream.tls.is_none()) {
                continue;
            }
            let mut secured = Service::clone(service);
            for version in &mut secured.versions {
                let UpstreamSpec { addresses, protocol, tls: Some(tls) } = &*version.upstream else { continue };
                let tls = UpstreamTls { connector: self.connector(&tls.files, loaded), files: tls.files.clone() };
                let (addresses, protocol) = (addresses.clone(), *protocol);
                version.upstream = Arc::new(UpstreamSpec { addresses, protocol, tls: Some(tls) });
            }
            *service = Arc::new(secured);
        }
        loaded.plan.services = services;
    }

    fn connector(&mut self, files: &ClientFiles, loaded: &Loaded) -> Option<Arc<Connector>> {
        let key = format!("{files:?}");
        if let Some(known) = self.connectors.get(&key) {
            return known.clone();
        }
        let before = self.before.and_then(|before| {
            let mut known = upstream_tls(before.plan()).chain(hook_tls(before.settings()));
            let same = known.find(|tls| tls.files == *files);
            same?.connector.clone()
        });
        let connector = match Connector::new(files, &self.material) {
            Ok(same) if before.as_deref() == Some(&same) => before,
            Ok(new) => Some(Arc::new(new)),
            Err(faults) => {
                self.note("certificate", &faults, before.is_some(), files.paths().cloned().collect(), loaded);
                before
            }
        };
        self.connectors.insert(key, connector.clone());
        connector
    }

    /// The keys of tokens that requests show.
    fn signing_keys(&mut self, loaded: &mut Loaded, config: &Path) {
        let Some(mut token) = loaded.plan.flag_context.token.clone() else { return };
        let place = beside(config, &token.jwks);
        let content = content(&place);
        let hash = content.as_ref().ok().map(|bytes| Hash::of(bytes));
        self.certificates.seen.insert(token.jwks.clone(), (place, hash));
        let before = self.before.and_then(|before| before.plan().flag_context.token.as_ref());
        let before = before.and_then(|before| Some((&before.jwks, before.rules.as_ref()?)));
        let read = content.map_err(|error| format!("cannot be read: {error}"));
        let keys = match read.and_then(|bytes| KeySet::parse(&bytes).map_err(|error| error.to_string())) {
            Ok(keys) => Some(Arc::new(keys)),
            Err(message) => {
                let kept = before.filter(|(jwks, _)| **jwks == token.jwks).map(|(_, rules)| Arc::clone(&rules.keys));
                let fault = Fault { path: token.jwks.clone(), message };
                self.note("keys", &[fault], kept.is_some(), vec![token.jwks.clone()], loaded);
                kept
            }
        };
        let rules = keys.map(|keys| Rules {
            keys,
            issuer: token.issuer.clone(),
            audience: token.audience.clone(),
            leeway: token.leeway,
        });
        token.rules = rules.map(|rules| match before {
            // What did not change stays itself, and what is remembered of tokens with it.
            Some((_, same)) if same.is_same(&rules) => Arc::clone(same),
            _ => Arc::new(rules),
        });
        let attributes = loaded.plan.flag_context.attributes.clone();
        loaded.plan.flag_context = Arc::new(FlagContext { attributes, token: Some(token) });
    }

    /// Notes what is wrong: as an error, or where something is `kept` in force, as what is stale.
    fn note(&mut self, what: &'static str, faults: &[Fault], kept: bool, files: Vec<PathBuf>, loaded: &Loaded) {
        let problems = faults.iter().filter_map(|fault| loaded.problem_with(&fault.path, &fault.message));
        if kept {
            self.certificates.stale.push(Stale { files, what, problems: problems.collect() });
        } else {
            self.errors.extend(problems);
        }
    }
}

/// Every certificate that is shown, with its file as written and what shows it.
fn shown<'a>(settings: &'a Settings, plan: &'a Plan) -> impl Iterator<Item = (&'a PathBuf, &'static str, &'a Facts)> {
    let to_clients = server_tls(settings).flat_map(|(shown_by, tls)| {
        let files = tls.files.certificates.iter().map(|one| &one.files.certificate);
        let facts = tls.server.iter().flat_map(|server| server.facts());
        files.zip(facts).map(move |(file, facts)| (file, shown_by, facts))
    });
    let of_upstreams = upstream_tls(plan).filter_map(|tls| {
        let facts = tls.connector.as_ref()?.facts()?;
        Some((&tls.files.certificate.as_ref()?.certificate, "upstream", facts))
    });
    to_clients.chain(of_upstreams)
}

/// The certificates that are shown, for the figures.
pub(super) fn in_use(in_force: &InForce) -> impl Iterator<Item = CertificateInUse> {
    shown(in_force.settings(), in_force.plan()).map(|(file, shown_by, facts)| CertificateInUse {
        file: file.display().to_string(),
        shown_by,
        subject: facts.subject.clone(),
        expires: facts.expires(),
    })
}

/// Warns of certificates that nobody takes now.
fn warn(loaded: &mut Loaded) {
    let now = SystemTime::now();
    let mut warnings = Vec::new();
    for (file, _, facts) in shown(&loaded.settings, &loaded.plan) {
        let what = match () {
            () if facts.is_expired(now) => "the certificate has expired",
            () if facts.is_early(now) => "the certificate is not valid yet",
            () => continue,
        };
        warnings.extend(loaded.problem_with(file, what));
    }
    warnings.dedup();
    loaded.warnings.extend(warnings);
}
