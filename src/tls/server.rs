//! TLS of a listener: which certificate is shown for which name, and what clients must show themselves.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{
    ClientHello, ProducesTickets, ResolvesServerCert, ServerSessionMemoryCache, WantsServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{ConfigBuilder, ServerConfig};
use sha2::{Digest, Sha256};

use super::certificate::Facts;
use super::files::{ClientAuth, Fault, Material, MinVersion, ServerFiles};
use super::names::Names;
use super::pem::{self, Pair};
use super::provider::{self, provider};

/// Sessions of TLS 1.2 clients without tickets that can be resumed.
const SESSIONS: usize = 4096;
/// What is spoken inside, the preferred first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Everything a listener needs for its handshakes. One for all workers, so that a session begun with one is resumed with
/// any other.
///
/// Certificates are grouped by what they ask of clients. Each group has a configuration of its own with its own session
/// store and its own ticket keys: a session of one group means nothing to another.
pub struct Server {
    certificates: Arc<Certificates>,
    groups: Vec<Group>,
    fingerprint: [u8; 32],
}

struct Group {
    /// What it asks of clients: [`ClientAuth`] and the content of its file.
    demand: [u8; 32],
    config: Arc<ServerConfig>,
}

/// Certificates by name, for all groups.
#[derive(Debug)]
struct Certificates {
    names: Names,
    pairs: Vec<Pair>,
    /// By certificate: its group.
    groups: Vec<usize>,
}

/// What a handshake goes on with, once the client has said which name it asks for.
#[derive(Debug)]
pub struct Chosen<'a> {
    /// The configuration.
    pub config: &'a Arc<ServerConfig>,
    /// What is asked of the client, as [`Server::group_of`] numbers it.
    pub group: usize,
    /// The URIs of the certificate.
    pub uris: &'a [String],
}

impl Server {
    /// What these files make. Sessions of `before` go on wherever the same is asked of clients.
    ///
    /// # Errors
    /// Everything that is wrong with the files.
    pub fn new(files: &ServerFiles, material: &Material, before: Option<&Self>) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut builder = Builder { min_version: files.min_version, before, groups: Vec::new() };
        let (mut names, mut pairs, mut groups) = (Names::default(), Vec::new(), Vec::new());
        for (position, one) in files.certificates.iter().enumerate() {
            match pem::pair(&one.files, material) {
                Ok(pair) => {
                    if position > 0 && pair.facts.dns.is_empty() {
                        let why = "there is no DNS name in it, so nobody would ever be shown it";
                        faults.push(Fault::new(&one.files.certificate, why));
                    }
                    pair.facts.dns.iter().for_each(|name| names.add(name, position));
                    pairs.push(pair);
                }
                Err(found) => faults.extend(found),
            }
            match builder.group(&one.client_auth, material) {
                Ok(group) => groups.push(group),
                Err(fault) => faults.push(fault),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let certificates = Arc::new(Certificates { names, pairs, groups });
        let groups = builder.finish(&certificates);
        Ok(Self { certificates, groups, fingerprint: material.fingerprint(files, files.paths()) })
    }

    /// What to go on with for a client that asks for `name`; `None`: it asks for none.
    #[must_use]
    pub fn choose(&self, name: Option<&str>) -> Chosen<'_> {
        let first = self.certificates.candidates(name).next().unwrap_or(0);
        let group = self.certificates.groups[first];
        Chosen { config: &self.groups[group].config, group, uris: &self.certificates.pairs[first].facts.uris }
    }

    /// Which group's demands a client meets that asks for `host`, a name without a port.
    #[must_use]
    pub fn group_of(&self, host: &str) -> usize {
        let certificates = &self.certificates;
        certificates.groups[certificates.names.find(host).first().copied().unwrap_or(0)]
    }

    /// Whether its names differ in what they ask of clients.
    #[must_use]
    pub fn has_groups(&self) -> bool {
        self.groups.len() > 1
    }

    /// What is said in its certificates, in the order of the files.
    pub fn facts(&self) -> impl Iterator<Item = &Facts> {
        self.certificates.pairs.iter().map(|pair| &pair.facts)
    }
}

