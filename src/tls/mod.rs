//! Floor 0. Certificates, keys and trust: from the bytes of files to what a handshake needs.
//!
//! What is written ([`ServerFiles`], [`ClientFiles`]) and what is in the files ([`Material`]) become a [`Server`] for a
//! listener or a [`Connector`] for an upstream, whole or not at all. Nothing here reads a file (but for the system's
//! roots, where no CA is named), opens a socket or knows a route. It lies this low because the plan, the sockets and the
//! configuration all hold its values.

mod certificate;
mod connector;
mod files;
mod identity;
mod names;
mod pem;
mod provider;
mod server;
mod subject;
#[cfg(test)]
mod tests;

pub use certificate::Facts;
pub use connector::{Connector, Speaks};
pub use files::{
    CertificateFiles, ClientAuth, ClientFiles, Fault, Material, MinVersion, ServerCertificate, ServerFiles,
};
pub use identity::{Identity, Part};
pub use provider::fill_random;
pub use server::{Chosen, Server};
