//! The one writer at work: changes in, plans out, one after another.

mod reading;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use self::reading::Look;
use super::begin::Begun;
use super::certificates;
use super::courses::Courses;
use super::data_plane::DataPlane;
use super::drills::{Drills, News};
use super::files::{Files, Hash, Seen};
use super::flags::{FlagFile, FlagsInForce};
use super::force::{Change, InForce, Refused};
use super::handle::{Changed, Handle, Request};
use super::record;
use super::recorder::{Recorded, Recorder};
use super::rollouts::Rollouts;
use super::stages;
use super::watch::FileWatch;
use crate::config::WebhookSettings;
use crate::events::Feed;
use crate::flags::FlagSet;
use crate::ledger::Draft;
use crate::plan::{migrated, widened};
use crate::telemetry::{Registry, Rfc3339, WeightShare};

/// After the first sign of a change: how long to wait for the writer to finish.
pub(super) const SETTLE: Duration = Duration::from_millis(5);
/// Before something wrong is reported: how long it must stay as it is. An editor that writes in place shows an empty or
/// half a file for a moment.
pub(super) const DOUBT: Duration = Duration::from_millis(30);
/// How often the files are read although nobody noticed a change.
const POLL: Duration = Duration::from_secs(2);
/// How often rollouts that are on are looked at, and all others a few times more seldom.
const ROLLOUTS: Duration = Duration::from_millis(250);
const OTHERS: u32 = 8;
/// Changes waiting for their turn.
const QUEUE: usize = 64;

/// The one writer.
pub struct Control<D> {
    pub(super) config: PathBuf,
    pub(super) files: Files,
    pub(super) flags: Option<FlagFile>,
    /// A flag file that the refused `serin.yaml` names anew and that cannot be used, and what was there then.
    pub(super) wanted_flags: Option<(PathBuf, Option<Hash>)>,
    /// Flags that were in force. Kept until nobody else has them, so that freeing thousands of them falls to no worker.
    former_flags: Vec<Arc<FlagSet>>,
    pub(super) in_force: InForce,
    pub(super) data_plane: D,
    pub(super) registry: Arc<Registry>,
    pub(super) recorder: Recorder,
    pub(super) rollouts: Rollouts,
    /// Whether the files say more than is in force, which was not published because it could not be recorded.
    held_back: bool,
    requests: mpsc::Receiver<Request>,
    noticed: mpsc::Receiver<()>,
    watch: FileWatch,
    drain_timeout: watch::Sender<Duration>,
    /// Content that was refused, so that it is reported once.
    refused: Option<Seen>,
    drills: Drills,
    /// Where what has no entry in the ledger is told.
    pub(super) feed: Feed,
    webhooks: watch::Sender<Vec<WebhookSettings>>,
    pub(super) courses: Courses,
}

/// What the control plane starts from.
pub struct Start<D> {
    /// The path of `serin.yaml`.
    pub config: PathBuf,
    /// The files as read.
    pub files: Files,
    /// The flag file, where there is one; its flags are part of what is in force.
    pub flags: Option<FlagFile>,
    /// What is in force by them, and its record.
    pub begun: Begun,
    /// What carries it out; the first plan is published already.
    pub data_plane: D,
    /// Where reloads are counted.
    pub registry: Arc<Registry>,
    /// Where what has no entry in the ledger is told.
    pub feed: Feed,
    /// Tells who sends them of the receivers of events.
    pub webhooks: watch::Sender<Vec<WebhookSettings>>,
}

