//! The one cryptographic provider.

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ConfigBuilder, ServerConfig, SupportedProtocolVersion, WantsVerifier};

use super::MinVersion;

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));

/// aws-lc-rs with rustls' choice of suites and groups, which is Mozilla's intermediate one without what is not forward
/// secret or authenticated.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}

/// Fills `bytes` with what nobody can guess.
///
/// # Errors
/// Where the system has no random numbers.
pub fn fill_random(bytes: &mut [u8]) -> Result<(), rustls::Error> {
    provider().secure_random.fill(bytes).map_err(|_| rustls::Error::FailedToGetRandomBytes)
}

/// The beginning of a listener's configuration.
pub(super) fn server(min: MinVersion) -> ConfigBuilder<ServerConfig, WantsVerifier> {
    let builder = ServerConfig::builder_with_provider(provider());
    // Invariant: the provider has suites for both versions.
    builder.with_protocol_versions(versions(min)).expect("versions that are provided")
}

/// The beginning of an upstream's configuration.
pub(super) fn client() -> ConfigBuilder<ClientConfig, WantsVerifier> {
    let builder = ClientConfig::builder_with_provider(provider());
    // Invariant: as above.
    builder.with_protocol_versions(versions(MinVersion::Tls12)).expect("versions that are provided")
}

/// The versions from `min` up.
fn versions(min: MinVersion) -> &'static [&'static SupportedProtocolVersion] {
    static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
    match min {
        MinVersion::Tls12 => &BOTH,
        MinVersion::Tls13 => &BOTH[..1],
    }
}
