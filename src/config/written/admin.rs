//! The admin API, and the tokens file beside it.

use crate::config::read::{At, List, written};
use crate::config::values::{Bind, FilePath, Guarded, Hostname, Moment, Name, RoleName, Sha256Hex, Switch, Text};

use super::ListenerTls;

/// Most clients or tokens.
const MAX_KNOWN: usize = 1_000;

written! {
    /// The admin API: health, figures, changes. Without credentials it is read-only.
    Admin {
        /// `host:port`, `[::]:port` or `unix:/path`. It takes effect at the next start; what else stands here does so at once.
        required "address" address: At<Bind>,
        /// TLS, as a listener's. Without it the API is spoken to in plain HTTP.
        optional "tls" tls: ListenerTls,
        /// The file with the hashes of tokens and whose they are. It is watched. Default: nobody is known by a token.
        optional "tokens" tokens: At<FilePath>,
        /// Who shows which certificate; the first that fits counts.
        optional "clients" clients: List<AdminClient, 1, MAX_KNOWN>,
        /// Whoever reaches the address may do everything without credentials; only for a loopback address or a unix socket. Default: false.
        optional "open" open: At<Switch>,
        /// Whether reading the API needs the role of a viewer. Default: open.
        optional "reads" reads: At<Guarded>,
        /// Whether `/metrics` needs the role of a viewer. Default: open.
        optional "metrics" metrics: At<Guarded>,
        /// Names that browsers may ask an open address by, beside IP addresses and `localhost`.
        optional "hosts" hosts: List<At<Hostname>, 1, 64>,
    }

    /// Somebody known by a certificate: exactly one of `subject`, `uri` and `dns`.
    AdminClient {
        /// The certificate's subject as RFC 4514 writes it, such as `CN=alice,O=Shop`.
        optional "subject" subject: At<Text>,
        /// The first URI among its alternative names.
        optional "uri" uri: At<Text>,
        /// The first DNS name among its alternative names.
        optional "dns" dns: At<Text>,
        /// Who that is, for the log and the ledger.
        required "name" name: At<Name>,
        /// viewer, operator, approver or admin.
        required "role" role: At<RoleName>,
    }

    /// Who is known by which token.
    TokensFile {
        /// The tokens, by their hashes; `[]` for none.
        required "tokens" tokens: List<TokenEntry, 0, MAX_KNOWN>,
    }

    /// One token: `serin token new` makes one.
    TokenEntry {
        /// Who that is, for the log and the ledger; several tokens may name the same.
        required "name" name: At<Name>,
        /// viewer, operator, approver or admin.
        required "role" role: At<RoleName>,
        /// The SHA-256 of the token.
        required "sha256" sha256: At<Sha256Hex>,
        /// From when on it is worth nothing. Default: never.
        optional "expires" expires: At<Moment>,
    }
}
