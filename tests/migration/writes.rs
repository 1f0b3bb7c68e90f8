//! Writes that two versions get: keys against repetition, refusals, answers that say nothing, clients that leave.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use super::support::client::Raw;
use super::support::eventually;
use super::support::load::await_metric;
use super::support::serin::Serin;
use super::support::upstream::Upstream;
use super::{Store, await_empty_journal, config, send, view};

const DUAL: &str = "      stage: dualWrite\n";

#[test]
fn both_versions_get_the_same_key_against_repetition() {
    let (old, new) = (Store::new(), Store::new());
    let serin = Serin::new(&config(&old.upstream, &new.upstream, DUAL));
    send(&serin, "POST", "/items/7?from=shop", "content-type: text/plain\r\nx-more: 1\r\n", "made");
    await_empty_journal(&serin);
    send(&serin, "PATCH", "/items/7", "idempotency-key: \"mine\"\r\n", "sent");
    await_empty_journal(&serin);
    let [from_old, from_new] = [&old, &new].map(|store| store.upstream.requests());
    assert_eq!((from_old.len(), from_new.len()), (2, 2));
    for (one, other) in from_old.iter().zip(&from_new) {
        assert_eq!(one.request_line(), other.request_line());
        assert_eq!(one.body, other.body);
        for name in ["idempotency-key", "content-type", "x-more", "host", "x-forwarded-for"] {
            assert_eq!(one.header(name), other.header(name), "{name}");
        }
        assert_eq!(
            (one.header("x-serin-version"), other.header("x-serin-version")),
            (Some("old".into()), Some("new".into()))
        );
    }
    let made = from_old[0].header("idempotency-key").expect("a key");
    assert_eq!((made.len(), made.as_bytes()[14]), (36, b'4'), "{made}");
    assert_eq!(from_old[1].header("idempotency-key").as_deref(), Some("\"mine\""));
}

#[test]
fn what_cannot_go_to_two_versions_is_refused_and_counted() {
    let (old, new) = (Store::new(), Store::new());
    let serin = Serin::new(&config(&old.upstream, &new.upstream, "      stage: dualWrite\n      maxBody: 16\n"));
    let too_large = "x".repeat(17);
    let chunked =
        "PUT /items/1 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n11\r\n01234567890123456\r\n0\r\n\r\n";
    let grpc = "content-type: application/grpc\r\nte: trailers\r\n";
    let upgrade = "GET /items/1 HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let long = "k".repeat(600);
    let answers = [
        ("tooLarge", 413, "bodyTooLarge", send(&serin, "PUT", "/items/1", "", &too_large)),
        ("tooLarge", 413, "bodyTooLarge", Raw::connect(serin.web()).send(chunked).response(false).unwrap()),
        ("noKey", 400, "migrationKey", send(&serin, "POST", "/items", "", "x")),
        ("badKey", 400, "migrationKey", send(&serin, "POST", &format!("/items/{long}"), "", "x")),
        (
            "badKey",
            400,
            "migrationKey",
            send(&serin, "POST", "/items/1", "idempotency-key: a\r\nidempotency-key: b\r\n", "x"),
        ),
        ("unsupported", 501, "migration", Raw::connect(serin.web()).send(upgrade).response(false).unwrap()),
        ("unsupported", 200, "migration", send(&serin, "POST", "/shop.Checkout/Pay", grpc, "")),
    ];
    for (result, status, error, answer) in &answers {
        assert_eq!(
            (answer.status, answer.header("x-serin-error")),
            (*status, Some(*error)),
            "{result}: {}",
            answer.text()
        );
    }
    assert_eq!(answers[6].3.header("grpc-status"), Some("12"));
    for (result, count) in [("tooLarge", 2.0), ("noKey", 1.0), ("badKey", 2.0), ("unsupported", 2.0)] {
        await_metric(&serin, "serin_migration_writes_total", &[&format!("result=\"{result}\"")], count);
    }
    assert_eq!((old.asked().len(), new.asked().len()), (0, 0));
    assert_eq!(send(&serin, "PUT", "/items/1", "", &too_large[..16]).status, 200);
    assert_eq!(send(&serin, "DELETE", "/items/1", "", "").status, 200);
}

