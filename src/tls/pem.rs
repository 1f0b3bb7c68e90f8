//! PEM files: certificates, keys, CAs.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore};

use super::certificate::Facts;
use super::files::{CertificateFiles, Fault, Material};
use super::provider::provider;

/// A certificate with its key, and what is said in it.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) facts: Facts,
}

/// The pair in these files.
///
/// # Errors
/// What is wrong with them, each by itself and both together.
pub(super) fn pair(files: &CertificateFiles, material: &Material) -> Result<Pair, Vec<Fault>> {
    let chain = chain(&files.certificate, material);
    let key = key(&files.key, material);
    let ((chain, facts), key) = match (chain, key) {
        (Ok(chain), Ok(key)) => (chain, key),
        (chain, key) => return Err(chain.err().into_iter().chain(key.err()).collect()),
    };
    let wrong_key = |message: String| vec![Fault::new(&files.key, message)];
    let key = provider()
        .key_provider
        .load_private_key(key)
        .map_err(|error| wrong_key(format!("the private key cannot be used: {error}")))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        // A key that cannot tell its public half is tried all the same, as rustls does.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(_) => {
            let certificate = files.certificate.display();
            return Err(wrong_key(format!("the private key does not belong to the certificate in {certificate}")));
        }
    }
    Ok(Pair { key: Arc::new(certified), facts })
}

fn chain(path: &Path, material: &Material) -> Result<(Vec<CertificateDer<'static>>, Facts), Fault> {
    let chain = certificates(path, material)?;
    let mut facts = Facts::read(&chain[0]).map_err(|why| Fault::new(path, why))?;
    for above in &chain[1..] {
        let above = Facts::read(above).map_err(|why| Fault::new(path, why))?;
        facts.not_after = facts.not_after.min(above.not_after);
    }
    Ok((chain, facts))
}

/// The certificates in a file, at least one.
fn certificates(path: &Path, material: &Material) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let bytes = material.bytes(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match found {
        Ok(found) if found.is_empty() => Err(Fault::new(path, "there is no certificate in it: PEM is expected")),
        Ok(found) => Ok(found),
        Err(error) => Err(Fault::new(path, not_pem(&error))),
    }
}

fn key(path: &Path, material: &Material) -> Result<PrivateKeyDer<'static>, Fault> {
    let bytes = material.bytes(path)?;
    PrivateKeyDer::from_pem_slice(bytes).map_err(|error| {
        let encrypted = bytes.windows(ENCRYPTED.len()).any(|window| window == ENCRYPTED);
        let message = match error {
            pem::Error::NoItemsFound if encrypted => "the private key is encrypted: it must not be".to_owned(),
            pem::Error::NoItemsFound => "there is no private key in it: PEM is expected".to_owned(),
            other => not_pem(&other),
        };
        Fault::new(path, message)
    })
}

const ENCRYPTED: &[u8] = b"BEGIN ENCRYPTED PRIVATE KEY";

fn not_pem(error: &pem::Error) -> String {
    // The error itself may hold bytes of a key.
    let what = match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no end",
        pem::Error::IllegalSectionStart { .. } => "a section begins wrong",
        pem::Error::Base64Decode(_) => "a section is not base64",
        _ => "it cannot be read",
    };
    format!("not PEM: {what}")
}

/// The CAs in a file.
pub(super) fn roots(path: &Path, material: &Material) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, material)? {
        roots.add(certificate).map_err(|error| Fault::new(path, format!("a certificate in it is no CA: {error}")))?;
    }
    Ok(roots)
}
