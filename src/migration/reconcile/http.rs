//! Both sides over HTTP, by the plan in force at each moment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};

use super::examine::Sides;
use super::likeness::{Leave, Likeness};
use super::look::{Entity, Reading};
use crate::diff::Difference;
use crate::migration::Client;
use crate::migration::journal::{DeadLetter, Hold, Journal, Refused};
use crate::plan::{KeyCall, Migration, Plan, Reconcile, Repair, Service, Side};

/// How long a key's turn is waited for.
const TURN: Duration = Duration::from_secs(2);
/// How long writes that are sent again are waited for, and how often it is looked whether they are there.
const RESEND: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(10);
/// Dead letters asked for at a time.
const PAGE: usize = 1_000;
/// What these requests call themselves.
const AGENT: HeaderValue = HeaderValue::from_static("serin-reconcile");

/// The two sides of a service's migration.
pub(super) struct HttpSides<'a> {
    pub(super) service: &'a str,
    pub(super) plan: &'a (dyn Fn() -> Arc<Plan> + Send + Sync),
    pub(super) client: &'a Client,
    pub(super) journal: Option<Journal>,
    /// A turn in which both sides were seen to be the same settles what waits of the key: only where somebody asked for that.
    pub(super) settles: bool,
    pub(super) likeness: Likeness,
}

/// A key's turn: nothing to hold where nothing is journaled.
pub(super) struct Turn {
    hold: Option<Hold>,
    /// Whether nothing waited of the key.
    is_idle: bool,
}

/// A service with what is needed of it, while one plan is looked at.
pub(super) struct Found {
    pub(super) service: Arc<Service>,
    pub(super) migration: Arc<Migration>,
    pub(super) reconcile: Arc<Reconcile>,
}

impl Found {
    /// That of a service; `None` where it has no migration any more, or nothing says how it is reconciled.
    pub(super) fn of(plan: &Plan, service: &str) -> Option<Self> {
        let (_, service) = plan.service_named(service)?;
        let migration = Arc::clone(service.migration.as_ref()?);
        let reconcile = Arc::clone(migration.rules.checks.reconcile.as_ref()?);
        Some(Self { service: Arc::clone(service), migration, reconcile })
    }
}

impl HttpSides<'_> {
    fn found(&self) -> Result<Found, String> {
        Found::of(&(self.plan)(), self.service)
            .ok_or_else(|| "the service has no `migration.reconcile` any more".into())
    }

    /// Asks a side for what stands at `path`.
    pub(super) async fn get(&self, side: Side, method: Method, path: &str) -> Result<Response<Bytes>, String> {
        self.send(side, method, path, HeaderMap::new(), Bytes::new()).await
    }

    async fn send(
        &self,
        side: Side,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Bytes>, String> {
        let Found { service, migration, reconcile } = self.found()?;
        let version = service.version(migration.version(side));
        let mut request = Request::new(body);
        *request.method_mut() = method;
        // Paths of the configuration and encoded keys.
        *request.uri_mut() = path.parse().map_err(|error| format!("{path}: {error}"))?;
        *request.headers_mut() = headers;
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, AGENT);
        for (name, value) in &reconcile.headers {
            headers.insert(name, value.clone());
        }
        let answer = self.client.send(&version.upstream, request, reconcile.timeout, reconcile.max_body).await;
        answer.map_err(|error| format!("{}: {error}", version.name))
    }

    /// A write of `call` to `side`.
    async fn change(&self, side: Side, call: &KeyCall, key: &str, entity: Option<&Entity>) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        if let Some(kind) = entity.and_then(|entity| entity.headers.get(header::CONTENT_TYPE)) {
            headers.insert(header::CONTENT_TYPE, kind.clone());
        }
        let body = entity.map(|entity| entity.body.clone()).unwrap_or_default();
        let path = call.path.with(key);
        let answer = self.send(side, call.method.clone(), &path, headers, body).await?;
        let gone = entity.is_none() && is_absent(answer.status());
        if answer.status().is_success() || gone {
            return Ok(());
        }
        Err(format!("{} {path} was answered {}", call.method, answer.status().as_u16()))
    }
}

