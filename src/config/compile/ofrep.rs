//! The flag evaluation API.

use crate::config::problem::Problems;
use crate::config::settings::{OfrepSettings, Origins};
use crate::config::values::ANY;
use crate::config::written::{Cors, Ofrep};

/// Most bytes of a request body, where nothing else is said.
const MAX_BODY: usize = 1_000_000;
/// Most connections, where nothing else is said.
const CONNECTIONS: usize = 1_000;

/// `None` after noting why. `knows_flags`: there is a flag file.
pub(super) fn ofrep(written: &Ofrep, knows_flags: bool, problems: &mut Problems<'_>) -> Option<OfrepSettings> {
    if !knows_flags {
        problems.warning(&written.spot, "without `files.flags` there is no flag to ask for");
    }
    Some(OfrepSettings {
        address: written.address.as_ref()?.value.clone(),
        origins: written.cors.as_ref().map_or_else(Origins::default, |cors| origins(cors, problems)),
        max_body: written.max_body.as_ref().map_or(MAX_BODY, |size| size.0 as usize),
        connections: written.connections.as_ref().map_or(CONNECTIONS, |count| count.0 as usize),
    })
}

fn origins(written: &Cors, problems: &mut Problems<'_>) -> Origins {
    let Some(origins) = written.origins.as_deref() else { return Origins::default() };
    match origins.iter().find(|origin| origin.0 == ANY) {
        Some(any) if origins.len() > 1 => {
            problems.error(&any.spot, "`*` means all origins").expected("`*` alone, or only single origins");
            Origins::Any
        }
        Some(_) => Origins::Any,
        None => Origins::These(origins.iter().map(|origin| origin.0.clone()).collect()),
    }
}
