//! TLS towards an upstream.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};

use super::certificate::Facts;
use super::files::{ClientFiles, Fault, Material};
use super::{pem, provider};

/// What is to be spoken inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    H2,
}

/// Everything needed to connect to an upstream by TLS. One for all workers, who resume each other's sessions.
pub struct Connector {
    http1: Arc<ClientConfig>,
    h2: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
    facts: Option<Facts>,
    fingerprint: [u8; 32],
}

impl Connector {
    /// What these files make.
    ///
    /// # Errors
    /// Everything that is wrong with the files. Where no CA is named and the system has no roots, the fault is one of no
    /// file: its path is empty.
    pub fn new(files: &ClientFiles, material: &Material) -> Result<Self, Vec<Fault>> {
        let roots = match &files.ca {
            Some(ca) => pem::roots(ca, material),
            None => system_roots(),
        };
        let pair = files.certificate.as_ref().map(|files| pem::pair(files, material)).transpose();
        let (roots, pair) = match (roots, pair) {
            (Ok(roots), Ok(pair)) => (roots, pair),
            (roots, pair) => {
                return Err(roots.err().into_iter().chain(pair.err().into_iter().flatten()).collect());
            }
        };
        let builder = provider::client().with_root_certificates(roots);
        let (config, facts) = match pair {
            None => (builder.with_no_client_auth(), None),
            Some(pair) => {
                let shown = rustls::sign::SingleCertAndKey::from(pair.key);
                (builder.with_client_cert_resolver(Arc::new(shown)), Some(pair.facts))
            }
        };
        let speaking = |protocol: &[u8]| {
            let mut config = config.clone();
            config.alpn_protocols = vec![protocol.to_vec()];
            // Not shared between the two: a session is for one protocol.
            config.resumption = rustls::client::Resumption::in_memory_sessions(SESSIONS);
            Arc::new(config)
        };
        Ok(Self {
            http1: speaking(b"http/1.1"),
            h2: speaking(b"h2"),
            server_name: files.server_name.clone(),
            facts,
            fingerprint: material.fingerprint(files, files.paths()),
        })
    }

    /// The configuration of a connection.
    #[must_use]
    pub fn config(&self, speaks: Speaks) -> &Arc<ClientConfig> {
        match speaks {
            Speaks::Http1 => &self.http1,
            Speaks::H2 => &self.h2,
        }
    }

    /// The name that the upstream's certificate must have; `None`: the host of its URL.
    #[must_use]
    pub fn server_name(&self) -> Option<&ServerName<'static>> {
        self.server_name.as_ref()
    }

    /// What is said in the certificate that is shown to the upstream, where there is one.
    #[must_use]
    pub fn facts(&self) -> Option<&Facts> {
        self.facts.as_ref()
    }
}

/// Names of upstreams whose sessions are remembered.
const SESSIONS: usize = 256;

fn system_roots() -> Result<RootCertStore, Fault> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // The system's stores hold some that are of no use.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(Fault::new(std::path::Path::new(""), "the system has no CA certificates: name a file by `ca`"));
    }
    Ok(roots)
}

/// Two are the same if they come from the same files with the same content.
impl PartialEq for Connector {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for Connector {}

impl Hash for Connector {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fingerprint.hash(state);
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}
