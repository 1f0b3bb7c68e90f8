//! Certificates made for a test, TLS clients that speak in raw bytes, and TLS in front of any upstream.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, NamedGroup, RootCertStore, ServerConfig, StreamOwned, SupportedProtocolVersion,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use serin::wire::Socket;

use super::PATIENCE;
use super::client::Raw;

/// A certification authority of the test's own.
pub struct Ca {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

impl Ca {
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A server's certificate for these names, the first of which is its subject.
    pub fn server(&self, names: &[&str]) -> Pair {
        self.pair(names[0], names, ExtendedKeyUsagePurpose::ServerAuth, |_| {})
    }

    /// A server's certificate, changed before it is signed.
    pub fn server_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Pair {
        self.pair(names[0], names, ExtendedKeyUsagePurpose::ServerAuth, change)
    }

    /// A client's certificate for `subject`.
    pub fn client(&self, subject: &str) -> Pair {
        self.pair(subject, &[], ExtendedKeyUsagePurpose::ClientAuth, |_| {})
    }

    /// A client's certificate with a URI and a DNS name.
    pub fn client_named(&self, subject: &str, uri: &str, dns: &str) -> Pair {
        self.pair(subject, &[dns], ExtendedKeyUsagePurpose::ClientAuth, |params| {
            params.distinguished_name.push(DnType::OrganizationName, "Shop, Inc.");
            params.subject_alt_names.push(SanType::URI(uri.try_into().expect("ASCII")));
        })
    }

    /// A server's certificate for a key of a chosen kind.
    pub fn server_for(&self, names: &[&str], key: &KeyPair) -> Pair {
        self.signed(names[0], names, ExtendedKeyUsagePurpose::ServerAuth, key, |_| {})
    }

    fn pair(
        &self,
        subject: &str,
        names: &[&str],
        usage: ExtendedKeyUsagePurpose,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        self.signed(subject, names, usage, &KeyPair::generate().expect("a key"), change)
    }

    fn signed(
        &self,
        subject: &str,
        names: &[&str],
        usage: ExtendedKeyUsagePurpose,
        key: &KeyPair,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, subject);
        params.extended_key_usages = vec![usage];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // Verifiers other than rustls insist on it.
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let certificate = params.signed_by(key, &self.issuer).expect("a certificate").pem();
        Pair { certificate, key: key.serialize_pem() }
    }

    /// What a client that trusts this CA connects with.
    pub fn trusting(&self) -> Trust {
        Trust {
            roots: self.roots(),
            own: None,
            versions: rustls::ALL_VERSIONS.to_vec(),
            alpn: Vec::new(),
            memory: None,
        }
    }

    /// The CA alone.
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("PEM")).expect("a CA");
        roots
    }
}

impl Pair {
    /// Writes `NAME.crt` and `NAME.key` into a folder.
    pub fn write(&self, folder: &Path, name: &str) {
        std::fs::write(folder.join(format!("{name}.crt")), &self.certificate).expect("a file");
        std::fs::write(folder.join(format!("{name}.key")), &self.key).expect("a file");
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.der()]
    }

    /// The certificate itself.
    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("PEM")
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("PEM")
    }
}

/// How a client connects.
#[derive(Clone)]
pub struct Trust {
    roots: RootCertStore,
    own: Option<Pair>,
    versions: Vec<&'static SupportedProtocolVersion>,
    alpn: Vec<Vec<u8>>,
    memory: Option<Arc<dyn ClientSessionStore>>,
}

/// Remembers sessions, and takes those of `truly` for those of `name`.
#[derive(Debug)]
pub struct Confused {
    inner: ClientSessionMemoryCache,
    name: ServerName<'static>,
    truly: ServerName<'static>,
}

impl Confused {
    pub fn new(name: &str, truly: &str) -> Arc<Self> {
        let inner = ClientSessionMemoryCache::new(64);
        Arc::new(Self { inner, name: server_name(name), truly: server_name(truly) })
    }

    fn meant(&self, name: &ServerName<'_>) -> ServerName<'static> {
        if *name == self.name { self.truly.clone() } else { name.to_owned() }
    }
}

impl ClientSessionStore for Confused {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.inner.set_kx_hint(name, group);
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.inner.kx_hint(name)
    }

    fn set_tls12_session(&self, name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.inner.set_tls12_session(name, value);
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.inner.tls12_session(&self.meant(name))
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        self.inner.remove_tls12_session(name);
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.inner.insert_tls13_ticket(name, value);
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.inner.take_tls13_ticket(&self.meant(name))
    }
}

/// A TLS connection spoken to by hand.
pub type RawTls = Raw<StreamOwned<ClientConnection, TcpStream>>;

impl Trust {
    /// It shows this certificate where it is asked for one.
    pub fn showing(mut self, own: &Pair) -> Self {
        self.own = Some(own.clone());
        self
    }

    /// It speaks only this version of TLS.
    pub fn only(mut self, version: &'static SupportedProtocolVersion) -> Self {
        self.versions = vec![version];
        self
    }

    /// It offers these protocols.
    pub fn offering(mut self, protocols: &[&str]) -> Self {
        self.alpn = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self
    }