impl<D: DataPlane> Control<D> {
    /// The writer, watching the files from now on.
    #[must_use]
    pub fn new(
        Start { config, files, flags, begun, data_plane, registry, feed, webhooks }: Start<D>,
    ) -> (Self, Handle) {
        let Begun { in_force, recorder, held_back, rollouts, by_hand } = begun;
        let (sender, requests) = mpsc::channel(QUEUE);
        let (notice, noticed) = mpsc::channel(1);
        let watch = FileWatch::new(notice);
        let (drain_timeout, asked) = watch::channel(in_force.settings().drain_timeout);
        let mut control = Self {
            config,
            files,
            flags,
            wanted_flags: None,
            former_flags: Vec::new(),
            in_force,
            data_plane,
            registry,
            recorder,
            rollouts,
            held_back,
            requests,
            noticed,
            watch,
            drain_timeout,
            refused: None,
            drills: Drills::default(),
            feed,
            webhooks,
            courses: Courses::new(by_hand),
        };
        control.tell_of_webhooks();
        control.follow_files(None);
        control.report_in_force();
        let rollouts = control.rollouts.views();
        let by_hand = control.courses.by_hand();
        control.show_rollouts();
        (control, Handle { requests: sender, drain_timeout: asked, rollouts, by_hand })
    }

