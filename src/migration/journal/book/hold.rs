//! Keys that are kept still while somebody compares or repairs them.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::entry::{Held, Stage};
use super::{Book, Millis};
use crate::migration::journal::Refused;

impl Book {
    /// Lets nothing of a key set out; the receiver hears when nothing of it is on its way.
    pub(in crate::migration::journal) fn hold(
        &mut self,
        service: &str,
        key: &str,
    ) -> Result<oneshot::Receiver<()>, Refused> {
        if self.desk.closed {
            return Err(Refused::Closed);
        }
        let (stock, _) = self.kept(service)?;
        let lines = stock.keys.entry(key.into()).or_default();
        if lines.held.is_some() {
            return Err(Refused::Busy);
        }
        let (grant, granted) = oneshot::channel();
        lines.held = Some(Held { grant: Some(grant) });
        lines.tell_holder();
        Ok(granted)
    }

    /// Lets a key go on. `repaired`: the other side has been given what the authoritative side has.
    pub(in crate::migration::journal) fn release(&mut self, service: &str, key: &str, repaired: bool, now: Millis) {
        let Some((stock, desk)) = self.at(service) else { return };
        if repaired {
            let numbers = stock.keys.get(key).map(super::entry::Lines::all).unwrap_or_default();
            for number in numbers {
                let superfluous = |stage| matches!(stage, Stage::Applied | Stage::Dead);
                if stock.entries.get(&number).is_some_and(|entry| superfluous(entry.stage)) {
                    stock.remove(number, desk, now);
                }
            }
            stock.marks.remove(&Arc::clone(&stock.name), key, None, desk);
        }
        if let Some(lines) = stock.keys.get_mut(key) {
            lines.held = None;
        }
        stock.advance(key, desk, now);
    }
}
