//! Floor 1. Who may do what: roles, the credentials that tell who somebody is, and how often wrong ones are looked at.
//!
//! Pure: time and randomness are arguments. This room knows neither HTTP nor files; what an endpoint asks for and what a
//! refusal looks like is for whoever answers.

mod client;
mod role;
mod throttle;
mod token;

use std::sync::Arc;

pub use client::Client;
pub use role::{Right, Role};
pub use throttle::{Bucket, Source, Throttle};
pub use token::{Token, TokenHash, Tokens, WrongToken, new_token};

/// Who may do what at an address, whole: what the configuration and the tokens file say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// Who shows no credentials may do everything.
    pub open: bool,
    /// Who shows no credentials may not even read.
    pub reads_protected: bool,
    /// Figures are for those alone who may read by their role.
    pub metrics_protected: bool,
    /// Names, in lower case, that the address may be asked by beside IP addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Who shows which certificate.
    pub clients: Vec<Client>,
    /// Who shows which token. `None`: nobody is known by a token.
    pub tokens: Option<Arc<Tokens>>,
}

impl Access {
    /// The role of whoever shows no credentials.
    #[must_use]
    pub fn anonymous(&self) -> Option<Role> {
        match (self.open, self.reads_protected) {
            (true, _) => Some(Role::Admin),
            (false, false) => Some(Role::Viewer),
            (false, true) => None,
        }
    }

    /// Whether there are credentials that name anybody.
    #[must_use]
    pub fn knows_anybody(&self) -> bool {
        self.tokens.is_some() || !self.clients.is_empty()
    }
}

/// Names that nobody may have, beside those of files ([`is_reserved`]).
pub const RESERVED: [&str; 9] = ["admin-api", "demo", "drill", "file", "files", "judge", "ledger", "rollout", "serin"];

/// Whether changes are written down under this name that nobody in particular makes: serin's own, and those of files.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_file = [".yaml", ".yml"].iter().any(|ending| name.ends_with(ending));
    is_file || RESERVED.contains(&&*name)
}
