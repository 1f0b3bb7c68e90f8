//! TLS: which keys go together, and which files are named where.

use std::path::{Path, PathBuf};

use rustls::pki_types::ServerName;

use crate::plan::{Address, UpstreamTls};
use crate::tls::{CertificateFiles, ClientAuth, ClientFiles, MinVersion, ServerCertificate, ServerFiles};

use crate::config::problem::Problems;
use crate::config::read::At;
use crate::config::settings::ListenerTls;
use crate::config::values::{self, FilePath, TlsVersion, Upstream};
use crate::config::written;

/// TLS of a listener; `None` after noting why.
pub(super) fn listener(written: &written::ListenerTls, problems: &mut Problems<'_>) -> Option<ListenerTls> {
    let own = [&written.certificate, &written.key, &written.client_ca].into_iter().flatten().map(|path| &path.spot);
    let own = own.chain(written.client_auth.as_ref().map(|auth| &auth.spot)).next();
    let certificates = match (&written.certificates, own) {
        (Some(_), Some(own)) => {
            problems
                .error(own, "a certificate of its own beside `certificates`")
                .expected("either the keys of one certificate, or `certificates`");
            return None;
        }
        (Some(several), None) => {
            let each = several.iter().map(|one| {
                let files = pair(one.certificate.as_ref()?, one.key.as_ref()?, problems);
                let auth = client_auth(one.client_ca.as_ref(), one.client_auth.as_ref(), problems);
                Some(ServerCertificate { files, client_auth: auth? })
            });
            let each: Vec<_> = each.collect();
            each.into_iter().collect::<Option<Vec<_>>>()?
        }
        (None, _) => {
            let (Some(certificate), Some(key)) = (&written.certificate, &written.key) else {
                incomplete(written, problems);
                return None;
            };
            let files = pair(certificate, key, problems);
            let auth = client_auth(written.client_ca.as_ref(), written.client_auth.as_ref(), problems);
            vec![ServerCertificate { files, client_auth: auth? }]
        }
    };
    let min_version = match written.min_version.as_ref().map(|version| version.value) {
        None | Some(TlsVersion::Tls12) => MinVersion::Tls12,
        Some(TlsVersion::Tls13) => MinVersion::Tls13,
    };
    Some(ListenerTls { files: ServerFiles { certificates, min_version }, server: None })
}

fn incomplete(written: &written::ListenerTls, problems: &mut Problems<'_>) {
    // One that could not be read, or whose key is misspelt, is not missing.
    if problems.noted(&written.spot, &["certificate", "key", "certificates"]) {
        return;
    }
    match written.certificate.as_ref().or(written.key.as_ref()) {
        Some(one) => half(one, problems),
        None => {
            problems
                .error(&written.spot, "it does not say which certificate is shown")
                .expected("`certificate` and `key`, or `certificates`");
        }
    }
}

fn half(one: &At<FilePath>, problems: &mut Problems<'_>) {
    problems.error(&one.spot, "a certificate and its key go together").expected("both `certificate` and `key`");
}

fn pair(certificate: &At<FilePath>, key: &At<FilePath>, problems: &mut Problems<'_>) -> CertificateFiles {
    CertificateFiles { certificate: file(certificate, problems), key: file(key, problems) }
}

/// A file that is to be read; what is wrong with it will be said at this place.
fn file(path: &At<FilePath>, problems: &mut Problems<'_>) -> PathBuf {
    problems.names_file(&path.spot, &path.0);
    path.0.clone()
}

fn client_auth(
    ca: Option<&At<FilePath>>,
    written: Option<&At<values::ClientAuth>>,
    problems: &mut Problems<'_>,
) -> Option<ClientAuth> {
    use values::ClientAuth::{None as Not, Optional, Required};
    match (ca, written.map(|auth| auth.value)) {
        (None, None | Some(Not)) => Some(ClientAuth::None),
        (Some(ca), Some(Not)) => {
            problems
                .warning(&ca.spot, "without effect: `clientAuth` is none, so clients are not asked for a certificate");
            Some(ClientAuth::None)
        }
        (Some(ca), Some(Optional)) => Some(ClientAuth::Optional(file(ca, problems))),
        (Some(ca), None | Some(Required)) => Some(ClientAuth::Required(file(ca, problems))),
        (None, Some(Optional | Required)) => {
            // Invariant: this arm has a written value.
            if let Some(auth) = written {
                problems
                    .error(&auth.spot, "it does not say who vouches for clients")
                    .expected("`clientCa`, a file with the CAs of clients, beside it");
            }
            None
        }
    }
}

/// TLS towards a version that answers at `upstreams`. The outer `None` is returned after noting why.
#[expect(clippy::option_option, reason = "wrong, none, or some")]
pub(super) fn upstream(
    written: Option<&written::UpstreamTls>,
    upstreams: &[&At<Upstream>],
    problems: &mut Problems<'_>,
) -> Option<Option<UpstreamTls>> {
    let secure = upstreams.iter().any(|upstream| upstream.secure);
    if let Some(plain) = upstreams.iter().find(|upstream| !upstream.secure)
        && secure
    {
        problems
            .error(&plain.spot, "some addresses of this version are https, this one is not")
            .expected("https for all or for none");
        return None;
    }
    let files = match written {
        None if !secure => return Some(None),
        None => ClientFiles::default(),
        Some(written) if !secure => {
            problems
                .error(&written.spot, "TLS towards a version whose address is not https")
                .expected("an `https://` address");
            return None;
        }
        Some(written) => client_files(written, problems)?,
    };
    if files.ca.is_none()
        && let Some(first) = upstreams.first()
    {
        // What is wrong with the system's roots is said here.
        problems.names_file(&first.spot, Path::new(""));
    }
    let nameless = |upstream: &&&At<Upstream>| match &upstream.address {
        Address::Name(name, _) => ServerName::try_from(&**name).is_err(),
        Address::Ip(_) | Address::Unix(_) => false,
    };
    if files.server_name.is_none()
        && let Some(upstream) = upstreams.iter().find(nameless)
    {
        problems
            .error(&upstream.spot, "its host is no name that a certificate can have")
            .expected("`tls: { serverName: … }` with a name that is in its certificate");
        return None;
    }
    Some(Some(UpstreamTls { files, connector: None }))
}

fn client_files(written: &written::UpstreamTls, problems: &mut Problems<'_>) -> Option<ClientFiles> {
    let certificate = match (&written.certificate, &written.key) {
        (Some(certificate), Some(key)) => Some(pair(certificate, key, problems)),
        (None, None) => None,
        (Some(one), None) | (None, Some(one)) => {
            if !problems.noted(&written.spot, &["certificate", "key"]) {
                half(one, problems);
            }
            return None;
        }
    };
    Some(ClientFiles {
        ca: written.ca.as_ref().map(|ca| file(ca, problems)),
        server_name: written.server_name.as_ref().map(|name| name.0.clone()),
        certificate,
    })
}
