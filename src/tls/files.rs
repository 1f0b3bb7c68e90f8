//! What the configuration says about TLS: files, by their paths as written, and how they are meant.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use rustls::pki_types::ServerName;
use sha2::{Digest, Sha256};

/// A certificate chain and the key of its first certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertificateFiles {
    /// PEM: the certificate, then those that lead from it to its root.
    pub certificate: PathBuf,
    /// PEM: PKCS #8, PKCS #1 or SEC 1, not encrypted.
    pub key: PathBuf,
}

/// Whether clients show a certificate of their own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ClientAuth {
    /// They are not asked for one.
    None,
    /// They may; one that no CA in this file vouches for ends the handshake.
    Optional(PathBuf),
    /// They must, and a CA in this file vouches for it.
    Required(PathBuf),
}

impl ClientAuth {
    /// The file with the CAs, where clients are asked for a certificate.
    #[must_use]
    pub fn ca(&self) -> Option<&PathBuf> {
        match self {
            Self::None => None,
            Self::Optional(ca) | Self::Required(ca) => Some(ca),
        }
    }
}

/// The oldest version of TLS that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MinVersion {
    /// TLS 1.2 and 1.3.
    #[default]
    Tls12,
    /// TLS 1.3 alone.
    Tls13,
}

/// One certificate of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerCertificate {
    /// The certificate and its key.
    pub files: CertificateFiles,
    /// Whether clients that ask for one of its names show a certificate of their own.
    pub client_auth: ClientAuth,
}

/// TLS of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerFiles {
    /// At least one; the first is for clients that ask for no name, or for one that is in none.
    pub certificates: Vec<ServerCertificate>,
    /// The oldest version that is spoken.
    pub min_version: MinVersion,
}

impl ServerFiles {
    /// The files it names; some may come twice.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.certificates
            .iter()
            .flat_map(|one| [Some(&one.files.certificate), Some(&one.files.key), one.client_auth.ca()])
            .flatten()
    }
}

/// TLS towards an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ClientFiles {
    /// Who may vouch for the upstream. `None`: the system's roots.
    pub ca: Option<PathBuf>,
    /// The name that the upstream's certificate must have. `None`: the host of its URL.
    pub server_name: Option<ServerName<'static>>,
    /// What is shown to the upstream, where it asks.
    pub certificate: Option<CertificateFiles>,
}

impl ClientFiles {
    /// The files it names.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let own = self.certificate.iter().flat_map(|files| [&files.certificate, &files.key]);
        self.ca.iter().chain(own)
    }
}

/// What is in the files, by their paths as written.
#[derive(Default)]
pub struct Material(BTreeMap<PathBuf, Result<Vec<u8>, String>>);

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}", path = .path.display())]
pub struct Fault {
    /// Its path, as written.
    pub path: PathBuf,
    /// What is wrong, in one line.
    pub message: String,
}

impl Fault {
    pub(super) fn new(path: &Path, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), message: message.into() }
    }
}

impl Material {
    /// Adds what is in a file, or why that is not known.
    pub fn insert(&mut self, path: PathBuf, content: Result<Vec<u8>, String>) {
        self.0.insert(path, content);
    }

    /// Tells whether anything has changed: `written` are the files' settings, `paths` their paths.
    pub(super) fn fingerprint<'a>(
        &self,
        written: &impl fmt::Debug,
        paths: impl Iterator<Item = &'a PathBuf>,
    ) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(format!("{written:?}"));
        for path in paths {
            let bytes = self.bytes(path).unwrap_or_default();
            hash.update(bytes.len().to_le_bytes());
            hash.update(bytes);
        }
        hash.finalize().into()
    }

    /// What is in a file.
    ///
    /// # Errors
    /// Why that is not known.
    pub fn bytes(&self, path: &Path) -> Result<&[u8], Fault> {
        match self.0.get(path) {
            Some(Ok(bytes)) => Ok(bytes),
            Some(Err(why)) => Err(Fault::new(path, why.clone())),
            None => Err(Fault::new(path, "was not read")),
        }
    }
}
