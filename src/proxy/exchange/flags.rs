//! Flags on a request: which are asked, what their rules see of it, what becomes of its version and its headers.
//!
//! Nothing of this exists for a request on whose route and service no flag is. The others ask every flag once: the values
//! that go upstream, the version, and the cell it is measured in all come from the same answers, and every further try of
//! the request carries the same.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, request};

use super::affinity;
use super::ask::Asked;
use super::pick::{self, Picked};
use crate::flags::{Attribute, Context};
use crate::jwt::{Looked, Verified, bearer};
use crate::plan::{
    Answers, Attached, AttributeSource, Evaluated, Lot, MeasuredBy, Plan, Route, Service, StickyKey, VersionId,
    VersionSet, weigh,
};
use crate::proxy::client::Client;
use crate::proxy::worker::Worker;
use crate::telemetry::{FlagCells, TokenResult, Why};

/// A request whose flags are asked.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) worker: &'a Worker,
    pub(super) plan: &'a Plan,
    pub(super) service: &'a Service,
    pub(super) route: &'a Route,
    pub(super) parts: &'a request::Parts,
    pub(super) asked: &'a Asked,
    pub(super) client: &'a Client,
    /// The version that the stage of a migration names.
    pub(super) placed: Option<VersionId>,
}

/// What the flags of a request have said.
pub(super) struct Told {
    attached: Arc<Attached>,
    answers: Answers,
    /// The versions that no flag takes away.
    pub(super) alive: VersionSet,
}

/// Asks the flags of a request, and picks its version by them: by the stage of a migration alone where there is one, else by hand where the client may, else the one a flag names,
/// else as the request met the service before, else by key or lot. But for the choice by hand none that a flag takes away.
pub(super) fn pick(
    attached: &Arc<Attached>,
    cells: &FlagCells,
    request: Request<'_>,
    up: VersionSet,
) -> (Picked, Told) {
    let Request { worker, plan, service, parts, client, placed, .. } = request;
    let address = pick::client_address(parts, client, plan);
    let key = StickyKey::find(&service.sticky, &parts.headers, parts.uri.query(), address, client.identity());
    let (lot, why) = match &key {
        Some(key) => (Lot::Key(key.as_bytes()), Why::Key),
        None => (Lot::Draw(worker.rng.borrow_mut().u64(..)), Why::Draw),
    };
    let by_weight = placed.unwrap_or_else(|| weigh(&service.split, lot, up, VersionSet::ALL));
    let now = if attached.has_rules() { SystemTime::now() } else { UNIX_EPOCH };
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let claims = OnceCell::new();
    let mut seen = Seen { request, key: key.as_ref(), address, version: by_weight, now, claims };
    let mut count = |flag, result: &Evaluated<'_>| cells.evaluated(flag, result);

    let mut answers = attached.ask_steering(&seen, seconds, &mut count);
    let alive = attached.alive(&answers);
    let follow = || affinity::follow(service, &parts.headers, client, plan).filter(|version| alive.contains(*version));
    let named = || attached.version(&answers).filter(|version| alive.contains(*version) && up.contains(*version));
    let picked = if let Some(version) = placed {
        Picked { version, why: Why::Stage }
    } else if let Some(version) = pick::chosen_by_hand(service, parts, client) {
        Picked { version, why: Why::Override }
    } else if let Some(version) = named() {
        Picked { version, why: Why::Flag }
    } else if let Some(version) = follow() {
        Picked { version, why: Why::Follow }
    } else if alive.contains(by_weight) {
        Picked { version: by_weight, why }
    } else {
        Picked { version: weigh(&service.split, lot, up, alive), why: Why::Flag }
    };
    seen.version = picked.version;
    attached.ask_others(&mut answers, &seen, seconds, &mut count);
    (picked, Told { attached: Arc::clone(attached), answers, alive })
}

impl Told {
    /// Puts what the upstream is to know of the flags among the headers.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        self.attached.tell(&self.answers, headers);
    }

    /// What the request is measured by, if it is.
    pub(super) fn measured(&self) -> Option<MeasuredBy> {
        self.attached.measured(&self.answers)
    }
}

/// A request as the rules of flags see it: only what they ask for is looked up.
struct Seen<'a> {
    request: Request<'a>,
    key: Option<&'a StickyKey<'a>>,
    address: Option<IpAddr>,
    /// The version it goes to; for flags that steer, the one that its weight gives it.
    version: VersionId,
    now: SystemTime,
    claims: OnceCell<Option<Rc<Verified>>>,
}

impl Context for Seen<'_> {
    fn attribute(&self, name: &str) -> Option<Attribute<'_>> {
        let Request { plan, service, route, parts, asked, .. } = self.request;
        let text = match name {
            // Buckets are those of text: a key that is none is in no bucket.
            "targetingKey" => std::str::from_utf8(self.key?.as_bytes()).ok()?,
            "clientAddress" => {
                return Some(Attribute::Text(Cow::Owned(self.address?.to_canonical().to_string())));
            }
            "route" => route.name.as_deref()?,
            "service" => &service.name,
            "version" => &service.version(self.version).name,
            "path" => parts.uri.path(),
            "method" => parts.method.as_str(),
            "host" => {
                asked.host_header.as_ref()?;
                return Some(Attribute::Text(asked.host()));
            }
            other => {
                let attribute = plan.flag_context.attributes.iter().find(|attribute| *attribute.name == *other)?;
                return match &attribute.source {
                    AttributeSource::Claim(claim) => self.claims()?.claims.get(claim).map(Attribute::from),
                    source => source.find(&parts.headers, parts.uri.query()).map(Attribute::Text),
                };
            }
        };
        Some(Attribute::from(text))
    }
}

impl Seen<'_> {
    /// What the request's token says, if it holds. Looked at once, and only where a rule asks.
    fn claims(&self) -> Option<&Verified> {
        let claims = self.claims.get_or_init(|| {
            let token = self.request.plan.flag_context.token.as_ref()?;
            let shown = bearer(&self.request.parts.headers, &token.header)?;
            let worker = self.request.worker;
            let looked = worker.tokens.borrow_mut().look(shown, self.now, token.rules.as_ref()?);
            worker.cell.token(TokenResult::from(&looked));
            match looked {
                Looked::Verified(verified) | Looked::Remembered(verified) => Some(verified),
                Looked::Refused(_) => None,
            }
        });
        claims.as_deref()
    }
}
