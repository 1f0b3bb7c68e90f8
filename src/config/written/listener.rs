//! Where clients connect, and what they may send.

use crate::config::read::{At, List, written};
use crate::config::values::{Bind, Cidr, ClientAuth, Count, FilePath, Name, Period, Size, TlsVersion};

written! {
    /// An address that clients connect to.
    Listener {
        /// A name for messages, unique among listeners. Default: the address.
        optional "name" name: At<Name>,
        /// `host:port`, `[::]:port` or `unix:/path`; port 0 lets the system choose.
        required "address" address: At<Bind>,
        /// TLS. Without it clients speak plain HTTP.
        optional "tls" tls: ListenerTls,
    }

    /// TLS of a listener: one certificate, or several of which the name that a client asks for chooses.
    ListenerTls {
        /// PEM file: the certificate, then those that lead to its root. It is watched, as all files of TLS are.
        optional "certificate" certificate: At<FilePath>,
        /// PEM file: the certificate's private key, not encrypted.
        optional "key" key: At<FilePath>,
        /// PEM file: the CAs that vouch for clients.
        optional "clientCa" client_ca: At<FilePath>,
        /// Whether clients show a certificate. Default: required where there is a `clientCa`, else none.
        optional "clientAuth" client_auth: At<ClientAuth>,
        /// Several certificates, in place of the keys above. The first is for clients that ask for no name, or an unknown one.
        optional "certificates" certificates: List<ListenerCertificate, 1, 64>,
        /// The oldest version that is spoken. Default: 1.2, in quotes.
        optional "minVersion" min_version: At<TlsVersion>,
    } also { "oneOf": [{ "required": ["certificate", "key"] }, { "required": ["certificates"] }] }

    /// One of several certificates of a listener, for the names in it.
    ListenerCertificate {
        /// PEM file: the certificate, then those that lead to its root.
        required "certificate" certificate: At<FilePath>,
        /// PEM file: the certificate's private key, not encrypted.
        required "key" key: At<FilePath>,
        /// PEM file: the CAs that vouch for clients.
        optional "clientCa" client_ca: At<FilePath>,
        /// Whether clients show a certificate. Default: required where there is a `clientCa`, else none.
        optional "clientAuth" client_auth: At<ClientAuth>,
    }

    /// Bounds on what clients may send, and how slowly.
    Limits {
        /// Most bytes of a request head; more is answered 431. Default: 32KiB.
        optional "headerBytes" header_bytes: At<Size<1024, { 1 << 20 }>>,
        /// Most header lines of a request; more is answered 431. Default: 100.
        optional "headerCount" header_count: At<Count<1, 4096>>,
        /// Most bytes of a request body; more is answered 413. Default: no bound.
        optional "bodyBytes" body_bytes: At<Size<1, { 1 << 40 }>>,
        /// From the first byte of a request head to its last; longer is answered 408. Default: 10s.
        optional "headerTimeout" header_timeout: At<Period>,
        /// How long a client connection may be silent. Default: 75s.
        optional "idleTimeout" idle_timeout: At<Period>,
        /// Most client connections; one more is answered 503. Default: 10000.
        optional "connections" connections: At<Count<1, 1_000_000>>,
        /// Bounds of one HTTP/2 connection.
        optional "http2" http2: Http2Limits,
    }

    /// Bounds of one HTTP/2 connection.
    Http2Limits {
        /// Most concurrent streams. Default: 128.
        optional "streams" streams: At<Count<1, 10_000>>,
        /// Most streams that the client reset before the worker has seen them, or in a second before they were answered, a
        /// burst of eight times as many allowed; more closes the connection. Default: 32.
        optional "pendingResets" pending_resets: At<Count<1, 10_000>>,
    }

    /// What is believed of `X-Forwarded-*` headers that come in.
    Forwarded {
        /// Address ranges of peers whose `X-Forwarded-*` headers are kept and appended to; from all others they are replaced.
        required "trust" trust: List<At<Cidr>, 0, 256>,
    }
}