#[test]
fn writes_without_a_key_are_kept_in_one_order_where_the_configuration_says_so() {
    let (old, new) = (Store::new(), Store::new());
    let migration = "      stage: dualWrite\n      withoutKey: oneByOne\n";
    let serin = Serin::new(&config(&old.upstream, &new.upstream, migration));
    for number in 0..20 {
        assert_eq!(send(&serin, "POST", "/items", "", &number.to_string()).status, 200);
    }
    await_empty_journal(&serin);
    let bodies = |store: &Store| store.upstream.requests().into_iter().map(|request| request.body).collect::<Vec<_>>();
    assert_eq!(bodies(&old), bodies(&new));
    assert_eq!(bodies(&new).len(), 20);
}

#[test]
fn what_the_authoritative_version_refuses_the_other_never_gets() {
    let (old, new) = (Store::new(), Store::new());
    let serin = Serin::new(&config(&old.upstream, &new.upstream, DUAL));
    old.refuse(Some("409 Conflict"));
    assert_eq!(send(&serin, "PUT", "/items/1", "", "x").status, 409);
    old.refuse(None);
    assert_eq!(send(&serin, "PUT", "/items/2", "", "x").status, 200);
    await_empty_journal(&serin);
    assert_eq!(new.asked(), ["PUT /items/2"]);
    assert_eq!(view(&serin)["writes"]["refused"], 1);
}

#[test]
fn an_answer_that_does_not_say_whether_it_was_done_has_the_key_looked_at_again() {
    let (old, new) = (Store::new(), Store::new());
    let serin = Serin::new(&config(&old.upstream, &new.upstream, DUAL));
    old.refuse(Some("500 Internal Server Error"));
    assert_eq!(send(&serin, "PUT", "/items/1", "", "x").status, 500);
    eventually("a key to reconcile", || (view(&serin)["journal"]["toReconcile"] == 1).then_some(()));
    assert_eq!(view(&serin)["writes"]["unknown"], 1);
    assert!(new.asked().is_empty());
}

#[test]
fn a_write_waits_in_the_journal_for_a_version_that_is_down_and_keeps_its_place() {
    let (old, new) = (Store::new(), Store::new());
    new.refuse(Some("503 Service Unavailable"));
    let migration = "      stage: dualWrite\n      journal: { backoff: { initial: 10ms, max: 50ms } }\n";
    let serin = Serin::new(&config(&old.upstream, &new.upstream, migration));
    for number in 0..5 {
        assert_eq!(send(&serin, "PUT", "/items/1", "", &number.to_string()).status, 200);
    }
    assert_eq!(send(&serin, "GET", "/items/1", "", "").text(), "4");
    eventually("five writes to wait", || (view(&serin)["journal"]["pending"] == 5).then_some(()));
    new.refuse(None);
    new.await_thing("/items/1", Some("4"));
    await_empty_journal(&serin);
    let carried_out: Vec<_> = new.upstream.requests().iter().map(|r| r.body.clone()).collect();
    assert!(carried_out.is_sorted(), "in their order");
}

/// An upstream that answers each request once it is told to, by what is returned beside it.
fn answers_when_told() -> (Sender<()>, Upstream) {
    let (answer, told) = channel::<()>();
    let told = Arc::new(Mutex::new(told));
    let upstream = Upstream::scripted(move |connection| {
        while connection.request().is_some() {
            let _ = told.lock().unwrap().recv();
            connection.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nkept");
        }
    });
    (answer, upstream)
}

/// Sends a write and leaves once its first version has it.
fn write_and_leave(serin: &Serin, old: &Upstream) {
    let mut client = Raw::connect(serin.web());
    client.send("PUT /items/1 HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nthing");
    old.last();
}

#[test]
fn a_client_that_leaves_takes_back_nothing_that_was_sent() {
    let (answer, old) = answers_when_told();
    let new = Store::new();
    let serin = Serin::new(&config(&old, &new.upstream, DUAL));
    write_and_leave(&serin, &old);
    eventually("the client to be gone", || (serin.metric("serin_client_connections", &[]) == 0.0).then_some(()));
    answer.send(()).unwrap();
    new.await_thing("/items/1", Some("thing"));
    assert_eq!(view(&serin)["writes"]["applied"], 1);
}

#[test]
fn a_write_that_is_on_its_way_is_finished_before_serin_stops() {
    let (answer, old) = answers_when_told();
    let new = Store::new();
    let mut serin = Serin::new(&config(&old, &new.upstream, DUAL));
    write_and_leave(&serin, &old);
    serin.signal("TERM");
    eventually("serin to drain", || serin.stderr().contains("draining").then_some(()));
    answer.send(()).unwrap();
    assert!(serin.wait().success());
    assert_eq!(new.thing("/items/1").as_deref(), Some("thing"), "delivered before the end");
}
