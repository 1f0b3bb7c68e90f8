//! The whole binary, killed in the middle of writes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::client::Raw;
use crate::support::eventually;
use crate::support::serin::Serin;
use crate::versions::Version;

const LIVES: u32 = 4;
const CLIENTS: u32 = 8;
const KEYS: u32 = 50;
/// Acknowledged writes in each life before it is ended.
const EACH: usize = 125;

/// Acknowledged bodies by path, in the order they were acknowledged in.
type Acknowledged = Mutex<HashMap<String, Vec<String>>>;

#[test]
fn a_serin_that_is_killed_again_and_again_loses_no_write_and_keeps_their_order() {
    let (old, new) = (Version::new(), Version::new());
    let state = tempfile::tempdir().expect("a folder");
    let config = format!(
        "listeners: [ {{ name: web, address: 127.0.0.1:0 }} ]\nadmin: {{ address: 127.0.0.1:0, open: true }}\nworkers: 2\n\
         stateDir: {}\nservices:\n  shop:\n    versions: {{ old: {{ upstream: \"{}\" }}, new: {{ upstream: \"{}\" }} }}\n    \
         migration: {{ stage: dualWrite, from: old, to: new, key: [ {{ pathSegment: 2 }} ], idempotent: [ old, new ], \
         journal: {{ tries: 1000000, backoff: {{ initial: 5ms, max: 50ms }} }} }}\nroutes: [ {{ service: shop }} ]\n",
        state.path().display(),
        old.upstream.url(),
        new.upstream.url(),
    );
    let (acknowledged, next) = (Arc::<Acknowledged>::default(), Arc::<AtomicU32>::default());
    for life in 0..LIVES {
        let serin = Serin::new(&config);
        // In every other life one side is ill for a while.
        new.answer(if life % 2 == 1 { 503 } else { 0 });
        let over = Arc::<AtomicBool>::default();
        let clients = (0..CLIENTS).map(|client| {
            let (acknowledged, next, over) = (Arc::clone(&acknowledged), Arc::clone(&next), Arc::clone(&over));
            let web = serin.web();
            std::thread::spawn(move || write(web, client, &acknowledged, &next, &over))
        });
        let clients: Vec<_> = clients.collect();
        let enough = EACH * (life as usize + 1);
        eventually("writes", || (count(&acknowledged) >= enough).then_some(()));
        if life == 1 {
            old.answer(503);
            eventually("an uncertain write", || {
                (serin.metric("serin_journal_entries", &["state=\"uncertain\""]) > 0.0).then_some(())
            });
            old.answer(0);
        }
        // As hard as it gets: SIGKILL.
        drop(serin);
        over.store(true, Ordering::SeqCst);
        for client in clients {
            client.join().expect("a client ends well");
        }
    }
    new.answer(0);
    let serin = Serin::new(&config);
    eventually("everything to be delivered", || (serin.metric("serin_journal_entries", &[]) < 1.0).then_some(()));
    assert!(serin.metric("serin_journal_to_reconcile", &[]) < 1.0, "everything could be settled");
    let (old, new) = (old.done(), new.done());
    assert_eq!(old, new, "both sides have the same writes in the same order");
    let acknowledged = acknowledged.lock().expect("no one panics with it");
    assert!(acknowledged.values().map(Vec::len).sum::<usize>() >= EACH * LIVES as usize);
    for (path, bodies) in &*acknowledged {
        let done = &new[path];
        // One client writes one key at a time, so they were acknowledged in the order they were done in.
        let places: Vec<_> = bodies.iter().map(|body| done.iter().position(|done| done == body)).collect();
        assert!(places.iter().all(Option::is_some), "{path}: {bodies:?} of {done:?}");
        assert!(places.is_sorted(), "{path}: {places:?}");
    }
}

fn count(acknowledged: &Acknowledged) -> usize {
    acknowledged.lock().expect("no one panics with it").values().map(Vec::len).sum()
}

/// Writes to keys of its own until it is over, or nobody is there.
fn write(web: SocketAddr, client: u32, acknowledged: &Acknowledged, next: &AtomicU32, over: &AtomicBool) {
    let mut connection = Raw::connect(web);
    while !over.load(Ordering::SeqCst) {
        let number = next.fetch_add(1, Ordering::SeqCst);
        let path = format!("/items/{}", client + CLIENTS * (number % (KEYS / CLIENTS + 1)));
        let body = number.to_string();
        connection.send(format!("PUT {path} HTTP/1.1\r\nhost: shop\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
        let Some(status) = status(&mut connection) else { return };
        if status == 204 {
            acknowledged.lock().expect("no one panics with it").entry(path).or_default().push(body);
        }
    }
}

/// The status of the next answer; `None` where the connection ends.
fn status(connection: &mut Raw) -> Option<u16> {
    use std::io::Read;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        connection.stream.read(&mut byte).ok().filter(|read| *read == 1)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    connection.stream.read_exact(&mut body).ok()?;
    head.split(' ').nth(1)?.parse().ok()
}