    /// Works until every [`Handle`] is gone.
    pub async fn run(mut self) {
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut rollouts, mut ticks) = (interval(ROLLOUTS), 0u32);
        rollouts.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.resume_rollouts().await;
        loop {
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(Request::Change(change, answer)) => {
                        // Whoever asked may have left; the change holds all the same.
                        let _ = answer.send(self.change(&change).await);
                        self.heed_edits(&change.actor).await;
                    }
                    Some(Request::Stage(change, answer)) => {
                        let _ = answer.send(self.change_stage(&change).await);
                    }
                    Some(Request::Record { draft, keep, answer }) => {
                        let _ = answer.send(self.record(draft, keep).await);
                    }
                    Some(Request::Order { service, order, answer }) => {
                        let _ = answer.send(self.order(&service, order).await);
                    }
                    Some(Request::Preflight { service, answer }) => {
                        let _ = answer.send(self.preflight(&service));
                    }
                    Some(Request::Reload) => self.look(Look::Asked).await,
                    None => return,
                },
                Some(()) = self.noticed.recv() => {
                    tokio::time::sleep(SETTLE).await;
                    // What was noticed meanwhile is covered by the look that follows.
                    while self.noticed.try_recv().is_ok() {}
                    self.look(Look::Noticed).await;
                }
                _ = rollouts.tick() => {
                    ticks = ticks.wrapping_add(1);
                    self.tick_rollouts(ticks.is_multiple_of(OTHERS)).await;
                    self.follow_courses().await;
                }
                _ = poll.tick() => {
                    self.recover().await;
                    self.look(Look::Noticed).await;
                    // Workers need nobody to tell them that a drill is over; people do.
                    self.tell_of_drills();
                    self.former_flags.retain(|flags| Arc::strong_count(flags) > 1);
                }
            }
        }
    }

    async fn change(&mut self, change: &Change) -> Result<Changed, Refused> {
        let Change { actor, reason, service, weights, .. } = change;
        let done = self.try_change(change).await;
        match &done {
            Ok(Changed { entry, .. }) => tracing::info!(%actor, %reason, %service, ?weights, entry, "weights changed"),
            Err(refused) => {
                tracing::warn!(%actor, %reason, %service, ?weights, %refused, "a change of weights was refused");
            }
        }
        done
    }

    pub(super) async fn try_change(&mut self, change: &Change) -> Result<Changed, Refused> {
        let next = self.in_force.with_change(change)?;
        let draft = record::weights(change, &self.in_force, &next, &self.files);
        let entry = self.record_before(&next, vec![draft]).await?;
        self.publish(next);
        Ok(Changed { plan: Arc::clone(self.in_force.plan()), entry })
    }

    /// Records what makes `next`, which must not be published before. Gives the number of the last entry; `None`: it is yet to be
    /// written, which is enough for what widens nothing.
    pub(super) async fn record_before(&mut self, next: &InForce, drafts: Vec<Draft>) -> Result<Option<u64>, Refused> {
        let (before, after) = (self.in_force.plan(), next.plan());
        if widened(before, after).is_some() || migrated(before, after).is_some() {
            return Ok(Some(self.recorder.append(drafts).await?.end - 1));
        }
        self.record_in_any_case(drafts).await
    }

    pub(super) async fn record_in_any_case(&mut self, drafts: Vec<Draft>) -> Result<Option<u64>, Refused> {
        match self.recorder.append_or_keep(drafts).await? {
            Recorded::Written(numbers) => Ok(Some(numbers.end - 1)),
            Recorded::Kept(why) => {
                tracing::error!("what happens is not recorded, which is made up for as soon as it can be: {why}");
                Ok(None)
            }
        }
    }

    pub(super) async fn record(&mut self, draft: Draft, keep: bool) -> Result<Option<u64>, Refused> {
        let draft = record::with_hashes(draft, self.in_force.plan(), &self.files);
        if keep {
            return self.record_in_any_case(vec![draft]).await;
        }
        Ok(Some(self.recorder.append(vec![draft]).await?.end - 1))
    }

    /// Has the ledger written again where it could not be.
    async fn recover(&mut self) {
        if !self.recorder.is_unwell() || !self.recorder.recover().await {
            return;
        }
        tracing::warn!("the ledger can be written again");
        if self.held_back {
            self.look(Look::Again).await;
        }
    }

    pub(super) fn publish(&mut self, next: InForce) {
        let former = Arc::clone(&self.in_force.plan().flags);
        self.data_plane.publish(next.plan());
        self.in_force = next;
        if !Arc::ptr_eq(&former, &self.in_force.plan().flags) {
            self.former_flags.push(former);
            self.data_plane.tell_of_flags(FlagsInForce::new(&self.in_force.plan().flags, self.flags.as_ref()));
        }
        self.drain_timeout.send_replace(self.in_force.settings().drain_timeout);
        self.tell_of_webhooks();
        self.report_in_force();
    }

    fn tell_of_webhooks(&self) {
        self.webhooks.send_if_modified(|known| {
            let now = &self.in_force.settings().webhooks;
            let differs = known != now;
            if differs {
                known.clone_from(now);
            }
            differs
        });
    }

    fn tell_of_drills(&mut self) {
        let news = self.drills.look(self.in_force.plan(), SystemTime::now());
        if news.is_empty() {
            return;
        }
        for news in news {
            self.feed.tell(news.told(SystemTime::now()));
            match news {
                News::Began(end) => {
                    let (service, version, fault, until) = (end.service, end.version, end.fault, Rfc3339(end.until));
                    tracing::warn!(%service, %version, %fault, %until, "a drill is on: requests of this version are hurt on purpose");
                }
                News::Ended(end) => {
                    let (service, version, fault) = (end.service, end.version, end.fault);
                    tracing::warn!(%service, %version, %fault, "a drill is over");
                }
            }
        }
        self.registry.control().set_fault_ends(self.drills.in_force());
    }

    fn report_in_force(&mut self) {
        let control = self.registry.control();
        let files = self.files.each().into_iter().flatten();
        let flags = self.flags.iter().map(|file| (file.short_name(), file.hash().to_string()));
        control.set_config_hashes(files.map(|file| (file.short_name(), file.hash.to_string())).chain(flags));
        let shares = self.in_force.plan().services.iter().flat_map(|service| {
            service.versions.iter().enumerate().map(|(index, version)| {
                let share = service.intended_share(crate::plan::VersionId::from_index(index));
                WeightShare { service: Arc::clone(&service.name), version: Arc::clone(&version.name), share }
            })
        });
        control.set_weights(shares);
        control.set_migrations(stages::figures(self.in_force.plan()));
        control.set_certificates(certificates::in_use(&self.in_force));
        control.set_connections_limit(self.in_force.plan().limits.connections);
        control.set_config_effective(SystemTime::now());
        self.tell_of_drills();
    }
}
