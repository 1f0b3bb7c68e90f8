//! Events in their order, for as many as follow them.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;

use super::Event;

/// Events that are kept for whoever is behind; who is further behind loses the oldest.
const KEPT: usize = 256;

/// Where events are handed in and taken out. Never waits.
#[derive(Debug, Clone)]
pub struct Feed(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The place of the last event.
    last: Mutex<Id>,
    sender: broadcast::Sender<Arc<Told>>,
}

/// An event with its place among all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its place.
    pub id: Id,
    /// What happened.
    pub event: Event,
}

/// The place of an event: the number of its entry in the ledger, such as `42`; for the third that has none after that entry `42.3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Id {
    /// The last entry of the ledger up to this event.
    pub entry: u64,
    /// How many events without an entry there were since then, with this one.
    pub since: u64,
}

impl Feed {
    /// A feed of what happens after the entry with this number.
    #[must_use]
    pub fn new(last: u64) -> Self {
        let (sender, _) = broadcast::channel(KEPT);
        Self(Arc::new(Shared { last: Mutex::new(Id { entry: last, since: 0 }), sender }))
    }

    /// Tells of an event. Those with an entry come in its order.
    pub fn tell(&self, event: Event) {
        // A place is whole between any two of its changes. Held while sending, so that events come in the order of their places.
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = match event.number {
            Some(entry) => Id { entry, since: 0 },
            None => Id { since: last.since + 1, ..*last },
        };
        // Where nobody follows, nobody is told.
        let _ = self.0.sender.send(Arc::new(Told { id: *last, event }));
    }

    /// Everything from now on.
    #[must_use]
    pub fn follow(&self) -> broadcast::Receiver<Arc<Told>> {
        self.0.sender.subscribe()
    }

    /// The place of the last event.
    #[must_use]
    pub fn last(&self) -> Id {
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anybody is told.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        self.0.sender.receiver_count() > 0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.since {
            0 => self.entry.fmt(f),
            since => write!(f, "{}.{since}", self.entry),
        }
    }
}

impl FromStr for Id {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |digits: &str| {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| plain).ok_or("not the id of an event, such as 42 or 42.3")
        };
        let (entry, since) = text.split_once('.').unwrap_or((text, "0"));
        Ok(Self { entry: number(entry)?, since: number(since)? })
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::events::Kind;

    fn entry(number: u64) -> Event {
        let event = Event::without_entry(Kind::Ledger, "shop", SystemTime::UNIX_EPOCH, serde_json::json!({}));
        Event { number: Some(number), ..event }
    }

    fn other() -> Event {
        Event { number: None, ..entry(0) }
    }

    #[test]
    fn events_without_an_entry_are_counted_from_the_one_before() {
        let feed = Feed::new(41);
        assert!(!feed.is_followed());
        let mut follower = feed.follow();
        for event in [other(), entry(42), other(), other(), entry(43)] {
            feed.tell(event);
        }
        let ids: Vec<String> = std::iter::from_fn(|| Some(follower.try_recv().ok()?.id.to_string())).collect();
        assert_eq!(ids, ["41.1", "42", "42.1", "42.2", "43"]);
        assert_eq!(feed.last(), Id { entry: 43, since: 0 });
    }

    #[test]
    fn an_id_is_read_as_it_is_written() {
        for id in [Id { entry: 0, since: 0 }, Id { entry: 42, since: 0 }, Id { entry: 42, since: 3 }] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for wrong in ["", "x", "-1", "+1", "1.", ".1", "1.2.3", "1 ", "99999999999999999999"] {
            assert!(wrong.parse::<Id>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn who_is_too_slow_is_told_so_and_holds_nobody_up() {
        let feed = Feed::new(0);
        let mut slow = feed.follow();
        for number in 1..=(KEPT as u64 + 5) {
            feed.tell(entry(number));
        }
        assert_eq!(slow.try_recv(), Err(broadcast::error::TryRecvError::Lagged(5)));
    }
}
