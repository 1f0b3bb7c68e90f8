//! Clients known by the certificate they show.

use std::sync::Arc;

use super::Role;
use crate::tls::{Identity, Part};

/// Somebody known by a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// What of the certificate tells who it is.
    pub part: Part,
    /// What that part must be, whole; DNS names in lower case.
    pub value: String,
    /// Who it is.
    pub name: Arc<str>,
    /// What it is.
    pub role: Role,
}

impl Client {
    /// Who of `clients` has shown this certificate: the first that it fits.
    #[must_use]
    pub fn find<'a>(clients: &'a [Self], identity: &Identity) -> Option<&'a Self> {
        clients.iter().find(|client| identity.part(client.part) == Some(&*client.value))
    }
}
