//! Clients that keep asking, and the configuration of a shop they ask.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use super::client::{Raw, Response};
use super::eventually;
use super::serin::Serin;
use super::upstream::Upstream;

/// A `serin.yaml` with the listener `web`, an admin address, two workers and the service `shop`, whose first sticky
/// source is the header `x-user-id`. `service` and `top` are lines of the service and of the file.
pub fn shop(versions: &[(&str, &Upstream)], service: &str, top: &str) -> String {
    let urls: Vec<_> = versions.iter().map(|(name, upstream)| (*name, format!("\"{}\"", upstream.url()))).collect();
    shop_at(&urls, service, top)
}

/// The same with upstreams as they are written: one, or a list in brackets.
pub fn shop_at(versions: &[(&str, String)], service: &str, top: &str) -> String {
    let mut text = String::from(
        "listeners: [ { name: web, address: 127.0.0.1:0 } ]\nadmin: { address: 127.0.0.1:0, open: true }\nworkers: 2\n",
    );
    text.push_str(top);
    text.push_str("services:\n  shop:\n    versions:\n");
    for (name, upstream) in versions {
        let key = if upstream.starts_with('[') { "upstreams" } else { "upstream" };
        text.extend(["      ", name, ": { ", key, ": ", upstream, " }\n"]);
    }
    if !service.contains("sticky:") {
        text.push_str("    sticky: [ { header: x-user-id } ]\n");
    }
    text.push_str(service);
    text.push_str("routes:\n  - service: shop\n");
    text
}

/// The line that names the weight file.
pub const WITH_WEIGHTS: &str = "files: { weights: weights.yaml }\n";

/// Waits until a sum of samples is just this: a request is counted a moment after its last byte was sent.
///
/// # Panics
/// If it becomes more, or is less for too long.
pub fn await_metric(serin: &Serin, name: &str, labels: &[&str], value: f64) {
    let mut last = 0.0;
    let what = || format!("{name}{labels:?} to be {value}");
    eventually(&what(), || {
        last = serin.metric(name, labels);
        assert!(last <= value, "{} but it is {last}", what());
        (last == value).then_some(())
    });
}

/// Everything said on standard error once this is among it: what is counted may be said a moment later.
pub fn said(serin: &Serin, what: &str) -> String {
    eventually(&format!("{what:?} to be said"), || Some(serin.stderr()).filter(|said| said.contains(what)))
}

/// Asks on a connection that is kept.
///
/// # Panics
/// If no answer comes.
pub fn ask(connection: &mut Raw, headers: &str) -> Response {
    connection.send(format!("GET /item HTTP/1.1\r\nhost: shop.example\r\n{headers}\r\n"));
    connection.response(false).expect("an answer on a kept connection")
}

/// The version that answers a user.
///
/// # Panics
/// If the answer is not a version's own.
pub fn version_of(connection: &mut Raw, user: &str) -> String {
    named(&ask(connection, &format!("x-user-id: {user}\r\n")))
}

/// The version an answer names.
///
/// # Panics
/// If it is not a version's own answer.
pub fn named(answer: &Response) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    let version = answer.header("x-serin-version").expect("the version's name").to_owned();
    assert_eq!(answer.text(), version, "the version named is the one that answered");
    version
}

/// What the clients of a [`Load`] saw.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Answers by status and version.
    pub answers: BTreeMap<(u16, String), usize>,
    /// Connections that ended although nobody had said so.
    pub broken: usize,
    /// Connections that ended after `Connection: close`.
    pub closed: usize,
}

impl Tally {
    /// All answers.
    pub fn total(&self) -> usize {
        self.answers.values().sum()
    }

    /// Answers that were not 200.
    pub fn failed(&self) -> usize {
        self.answers.iter().filter(|((status, _), _)| *status != 200).map(|(_, count)| count).sum()
    }

    /// Answers of a version.
    pub fn of(&self, version: &str) -> usize {
        self.answers.iter().filter(|((_, name), _)| name == version).map(|(_, count)| count).sum()
    }
}

/// Clients on threads of their own that ask, one request after the other on a connection each, until told to stop or
/// until their connection ends.
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Tally>>,
}

impl Load {
    /// Starts `clients`, each with a connection of its own; every request has another user.
    pub fn start(address: SocketAddr, clients: usize) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let answered = Arc::<AtomicUsize>::default();
        let clients = (0..clients).map(|client| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let mut connection = Raw::connect(address);
            std::thread::spawn(move || run(&mut connection, client, &stop, &answered))
        });
        let clients = clients.collect();
        Self { stop, answered, clients }
    }

    /// Waits until `count` more answers have come.
    pub fn await_more(&self, count: usize) {
        let wanted = self.answered.load(Ordering::SeqCst) + count;
        eventually("answers under load", || (self.answered.load(Ordering::SeqCst) >= wanted).then_some(()));
    }

    /// Lets every client finish the request it is at.
    pub fn stop(self) -> Tally {
        self.stop.store(true, Ordering::SeqCst);
        self.ended()
    }

    /// Waits until the connections of all clients have ended.
    pub fn ended(self) -> Tally {
        let mut sum = Tally::default();
        for client in self.clients {
            let tally = client.join().expect("a client does not panic");
            for (what, count) in tally.answers {
                *sum.answers.entry(what).or_default() += count;
            }
            sum.broken += tally.broken;
            sum.closed += tally.closed;
        }
        sum
    }
}

fn run(connection: &mut Raw, client: usize, stop: &AtomicBool, answered: &AtomicUsize) -> Tally {
    let mut tally = Tally::default();
    let mut number = 0;
    while !stop.load(Ordering::SeqCst) {
        number += 1;
        connection.send(format!("GET /item HTTP/1.1\r\nhost: shop.example\r\nx-user-id: {client}-{number}\r\n\r\n"));
        let Some(answer) = connection.response(false) else {
            tally.broken += 1;
            return tally;
        };
        let version = answer.header("x-serin-version").unwrap_or_default().to_owned();
        *tally.answers.entry((answer.status, version)).or_default() += 1;
        answered.fetch_add(1, Ordering::SeqCst);
        if answer.header("connection") == Some("close") {
            tally.closed += 1;
            return tally;
        }
    }
    tally
}
