//! Asks a running serin for all that is shown of it.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::Value;

use super::state::{MINUTE, Minute, Point, Snapshot};
use crate::admin::ServicesView;
use crate::cli::client::{Client, ClientError, encode};
use crate::ledger::Entry;

/// Most services whose last minute is asked for at a time; more do not fit on a screen with it.
const MAX_MINUTES: usize = 16;
/// Entries of the ledger that are asked for.
const CHANGES: usize = 50;
/// How far back the first look for rows goes, one after the other while there are none: the clock here may be ahead of
/// serin's.
const LOOKS_BACK: [u64; 3] = [MINUTE, 10 * MINUTE, 70 * MINUTE];

/// Remembers the last minutes, so that only what is new has to be asked for.
pub(super) struct Source {
    client: Client,
    minutes: BTreeMap<String, Minute>,
}

/// The history of a service as the admin API shows it, what is needed of it.
#[derive(Deserialize)]
struct History {
    at: Vec<u64>,
    seconds: Vec<f64>,
    versions: Vec<Columns>,
}

#[derive(Deserialize)]
struct Columns {
    name: String,
    requests: Vec<Option<f64>>,
    failures: Vec<Option<f64>>,
    p99: Vec<Option<f64>>,
}

#[derive(Deserialize)]
struct Page {
    entries: Vec<Value>,
}

impl Source {
    pub(super) fn new(client: Client) -> Self {
        Self { client, minutes: BTreeMap::new() }
    }

    /// The state of all services.
    pub(super) fn state(&self) -> Result<ServicesView, ClientError> {
        Ok(serde_json::from_slice(&self.client.get("/api/v1/services")?)?)
    }

    /// All there is to show of all services, or of one; of all, too, where that one is not there.
    pub(super) fn snapshot(&mut self, focus: Option<&str>) -> Result<Snapshot, ClientError> {
        let state = self.state()?;
        let is_there = focus.filter(|focus| state.services.iter().any(|service| service.name == **focus));
        let names = state.services.iter().map(|service| &service.name);
        let wanted: Vec<&String> =
            names.filter(|name| is_there.is_none_or(|focus| focus == **name)).take(MAX_MINUTES).collect();
        self.minutes.retain(|name, _| wanted.contains(&name));
        for name in wanted {
            self.follow(name)?;
        }
        let changes = self.changes()?;
        Ok(Snapshot { at: now(), state, minutes: self.minutes.clone(), changes })
    }

    /// Asks for what has happened to a service since it was asked for last.
    fn follow(&mut self, service: &str) -> Result<(), ClientError> {
        let known = self.minutes.get(service).map(|minute| minute.newest).filter(|newest| *newest > 0);
        let from =
            known.map_or_else(|| LOOKS_BACK.map(|back| now().saturating_sub(back)).to_vec(), |newest| vec![newest]);
        let minute = self.minutes.entry(service.to_owned()).or_default();
        for from in from {
            let path = format!("/api/v1/services/{}/history?from={from}", encode(service));
            // A service that has just gone has no history, and whoever may not see it goes without.
            let Some(history) = unless_refused::<History>(&self.client, &path)? else { break };
            add(minute, &history);
            if minute.newest > 0 {
                break;
            }
        }
        Ok(())
    }

    fn changes(&self) -> Result<Vec<Entry>, ClientError> {
        let page = unless_refused::<Page>(&self.client, &format!("/api/v1/ledger?limit={CHANGES}"))?;
        let entries = page.map(|page| page.entries).unwrap_or_default().into_iter().rev();
        // An entry that a later version wrote is left out.
        Ok(entries.filter_map(|entry| serde_json::from_value(entry).ok()).collect())
    }
}

/// An answer; `None` where it is refused, or is not what is expected.
fn unless_refused<T: for<'a> Deserialize<'a>>(client: &Client, path: &str) -> Result<Option<T>, ClientError> {
    match client.get(path) {
        Ok(body) => Ok(serde_json::from_slice(&body).ok()),
        Err(error @ ClientError::NoAnswer { .. }) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Adds the rows of a history, which are later than those that are there.
fn add(minute: &mut Minute, history: &History) {
    for (row, (at, seconds)) in
        history.at.iter().zip(&history.seconds).enumerate().filter(|(_, (at, _))| **at > minute.newest)
    {
        for version in &history.versions {
            let value = |column: &[Option<f64>]| column.get(row).copied().flatten();
            if let (Some(requests), Some(failures)) = (value(&version.requests), value(&version.failures)) {
                let point = Point { at: *at, seconds: *seconds, requests, failures, p99: value(&version.p99) };
                minute.versions.entry(version.name.clone()).or_default().push_back(point);
            }
        }
    }
    minute.newest = history.at.last().copied().unwrap_or_default().max(minute.newest);
    minute.trim();
}

/// Milliseconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn history(at: &[u64], requests: &[Option<f64>]) -> History {
        let nothing = vec![None::<f64>; at.len()];
        let zero = vec![Some(0.0); at.len()];
        let versions = json!([{ "name": "old", "requests": requests, "failures": zero, "p99": nothing }]);
        let seconds = vec![1.0; at.len()];
        serde_json::from_value(json!({ "at": at, "seconds": seconds, "versions": versions, "withoutRoom": 0 }))
            .expect("rows")
    }

    #[test]
    fn rows_are_added_once_and_forgotten_after_a_minute() {
        let mut minute = Minute::default();
        add(&mut minute, &history(&[1000, 2000], &[Some(1.0), None]));
        add(&mut minute, &history(&[2000, 3000], &[Some(9.0), Some(3.0)]));
        let known =
            |minute: &Minute| -> Vec<_> { minute.versions["old"].iter().map(|p| (p.at, p.requests as u32)).collect() };
        assert_eq!((known(&minute), minute.newest), (vec![(1000, 1), (3000, 3)], 3000));
        add(&mut minute, &history(&[61_500], &[Some(5.0)]));
        assert_eq!(known(&minute), [(3000, 3), (61_500, 5)]);
        add(&mut minute, &history(&[], &[]));
        assert_eq!(minute.newest, 61_500);
    }

    #[test]
    fn columns_that_are_too_short_are_no_rows() {
        let mut minute = Minute::default();
        add(&mut minute, &history(&[1000, 2000], &[Some(1.0)]));
        assert_eq!(minute.versions["old"].len(), 1);
    }
}
