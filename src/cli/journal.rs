//! The journal of writes to two versions: opened once a service is under migration, told of every plan, heard, and closed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, json};
use tokio::sync::watch;

use crate::control::Handle;
use crate::ledger::{Draft, MAX_REASON, What, clip};
use crate::migration::deliver;
use crate::migration::journal::{Journal, News};
use crate::plan::{Durability, Plan};
use crate::proxy::Shared;

/// Opens the journal when it is needed first.
pub(super) struct Journals {
    /// The folder of the state. `None`: there is none.
    folder: Option<PathBuf>,
    shared: Arc<Shared>,
    opened: watch::Sender<Option<Journal>>,
}

impl Journals {
    pub(super) fn new(folder: Option<PathBuf>, shared: &Arc<Shared>) -> Self {
        Self { folder, shared: Arc::clone(shared), opened: watch::Sender::new(None) }
    }

    /// The journal, once there is one.
    pub(super) fn opened(&self) -> watch::Receiver<Option<Journal>> {
        self.opened.subscribe()
    }

    /// Has a journal ready for a plan that is to come in force.
    pub(super) fn prepare(&self, plan: &Plan) -> Result<(), String> {
        let mut rules = plan.services.iter().filter_map(|service| Some((service, service.migration.as_ref()?)));
        let Some((first, _)) = rules.clone().next() else { return Ok(()) };
        if self.shared.journal.get().is_some() {
            return Ok(());
        }
        if self.folder.is_none()
            && let Some((service, _)) =
                rules.find(|(_, migration)| migration.rules.journal.durability == Durability::Fsync)
        {
            let service = &service.name;
            tracing::warn!(%service, "no stateDir: the journal of its migration is kept in memory, and a crash loses what is in it");
        }
        let failed = |error: &dyn std::fmt::Display| {
            format!("the journal for the migration of {} cannot be kept: {error}", first.name)
        };
        let registry = Arc::clone(&self.shared.registry);
        let journal = Journal::open(self.folder.as_deref(), registry).map_err(|error| failed(&error))?;
        let plans = Arc::clone(&self.shared);
        let whereabouts = move |service: &str, version: &str| {
            let plan = plans.plan.load();
            let (_, service) = plan.service_named(service)?;
            Some(Arc::clone(&service.version(service.version_named(version)?).upstream))
        };
        deliver::start(&journal, Box::new(whereabouts)).map_err(|error| failed(&error))?;
        // Nobody else sets it.
        let _ = self.shared.journal.set(journal.clone());
        self.follow(plan);
        self.opened.send_replace(Some(journal));
        Ok(())
    }

    /// Tells the journal of a plan that is in force.
    pub(super) fn follow(&self, plan: &Plan) {
        if let Some(journal) = self.shared.journal.get() {
            let rules = plan.services.iter().filter_map(|service| {
                Some((Arc::clone(&service.name), Arc::clone(&service.migration.as_ref()?.rules.journal)))
            });
            journal.configure(rules);
        }
    }
}

/// Writes down and says aloud what happens to the journal, for as long as the runtime lives.
pub(super) async fn hear(mut opened: watch::Receiver<Option<Journal>>, control: Handle) {
    let Ok(journal) = opened.wait_for(Option::is_some).await.map(|journal| journal.clone()) else { return };
    let Some(journal) = journal else { return };
    loop {
        journal.changed().await;
        for news in journal.take_news() {
            let (service, event, sentence, fields) = told(&news);
            match news {
                News::Roomy { .. } | News::DiskBack => tracing::warn!(service, "{sentence}"),
                _ => tracing::error!(service, "{sentence}"),
            }
            let what = What::Event { event: event.to_owned(), fields };
            let draft = Draft::new("serin", clip(&sentence, MAX_REASON), what);
            let draft = if service.is_empty() { draft } else { draft.of_service(service) };
            if let Err(error) = control.record_or_keep(draft).await {
                tracing::error!(%error, "what happened to the journal could not be recorded");
            }
        }
    }
}

/// Service, event, sentence and fields of news.
fn told(news: &News) -> (&str, &'static str, String, Map<String, serde_json::Value>) {
    let mut fields = Map::new();
    let mut field = |name: &str, value: serde_json::Value| {
        fields.insert(name.to_owned(), value);
    };
    let (service, event, sentence): (&str, _, _) = match news {
        News::Full { service, why, alone } => {
            field("why", json!(why.label()));
            let what = if *alone { "writes go to the authoritative version alone" } else { "writes are refused" };
            (service, "journalFull", format!("{why}: {what}"))
        }
        News::Roomy { service, refused, alone } => {
            field("refused", json!(refused));
            field("alone", json!(alone));
            let sentence = format!(
                "writes are journaled again; meanwhile {refused} were refused and {alone} went to one version alone"
            );
            (service, "journalRoomy", sentence)
        }
        News::DeadLetter { service, key, why } => {
            field("key", json!(&**key));
            (service, "deadLetter", format!("a write cannot be delivered and stops its key: {why}"))
        }
        News::ToReconcile { service, key, why } => {
            field("key", json!(&**key));
            field("why", json!(why.label()));
            (service, "toReconcile", "keys are to be reconciled: the two versions may differ".to_owned())
        }
        News::DiskGone { why } => ("", "journalDiskGone", format!("the journal's disk fails: {why}")),
        News::DiskBack => ("", "journalDiskBack", "the journal's disk works again".to_owned()),
    };
    (service, event, sentence, fields)
}

/// Closes the journal where there is one: what is not delivered within `limit` stays in it.
pub(super) async fn close(shared: &Shared, limit: Duration) {
    if let Some(journal) = shared.journal.get().cloned()
        && let Err(error) = tokio::task::spawn_blocking(move || journal.close(limit)).await
    {
        tracing::error!(%error, "the journal was not closed in good order");
    }
}
