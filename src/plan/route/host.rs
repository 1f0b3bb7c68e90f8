//! The name in a `Host` header or an `:authority`.

use std::borrow::Cow;

/// The host of an authority (`Host` or `:authority`) in the form [`Host`](super::Host) wants: no port, lower case, no
/// dot at the end. IPv6 addresses keep their brackets.
///
/// Allocates only where an upper-case letter has to go. What is no authority comes back as it is, in lower case: it then
/// matches no host name.
#[must_use]
pub fn normalize_host(authority: &str) -> Cow<'_, str> {
    let host = without_port(authority);
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

fn without_port(authority: &str) -> &str {
    let digits = authority.bytes().rev().take_while(u8::is_ascii_digit).count();
    let Some(host) = authority[..authority.len() - digits].strip_suffix(':') else { return authority };
    // A colon within `[::1]` is no port's, and neither is one of an address that lacks its brackets.
    let is_host = !host.as_bytes().contains(&b':') || host.starts_with('[') && host.ends_with(']');
    if is_host { host } else { authority }
}
