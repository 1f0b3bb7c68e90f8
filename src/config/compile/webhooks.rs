//! Receivers of events.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::pki_types::ServerName;

use super::settings::period;
use crate::config::problem::{Problems, Spot};
use crate::config::read::At;
use crate::config::settings::WebhookSettings;
use crate::config::values::{FilePath, HookUrl};
use crate::config::written::Webhook;
use crate::plan::{Address, UpstreamTls};
use crate::tls::ClientFiles;

/// Longest time for one try, where nothing else is said, and at all.
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_TIMEOUT: Duration = Duration::from_mins(1);

/// Those that are right; what is wrong with the others is noted.
pub(super) fn webhooks(written: &[Webhook], problems: &mut Problems<'_>) -> Vec<WebhookSettings> {
    let mut known: Vec<(&HookUrl, &Spot)> = Vec::new();
    let mut hooks = Vec::new();
    for one in written {
        if let Some(url) = &one.url {
            if let Some((_, first)) = known.iter().find(|(known, _)| **known == url.value) {
                let message = format!("this is {} already", first.key);
                problems.error(&url.spot, message).expected("one entry for each URL, with all of its events");
            }
            known.push((&url.value, &url.spot));
        }
        hooks.extend(webhook(one, problems));
    }
    hooks
}

fn webhook(written: &Webhook, problems: &mut Problems<'_>) -> Option<WebhookSettings> {
    let timeout = period(written.timeout.as_ref(), TIMEOUT);
    if let Some(at) = written.timeout.as_ref().filter(|_| timeout > MAX_TIMEOUT) {
        problems.error(&at.spot, "too long").found(format!("{timeout:?}")).expected("at most `60s`");
        return None;
    }
    let secret_file = written.secret_file.as_ref().map(|path| file(path, problems));
    let url = written.url.as_ref()?;
    if let Some(ca) = written.ca.as_ref().filter(|_| !url.secure) {
        problems.error(&ca.spot, "TLS towards a receiver whose URL is not https").expected("an `https://` URL");
        return None;
    }
    if let Address::Name(name, _) = &url.address
        && url.secure
        && ServerName::try_from(&**name).is_err()
    {
        problems.error(&url.spot, "its host is no name that a certificate can have").expected("a DNS name");
        return None;
    }
    let tls = url.secure.then(|| {
        let ca = written.ca.as_ref().map(|ca| file(ca, problems));
        if ca.is_none() {
            // What is wrong with the system's roots is said here.
            problems.names_file_unshown(&url.spot, Path::new(""));
        }
        UpstreamTls { files: ClientFiles { ca, ..ClientFiles::default() }, connector: None }
    });
    Some(WebhookSettings {
        address: url.address.clone(),
        target: url.target.clone(),
        tls,
        kinds: written.events.as_ref()?.iter().map(|name| name.value.0).collect(),
        secret_file: secret_file?,
        secret: None,
        timeout,
    })
}

/// A file that is to be read. The path of a URL on the same line may be known to few.
fn file(path: &At<FilePath>, problems: &mut Problems<'_>) -> PathBuf {
    problems.names_file_unshown(&path.spot, &path.0);
    path.0.clone()
}