    /// A configuration with a memory for sessions of its own.
    pub fn config(&self) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
        let builder = builder.with_protocol_versions(&self.versions).expect("versions");
        let builder = builder.with_root_certificates(self.roots.clone());
        let mut config = match &self.own {
            Some(own) => builder.with_client_auth_cert(own.chain(), own.private_key()).expect("a pair"),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.alpn);
        if let Some(memory) = &self.memory {
            config.resumption = Resumption::store(Arc::clone(memory));
        }
        Arc::new(config)
    }

    /// It remembers sessions here.
    pub fn remembering(mut self, memory: Arc<dyn ClientSessionStore>) -> Self {
        self.memory = Some(memory);
        self
    }

    /// Connects and asks for `name`.
    ///
    /// # Panics
    /// If there is no handshake.
    pub fn connect(&self, address: SocketAddr, name: &str) -> RawTls {
        connect(address, name, &self.config()).expect("a handshake")
    }

    /// An HTTP/2 client.
    pub async fn h2(&self, address: SocketAddr, name: &str) -> Socket {
        let stream = tokio::net::TcpStream::connect(address).await.expect("connect");
        stream.set_nodelay(true).expect("nodelay");
        let connector = TlsConnector::from(self.clone().offering(&["h2"]).config());
        let stream = connector.connect(server_name(name), Socket::Tcp(stream)).await.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        Socket::tls(stream)
    }
}

fn server_name(name: &str) -> ServerName<'static> {
    ServerName::try_from(name.to_owned()).expect("a name")
}

/// Connects by a configuration that may be used again, to resume the session. Under TLS 1.3 a server that refuses the
/// client's certificate says so only when it is read from.
///
/// # Errors
/// As TLS or the system says.
pub fn connect(address: SocketAddr, name: &str, config: &Arc<ClientConfig>) -> io::Result<RawTls> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut session = ClientConnection::new(Arc::clone(config), server_name(name)).map_err(io::Error::other)?;
    while session.is_handshaking() {
        session.complete_io(&mut stream)?;
    }
    Ok(Raw::over(StreamOwned::new(session, stream)))
}

impl RawTls {
    /// Says goodbye, but stays to listen.
    pub fn say_goodbye(&mut self) -> &mut Self {
        self.stream.conn.send_close_notify();
        let _ = self.stream.flush();
        self
    }

    /// The certificate that was shown.
    pub fn shown(&self) -> CertificateDer<'static> {
        self.stream.conn.peer_certificates().expect("a certificate")[0].clone()
    }
}

/// TLS in front of a plain upstream.
pub struct Front {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Handshake>>>,
}

/// What a handshake at a [`Front`] was like.
#[derive(Debug, Clone)]
pub struct Handshake {
    pub name: Option<String>,
    pub protocol: Option<String>,
    pub certificate: Option<CertificateDer<'static>>,
}

impl Front {
    /// Stands before `upstream` with this certificate; agrees to these protocols; where there is a `ca`, clients must show a
    /// certificate of it.
    pub fn before(upstream: SocketAddr, pair: &Pair, protocols: &[&str], ca: Option<&Ca>) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().expect("versions");
        let builder = match ca {
            Some(ca) => {
                let roots = Arc::new(ca.roots());
                let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots, provider).build();
                builder.with_client_cert_verifier(verifier.expect("a verifier"))
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(pair.chain(), pair.private_key()).expect("a pair");
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("nonblocking");
        let address = listener.local_addr().expect("its address");
        let seen = Arc::<Mutex<Vec<Handshake>>>::default();
        let all = Arc::clone(&seen);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(pass(acceptor.clone(), stream, upstream, Arc::clone(&all)));
                }
            });
        });
        Self { address, seen }
    }

    /// Stands before `upstream` and ends what it answers, once that pauses, without a goodbye.
    pub fn cutting(upstream: SocketAddr, pair: &Pair) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.expect("versions").with_no_client_auth();
        let config = Arc::new(builder.with_single_cert(pair.chain(), pair.private_key()).expect("a pair"));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let session = rustls::ServerConnection::new(Arc::clone(&config)).expect("a session");
                let mut client = Raw::over(StreamOwned::new(session, stream));
                let Some(head) = client.until(b"\r\n\r\n") else { continue };
                let mut answer = Raw::connect(upstream);
                let head = answer.send(head).until(b"whole").expect("an answer");
                client.send(head);
                let _ = client.stream.sock.shutdown(std::net::Shutdown::Both);
            }
        });
        Self { address, seen: Arc::default() }
    }

    /// The handshakes so far.
    pub fn handshakes(&self) -> Vec<Handshake> {
        self.seen.lock().expect("no one panics with it").clone()
    }
}

async fn pass(
    acceptor: TlsAcceptor,
    stream: tokio::net::TcpStream,
    upstream: SocketAddr,
    seen: Arc<Mutex<Vec<Handshake>>>,
) -> io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let session = stream.get_ref().1;
    seen.lock().expect("no one panics with it").push(Handshake {
        name: session.server_name().map(str::to_owned),
        protocol: session.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned()),
        certificate: session.peer_certificates().map(|chain| chain[0].clone()),
    });
    let mut upstream = tokio::net::TcpStream::connect(upstream).await?;
    tokio::io::copy_bidirectional(&mut stream, &mut upstream).await.map(|_| ())
}
