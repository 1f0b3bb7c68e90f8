//! The stream itself: what comes, from where on, to how many, and until when.

use super::Stream;
use crate::support::client::get;
use crate::support::eventually;
use crate::support::serin::Serin;

pub(super) const CONFIG: &str = "\
listeners: [{ name: web, address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0, open: true }
files: { weights: weights.yaml }
services:
  shop: { versions: { old: { upstream: http://127.0.0.1:9 }, new: { upstream: http://127.0.0.1:9 } } }
  cart: { versions: { old: { upstream: http://127.0.0.1:9 }, new: { upstream: http://127.0.0.1:9 } } }
routes: [{ service: shop, matches: [{ path: { type: PathPrefix, value: /shop } }] }, { service: cart }]
";
pub(super) const WEIGHTS: &str = "shop: { old: 1, new: 1 }\ncart: { old: 1, new: 1 }\n";

fn start(config: &str) -> Serin {
    Serin::with_files(config, &[("weights.yaml", WEIGHTS)])
}

pub(super) fn set(serin: &Serin, service: &str, new: u32) {
    let body = format!("{{\"weights\":{{\"old\":1,\"new\":{new}}},\"reason\":\"try {new}\"}}");
    let answer = serin.ask("PUT", &format!("/api/v1/services/{service}/weights"), &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn changes_and_refused_files_are_told_as_they_happen() {
    let serin = start(CONFIG);
    let mut stream = Stream::open(&serin, "", "");
    set(&serin, "shop", 3);
    let told = stream.next().expect("an event");
    assert_eq!(told.name, "weights");
    assert_eq!(told.id, told.data["number"].to_string());
    assert_eq!((&told.data["service"], &told.data["actor"]), (&"shop".into(), &"admin-api".into()));
    assert_eq!((&told.data["from"]["new"], &told.data["to"]["new"]), (&1.into(), &3.into()));
    assert_eq!(told.data["reason"], "try 3");
    std::fs::write(serin.path("weights.yaml"), "shop: { old: -1 }\n").expect("a file");
    let told = stream.await_one("filesRefused");
    assert!(told.data["problem"].as_str().is_some_and(|problem| problem.contains("weights.yaml:1")), "{told:?}");
    std::fs::write(serin.path("weights.yaml"), "shop: { old: 1, new: 7 }\ncart: { old: 1, new: 1 }\n").expect("a file");
    let told = stream.await_one("weights");
    assert_eq!((&told.data["actor"], &told.data["to"]["new"]), (&"weights.yaml".into(), &7.into()));
    assert_eq!(serin.metric("serin_event_streams", &[]), 1.0);
    drop(stream);
}

#[test]
fn a_client_goes_on_where_it_was_and_misses_nothing() {
    let serin = start(CONFIG);
    set(&serin, "shop", 2);
    set(&serin, "cart", 3);
    set(&serin, "shop", 4);
    let mut all = Stream::open(&serin, "?after=0", "");
    let first = all.next().expect("an event");
    assert_eq!((&*first.id, &*first.name, &first.data["kind"]), ("1", "ledger", &"genesis".into()));
    let mut told: Vec<_> = std::iter::from_fn(|| Some(all.await_one("weights"))).take(5).collect();
    assert_eq!(told.last().map(|last| &last.data["to"]["new"]), Some(&4.into()), "two of the files, three of people");
    // What comes later follows without a gap and without anything twice.
    set(&serin, "shop", 5);
    told.push(all.await_one("weights"));
    let numbers: Vec<u64> = told.iter().map(|told| told.id.parse().expect("a number")).collect();
    assert!(numbers.is_sorted_by(|one, other| one < other), "{numbers:?}");
    assert_eq!(told[5].data["to"]["new"], 5);

    // The header of a lost connection goes before what its address names; the filter holds for both parts.
    let lost = format!("last-event-id: {}\r\n", told[2].id);
    let mut again = Stream::open(&serin, "?after=0&service=shop", &lost);
    assert_eq!(again.next().expect("an event").data["to"]["new"], 4);
    assert_eq!(again.next().expect("an event").data["to"]["new"], 5);
    set(&serin, "cart", 6);
    set(&serin, "shop", 7);
    assert_eq!(again.next().expect("an event").data["to"]["new"], 7, "not the cart's");
    // An id of another ledger, of which there is nothing here.
    let mut other = Stream::open(&serin, "", "last-event-id: 9999.1\r\n");
    assert_eq!(other.next().expect("an event").id, "1");
}

#[test]
fn so_many_clients_are_told_and_no_more() {
    let serin = start(CONFIG);
    let mut streams: Vec<_> = (0..64).map(|_| Stream::open(&serin, "", "")).collect();
    let answer = serin.ask("GET", "/api/v1/events", "");
    assert_eq!((answer.status, answer.header("content-type")), (429, Some("application/problem+json")));
    assert_eq!(answer.header("retry-after"), Some("5"));
    set(&serin, "shop", 9);
    for stream in &mut streams {
        assert_eq!(stream.next().expect("an event").data["to"]["new"], 9);
    }
    drop(streams.split_off(10));
    // A client that has left is noticed by what is sent to it.
    eventually("places to come free", || {
        set(&serin, "shop", 1);
        (serin.metric("serin_event_streams", &[]) == 10.0).then_some(())
    });
    drop(Stream::open(&serin, "", ""));
}

#[test]
fn what_makes_no_sense_is_said() {
    let serin = start(CONFIG);
    for (path, headers) in
        [("/api/v1/events?after=x", ""), ("/api/v1/events?befor=1", ""), ("/api/v1/events", "last-event-id: 1.2.3\r\n")]
    {
        let answer = get(serin.admin(), path, headers);
        assert_eq!((answer.status, answer.header("content-type")), (400, Some("application/problem+json")), "{path}");
    }
}

#[test]
fn a_shutdown_ends_streams_properly() {
    let mut serin = start(CONFIG);
    let mut stream = Stream::open(&serin, "", "");
    serin.signal("TERM");
    assert!(stream.next().is_none(), "the end, and no event");
    assert!(serin.wait().success());
}

#[test]
fn where_reading_is_protected_so_are_events() {
    let config = CONFIG.replace("open: true", "reads: protected");
    let serin = start(&config);
    let answer = serin.ask("GET", "/api/v1/events", "");
    assert!([401, 403].contains(&answer.status), "{}", answer.status);
}