/// The dead letters of a key for this version.
fn dead_letters(journal: &Journal, service: &str, key: &str, version: &str) -> Vec<DeadLetter> {
    let mut found = Vec::new();
    let mut after = 0;
    loop {
        let page = journal.dead_letters(service, after, PAGE);
        let Some(last) = page.last() else { return found };
        after = last.number;
        found.extend(page.into_iter().filter(|letter| *letter.key == *key && *letter.other == *version));
    }
}

fn is_absent(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE)
}

impl Sides for HttpSides<'_> {
    type Turn = Turn;

    fn authoritative(&self, key: &str) -> Side {
        let found = self.found();
        found.map_or(Side::From, |found| found.migration.stage_of(Some(key.as_bytes())).authoritative())
    }

    async fn read(&self, side: Side, key: &str) -> Result<Reading, String> {
        let found = self.found()?;
        let path = found.reconcile.read.path.with(key);
        let answer = self.get(side, found.reconcile.read.method.clone(), &path).await?;
        if is_absent(answer.status()) {
            return Ok(Reading::Absent);
        }
        let (head, body) = answer.into_parts();
        if head.status.is_success() {
            return Ok(Reading::Entity(Entity { headers: head.headers, body }));
        }
        let name = &found.service.version(found.migration.version(side)).name;
        Err(format!("{name}: {} {path} was answered {}", found.reconcile.read.method, head.status.as_u16()))
    }

    async fn write(&self, side: Side, key: &str, entity: &Entity) -> Result<(), String> {
        let found = self.found()?;
        let call = found.reconcile.write.as_ref().ok_or("`migration.reconcile` has no `write`")?;
        self.change(side, call, key, Some(entity)).await
    }

    async fn remove(&self, side: Side, key: &str) -> Result<(), String> {
        let found = self.found()?;
        let call = found.reconcile.delete.as_ref().ok_or("`migration.reconcile` has no `delete`")?;
        self.change(side, call, key, None).await
    }

    fn repair(&self) -> Repair {
        self.found().map_or(Repair::None, |found| found.reconcile.repair)
    }

    fn saw(&self, differences: &[Difference], written: bool) {
        self.likeness.saw(differences, written);
    }

    fn leave(&self) -> Leave {
        self.likeness.leave()
    }

    async fn resend(&self, key: &str) -> Result<(), String> {
        let (found, service) = (self.found()?, self.service);
        let journal = self.journal.as_ref().ok_or("there is no journal")?;
        let other = self.authoritative(key).other();
        let version = &found.service.version(found.migration.version(other)).name;
        let letters = || dead_letters(journal, service, key, version);
        let retried = letters().iter().filter(|letter| journal.retry(service, letter.number)).count();
        if retried == 0 && !journal.is_pending(service, key) {
            return Err(format!("the journal has no write of it for {version} any more: it has to be written anew"));
        }
        let end = Instant::now() + RESEND;
        while journal.is_pending(service, key) {
            if let Some(letter) = letters().first() {
                return Err(format!("its writes were sent again, and {version} said: {}", letter.why));
            }
            if Instant::now() >= end {
                return Err(format!("its writes are sent again, and {version} does not have them yet"));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    async fn turn(&self, key: &str) -> Option<Turn> {
        let Some(journal) = &self.journal else { return Some(Turn { hold: None, is_idle: true }) };
        match journal.hold(self.service, key, TURN).await {
            Ok(hold) => Some(Turn { hold: Some(hold), is_idle: !journal.is_pending(self.service, key) }),
            Err(Refused::NoJournal) => Some(Turn { hold: None, is_idle: true }),
            Err(_) => None,
        }
    }

    fn lags(&self, key: &str) -> bool {
        self.journal.as_ref().is_some_and(|journal| journal.is_pending(self.service, key))
    }

    fn is_same(&self, turn: Turn) {
        // Where nothing waits of it, only its place on the list goes.
        if let Some(hold) = turn.hold.filter(|_| self.settles || turn.is_idle) {
            hold.repaired();
        }
    }
}
