//! Floor 3. Receivers elsewhere that are told of what happens, by
//! [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
//!
//! Each has a task with a queue of its own: events go to it one after the other, each tried again with growing pauses until
//! it is taken. A receiver that is slow, dead or talks nonsense holds up nobody else, and costs a queue of bounded length at
//! most; what it missed is in the ledger.

mod hook;
mod pause;
mod post;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::hook::Hook;
use crate::config::WebhookSettings;
use crate::events::Feed;
use crate::telemetry::Registry;

/// Sends what `feed` tells to the receivers of `settings`, for as long as there is somebody who may change them.
pub async fn run(feed: Feed, mut settings: watch::Receiver<Vec<WebhookSettings>>, registry: Arc<Registry>) {
    let mut running: Vec<Running> = Vec::new();
    loop {
        let wanted = settings.borrow_and_update().clone();
        if !wanted.is_empty() {
            registry.events().webhooks_begin();
        }
        let mut before = std::mem::take(&mut running);
        for hook in wanted {
            // One that is known goes on with what it has to send, as it is configured now.
            let known = before.iter().position(|running| running.settings.borrow().is_same_receiver(&hook));
            let one = known.map(|known| before.swap_remove(known));
            running.push(match one {
                Some(one) => {
                    one.settings.send_replace(hook);
                    one
                }
                None => Running::start(hook, &feed, &registry),
            });
        }
        drop(before);
        if settings.changed().await.is_err() {
            return;
        }
    }
}

/// One receiver's task. Dropping it ends the task.
struct Running {
    settings: watch::Sender<WebhookSettings>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(settings: WebhookSettings, feed: &Feed, registry: &Arc<Registry>) -> Self {
        let (settings, told) = watch::channel(settings);
        let task = tokio::spawn(Hook::new(told, feed.follow(), Arc::clone(registry)).run());
        Self { settings, task }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}
