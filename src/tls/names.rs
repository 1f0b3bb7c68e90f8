//! Which certificate a name asks for.

use std::borrow::Cow;
use std::collections::HashMap;

/// The names in a listener's certificates, each with the positions of the certificates that have it.
#[derive(Debug, Default)]
pub(super) struct Names {
    exact: HashMap<String, Vec<usize>>,
    /// By what follows `*.`.
    wildcard: HashMap<String, Vec<usize>>,
}

impl Names {
    /// Adds a name of the certificate at `position`: a DNS name in lower case, or one that begins with `*.`.
    pub(super) fn add(&mut self, name: &str, position: usize) {
        let (map, name) = match name.strip_prefix("*.") {
            Some(parent) => (&mut self.wildcard, parent),
            None => (&mut self.exact, name),
        };
        let positions = map.entry(name.to_owned()).or_default();
        if !positions.contains(&position) {
            positions.push(position);
        }
    }

    /// The certificates with this name, in their order; none where no certificate has it. An exact name wins over a
    /// wildcard, which stands for one label (RFC 9525, section 6.3).
    pub(super) fn find(&self, name: &str) -> &[usize] {
        let name = name.strip_suffix('.').unwrap_or(name);
        let name = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        };
        let exact = self.exact.get(&*name);
        let found = exact.or_else(|| {
            let (label, parent) = name.split_once('.')?;
            if label.is_empty() { None } else { self.wildcard.get(parent) }
        });
        found.map_or(&[], Vec::as_slice)
    }
}