/// Two are the same if they come from the same files with the same content.
impl PartialEq for Server {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for Server {}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("groups", &self.groups.len()).finish_non_exhaustive()
    }
}

impl Certificates {
    /// The certificates to choose from for `name`, the preferred first: all of one group.
    fn candidates(&self, name: Option<&str>) -> impl Iterator<Item = usize> {
        let named = name.map_or(&[][..], |name| self.names.find(name));
        let group = self.groups[named.first().copied().unwrap_or(0)];
        let others = if named.is_empty() { 0..self.pairs.len() } else { 0..0 };
        named.iter().copied().chain(others).filter(move |position| self.groups[*position] == group)
    }
}

impl ResolvesServerCert for Certificates {
    /// The first of the candidates that the client can verify; where it can none, the first, and the handshake fails.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let usable = |position: &usize| self.pairs[*position].key.key.choose_scheme(schemes).is_some();
        let name = hello.server_name();
        let chosen = self.candidates(name).find(usable).or_else(|| self.candidates(name).next())?;
        Some(Arc::clone(&self.pairs[chosen].key))
    }
}

/// Groups while the certificates are read.
struct Builder<'a> {
    min_version: MinVersion,
    before: Option<&'a Server>,
    groups: Vec<Begun>,
}

/// A group that lacks its certificates.
struct Begun {
    demand: [u8; 32],
    builder: ConfigBuilder<ServerConfig, WantsServerCert>,
    tickets: Arc<dyn ProducesTickets>,
}

impl Builder<'_> {
    /// The position of the group with this demand.
    fn group(&mut self, auth: &ClientAuth, material: &Material) -> Result<usize, Fault> {
        let demand = demand(auth, material)?;
        if let Some(known) = self.groups.iter().position(|other| other.demand == demand) {
            return Ok(known);
        }
        let builder = provider::server(self.min_version);
        let builder = match auth {
            ClientAuth::None => builder.with_no_client_auth(),
            ClientAuth::Optional(ca) | ClientAuth::Required(ca) => {
                let roots = Arc::new(pem::roots(ca, material)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
                let optional = matches!(auth, ClientAuth::Optional(_));
                let verifier = if optional { verifier.allow_unauthenticated() } else { verifier };
                let verifier = verifier.build().map_err(|error| Fault::new(ca, error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        // Only where the system has no random numbers; the next reload finds out whether it has again.
        let tickets = Ticketer::new().map_err(|error| {
            Fault::new(auth.ca().map_or(std::path::Path::new("tls"), |ca| ca), format!("no ticket keys: {error}"))
        })?;
        self.groups.push(Begun { demand, builder, tickets });
        Ok(self.groups.len() - 1)
    }

    fn finish(self, certificates: &Arc<Certificates>) -> Vec<Group> {
        let Self { before, groups, .. } = self;
        let group = |Begun { demand, builder, tickets }| {
            let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(certificates) as _;
            let mut config: ServerConfig = builder.with_cert_resolver(resolver);
            config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
            let same = before.and_then(|before| before.groups.iter().find(|group| group.demand == demand));
            (config.session_storage, config.ticketer) = match same {
                Some(same) => (Arc::clone(&same.config.session_storage), Arc::clone(&same.config.ticketer)),
                None => (ServerSessionMemoryCache::new(SESSIONS) as _, tickets),
            };
            Group { demand, config: Arc::new(config) }
        };
        groups.into_iter().map(group).collect()
    }
}

fn demand(auth: &ClientAuth, material: &Material) -> Result<[u8; 32], Fault> {
    let kind: &[u8] = match auth {
        ClientAuth::None => b"none",
        ClientAuth::Optional(_) => b"optional",
        ClientAuth::Required(_) => b"required",
    };
    let mut hash = Sha256::new_with_prefix(kind);
    if let Some(ca) = auth.ca() {
        hash.update(material.bytes(ca)?);
    }
    Ok(hash.finalize().into())
}
