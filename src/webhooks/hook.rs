//! One receiver: its queue, and what is on its way to it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::{broadcast, watch};

use super::pause::{TRIES, pause};
use super::post::{PostError, post, shown};
use crate::config::WebhookSettings;
use crate::events::{Event, Kind, Told};
use crate::telemetry::{Registry, WebhookResult};

/// Most events that wait for a receiver.
const WAITING: usize = 256;

/// A receiver, with what it is yet to be told.
pub(super) struct Hook {
    settings: watch::Receiver<WebhookSettings>,
    following: broadcast::Receiver<Arc<Told>>,
    registry: Arc<Registry>,
    waiting: VecDeque<Arc<Told>>,
    /// It has said that it wants no more.
    is_gone: bool,
    /// It does not take what it is sent, which has been said.
    is_failing: bool,
}

/// What became of an event.
#[derive(Debug)]
enum Outcome {
    Delivered,
    Failed(PostError),
}

type Delivery = Pin<Box<dyn Future<Output = Outcome> + Send>>;

impl Hook {
    pub(super) fn new(
        settings: watch::Receiver<WebhookSettings>,
        following: broadcast::Receiver<Arc<Told>>,
        registry: Arc<Registry>,
    ) -> Self {
        Self { settings, following, registry, waiting: VecDeque::new(), is_gone: false, is_failing: false }
    }

    /// Tells the receiver of everything that it is to be told of, one after the other.
    pub(super) async fn run(mut self) {
        let mut under_way: Option<Delivery> = None;
        loop {
            if under_way.is_none()
                && let Some(next) = self.waiting.pop_front()
            {
                under_way = Some(Box::pin(deliver(self.settings.clone(), next, Arc::clone(&self.registry))));
            }
            tokio::select! {
                told = self.following.recv() => match told {
                    Ok(told) => self.take(told),
                    Err(broadcast::error::RecvError::Lagged(events)) => self.count(WebhookResult::Dropped, events),
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                outcome = end_of(&mut under_way) => {
                    under_way = None;
                    self.note(outcome);
                }
            }
        }
    }

    fn take(&mut self, told: Arc<Told>) {
        if !wants(&self.settings.borrow().kinds, &told.event) {
            return;
        }
        if self.is_gone {
            return self.count(WebhookResult::Dropped, 1);
        }
        if self.waiting.len() >= WAITING {
            self.waiting.pop_front();
            self.count(WebhookResult::Dropped, 1);
        }
        self.waiting.push_back(told);
    }

    fn note(&mut self, outcome: Outcome) {
        let receiver = shown(&self.settings.borrow());
        match outcome {
            Outcome::Delivered => {
                self.count(WebhookResult::Delivered, 1);
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!(%receiver, "the webhook takes events again");
                }
            }
            Outcome::Failed(PostError::Gone) => {
                self.is_gone = true;
                let dropped = std::mem::take(&mut self.waiting).len() as u64;
                self.count(WebhookResult::Failed, 1);
                self.count(WebhookResult::Dropped, dropped);
                tracing::warn!(%receiver, "the webhook answered 410: it is sent nothing more until serin starts again");
            }
            Outcome::Failed(error) => {
                self.count(WebhookResult::Failed, 1);
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(%receiver, %error, "the webhook does not take events; each is lost to it after {TRIES} tries");
                }
            }
        }
    }

    fn count(&self, result: WebhookResult, events: u64) {
        self.registry.events().webhook(result, events);
    }
}

/// Whether a receiver of these kinds is told of an event.
fn wants(kinds: &[Kind], event: &Event) -> bool {
    kinds.contains(&event.kind) || (event.changes_weights && kinds.contains(&Kind::Weights))
}

/// Resolves when what is under way ends; never where nothing is.
async fn end_of(under_way: &mut Option<Delivery>) -> Outcome {
    match under_way {
        Some(delivery) => delivery.await,
        None => std::future::pending().await,
    }
}

/// Tries until the receiver has it, or has let every try fail. The id stays the same, so that the receiver can tell a second
/// coming; the time is that of the try.
async fn deliver(settings: watch::Receiver<WebhookSettings>, told: Arc<Told>, registry: Arc<Registry>) -> Outcome {
    let id = format!("msg_{:032x}", fastrand::u128(..));
    let body = Bytes::copy_from_slice(told.event.json.as_bytes());
    let mut tried = 1;
    loop {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        // As it is configured now: a secret may be what was wrong.
        let hook = settings.borrow().clone();
        match post(&hook, &id, &body, now).await {
            Ok(()) => return Outcome::Delivered,
            Err(error) if tried >= TRIES || matches!(error, PostError::Gone) => return Outcome::Failed(error),
            Err(error) => {
                registry.events().webhook(WebhookResult::Retried, 1);
                tracing::debug!(receiver = %shown(&hook), %error, tried, "a webhook is to be tried again");
                tokio::time::sleep(pause(tried, error.retry_after(), fastrand::f64())).await;
            }
        }
        tried += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::*;
    use crate::events::Feed;
    use crate::plan::Address;

    fn event(kind: Kind, number: u64) -> Event {
        let event = Event::without_entry(kind, "shop", UNIX_EPOCH, serde_json::json!({}));
        Event { number: Some(number), ..event }
    }

    fn hook(kinds: &[Kind], feed: &Feed) -> (watch::Sender<WebhookSettings>, Hook) {
        let settings = WebhookSettings {
            address: Address::Ip(SocketAddr::from(([127, 0, 0, 1], 9))),
            target: "/".to_owned(),
            tls: None,
            kinds: kinds.to_vec(),
            secret_file: "hook.secret".into(),
            secret: None,
            timeout: Duration::from_secs(1),
        };
        let (sender, settings) = watch::channel(settings);
        (sender, Hook::new(settings, feed.follow(), Arc::new(Registry::new(1))))
    }

    #[test]
    fn the_oldest_make_room_and_what_nobody_asked_for_takes_none() {
        let feed = Feed::new(0);
        let (_settings, mut hook) = hook(&[Kind::Step], &feed);
        let told = |kind, number| Arc::new(Told { id: feed.last(), event: event(kind, number) });
        for number in 1..=WAITING as u64 + 10 {
            hook.take(told(Kind::Ledger, number));
            hook.take(told(Kind::Step, number));
        }
        let numbers: Vec<_> = hook.waiting.iter().filter_map(|told| told.event.number).collect();
        assert_eq!(numbers, (11..=WAITING as u64 + 10).collect::<Vec<_>>());
        hook.note(Outcome::Failed(PostError::Gone));
        hook.take(told(Kind::Step, 1000));
        assert!(hook.waiting.is_empty(), "one that wants no more is kept nothing for");
    }

    #[test]
    fn who_asks_for_weights_is_told_of_every_change_of_them() {
        let step = Event { changes_weights: true, ..event(Kind::Step, 1) };
        assert!(wants(&[Kind::Weights], &step) && wants(&[Kind::Step], &step));
        assert!(!wants(&[Kind::Weights], &event(Kind::Step, 1)) && !wants(&[Kind::Rollback], &step));
    }
}
