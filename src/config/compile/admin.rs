//! The admin API: who may do what there.

use std::collections::HashMap;
use std::sync::Arc;

use crate::access::{Access, Client, RESERVED, Role, Token, Tokens, is_reserved};
use crate::plan::HostPattern;
use crate::tls::Part;

use super::tls;
use crate::config::node::quote;
use crate::config::problem::{Problems, Spot};
use crate::config::read::At;
use crate::config::settings::{AdminSettings, ListenerTls};
use crate::config::values::{Guarded, Hostname, Name};
use crate::config::written::{Admin, AdminClient, TokensFile};

/// `None` after noting why.
pub(super) fn admin(written: &Admin, problems: &mut Problems<'_>) -> Option<AdminSettings> {
    let tls = written.tls.as_ref().map(|written| tls::listener(written, problems));
    let clients = clients(written, problems);
    let hosts = written.hosts.iter().flat_map(|hosts| hosts.iter()).filter_map(|host| exact(host, problems)).collect();
    let address = written.address.as_ref()?;
    let open = written.open.as_ref().is_some_and(|open| open.0);
    if let Some(spot) = written.open.as_ref().filter(|_| open && !address.is_local()).map(|open| &open.spot) {
        problems
            .error(spot, "whoever reaches this address could change everything")
            .found(format!("true beside `address: {}`", address.value))
            .expected("a loopback address or a unix socket, or credentials: `tokens` or `clients`");
    }
    if let Some(tokens) = &written.tokens {
        problems.names_file(&tokens.spot, &tokens.value.0);
        if written.tls.is_none() && !address.is_local() {
            let message = format!("tokens go to {} in plain text: whoever listens has them", address.value);
            problems.warning(&tokens.spot, format!("{message}; `tls` beside it, or a loopback address, keeps them"));
        }
    }
    let tls = match tls {
        Some(Some(tls)) => Some(tls),
        Some(None) => return None,
        None => None,
    };
    if let (Some(tls), Some(spot)) = (&tls, written.tls.as_ref().map(|tls| &tls.spot)) {
        one_demand(tls, spot, problems);
    }
    if let Some(first) = written.clients.as_ref().and_then(|clients| clients.first())
        && tls.as_ref().is_none_or(|tls| tls.files.certificates.iter().all(|one| one.client_auth.ca().is_none()))
    {
        problems
            .error(&first.spot, "nobody is asked for a certificate here")
            .expected("`tls` with a `clientCa` beside `clients`");
    }
    let protected = |guarded: &Option<At<Guarded>>| guarded.as_ref().is_some_and(|g| g.value == Guarded::Protected);
    let access = Access {
        open,
        reads_protected: protected(&written.reads),
        metrics_protected: protected(&written.metrics),
        hosts,
        clients: clients?,
        tokens: None,
    };
    let tokens_file = written.tokens.as_ref().map(|tokens| tokens.value.0.clone());
    Some(AdminSettings { address: address.value.clone(), tls, access, tokens_file })
}

/// Whoever one certificate's CA vouches for would be taken for somebody under another's name.
fn one_demand(tls: &ListenerTls, spot: &Spot, problems: &mut Problems<'_>) {
    let [first, others @ ..] = &*tls.files.certificates else { return };
    if others.iter().any(|other| other.client_auth != first.client_auth) {
        problems
            .error(spot, "the certificates differ in what they ask of clients")
            .expected("the same `clientCa` and `clientAuth` for all: one file may hold several CAs");
    }
}

fn clients(written: &Admin, problems: &mut Problems<'_>) -> Option<Vec<Client>> {
    let mut clients: Vec<Client> = Vec::new();
    let (errors, mut first) = (problems.errors.len(), HashMap::<(&str, String), &Spot>::new());
    for one in written.clients.iter().flat_map(|clients| clients.iter()) {
        let Some((word, part, spot, value)) = who(one, problems) else { continue };
        if let Some(known) = first.get(&(word, value.clone())) {
            let message = format!("{} is {} already", quote(&value), known.key);
            problems.error(spot, message).expected("each once: the first that fits counts");
        }
        first.insert((word, value.clone()), spot);
        let (Some(name), Some(role)) = (&one.name, &one.role) else { continue };
        let name = allowed(name, problems);
        clients.extend(name.map(|name| Client { part, value, name, role: role.0 }));
    }
    (problems.errors.len() == errors).then_some(clients)
}

/// What of a certificate is looked at, and what that must be.
fn who<'a>(one: &'a AdminClient, problems: &mut Problems<'_>) -> Option<(&'static str, Part, &'a Spot, String)> {
    let ways = [("subject", Part::Subject, &one.subject), ("uri", Part::Uri, &one.uri), ("dns", Part::Dns, &one.dns)];
    let given: Vec<_> = ways.iter().filter_map(|(word, part, text)| Some((*word, *part, text.as_ref()?))).collect();
    match *given {
        [("dns", part, text)] => Some(("dns", part, &text.spot, text.0.to_ascii_lowercase())),
        [(word, part, text)] => Some((word, part, &text.spot, text.0.clone())),
        [] if problems.noted(&one.spot, &["subject", "uri", "dns"]) => None,
        _ => {
            let found = if given.is_empty() { "none of them".to_owned() } else { format!("{} of them", given.len()) };
            problems
                .error(&one.spot, "it must say by one part of the certificate who this is")
                .found(found)
                .expected("exactly one of: subject, uri, dns");
            None
        }
    }
}

/// A name that somebody may have.
fn allowed(name: &At<Name>, problems: &mut Problems<'_>) -> Option<Arc<str>> {
    if is_reserved(&name.0) {
        problems
            .error(&name.spot, "changes that nobody in particular makes are written down under this name")
            .found(quote(&name.0))
            .expected(format!("any other name than those of YAML files, and: {}", RESERVED.join(", ")));
        return None;
    }
    Some(Arc::clone(&name.0))
}

fn exact(host: &At<Hostname>, problems: &mut Problems<'_>) -> Option<String> {
    match &host.value.0 {
        HostPattern::Exact(name) => Some(name.clone()),
        HostPattern::Wildcard(_) => {
            problems.error(&host.spot, "any name under a domain would do").expected("whole names");
            None
        }
    }
}

/// The tokens file as a whole; `None` after noting why.
pub(in crate::config) fn tokens(written: &TokensFile, problems: &mut Problems<'_>) -> Option<Tokens> {
    let (errors, mut first) = (problems.errors.len(), HashMap::new());
    let mut tokens = Vec::new();
    for one in written.tokens.as_ref()?.iter() {
        let (name, role) = (one.name.as_ref().and_then(|name| allowed(name, problems)), one.role.as_ref());
        let Some(hash) = &one.sha256 else { continue };
        if let Some(known) = first.insert(hash.value.0, &hash.spot) {
            let key = &known.key;
            problems
                .error(&hash.spot, format!("this is {key} already"))
                .expected("a token of its own for each: who shows one must be somebody");
        }
        let (Some(name), Some(role)) = (name, role) else { continue };
        let role: Role = role.0;
        tokens.push(Token {
            name,
            role,
            hash: hash.value.0,
            expires: one.expires.as_ref().map(|expires| expires.value.0),
        });
    }
    (problems.errors.len() == errors).then(|| Tokens::new(tokens))
}
