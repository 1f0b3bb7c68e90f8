//! The journal and its delivery without the request path.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serin::migration::deliver;
use serin::migration::journal::{Journal, News, Outcome, Refused, Ticket, Write};
use serin::plan::{Address, Backoff, JournalRules, Protocol, UpstreamSpec};
use serin::telemetry::{Registry, exposition};

use crate::support::eventually;
use crate::versions::Version;

/// A journal with two versions behind it.
struct Bench {
    journal: Journal,
    registry: Arc<Registry>,
    old: Version,
    new: Version,
    folder: tempfile::TempDir,
    rules: JournalRules,
}

impl Bench {
    fn new(rules: JournalRules) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (old, new, registry) = (Version::new(), Version::new(), Arc::new(Registry::new(1)));
        let journal = open(&folder, &registry, &[&old, &new], &rules);
        Self { journal, registry, old, new, folder, rules }
    }

    /// The journal as the next process finds it, after an end without a word or in good order.
    fn again(self, limit: Option<Duration>) -> Self {
        let Self { journal, old, new, folder, rules, .. } = self;
        // What a process leaves that is killed is what is on the disk now.
        let found = tempfile::tempdir().expect("a folder");
        if let Some(limit) = limit {
            journal.close(limit);
        }
        std::fs::copy(folder.path().join("journal.redb"), found.path().join("journal.redb")).expect("a copy");
        if limit.is_none() {
            journal.close(Duration::ZERO);
        }
        let registry = Arc::new(Registry::new(1));
        let journal = open(&found, &registry, &[&old, &new], &rules);
        Self { journal, registry, old, new, folder: found, rules }
    }

    fn begin(&self, path: &str, body: &str) -> Result<Ticket, Refused> {
        run(self.journal.begin(write(path, body)))
    }

    /// A write that the authoritative side has.
    fn applied(&self, path: &str, body: &str) {
        self.begin(path, body).expect("room").settle(Outcome::Applied);
    }

    fn await_empty(&self) {
        eventually("everything to be delivered", || (self.journal.status("shop").depth() == 0).then_some(()));
    }
}

fn open(folder: &tempfile::TempDir, registry: &Arc<Registry>, sides: &[&Version; 2], rules: &JournalRules) -> Journal {
    let journal = Journal::open(Some(folder.path()), Arc::clone(registry)).expect("it can be read");
    journal.configure([(Arc::from("shop"), Arc::new(rules.clone()))]);
    let [old, new] = sides.map(|version| {
        let addresses = vec![Address::Ip(version.upstream.address)];
        Arc::new(UpstreamSpec { addresses, protocol: Protocol::Http1, tls: None })
    });
    let find = move |_: &str, version: &str| match version {
        "old" => Some(Arc::clone(&old)),
        "new" => Some(Arc::clone(&new)),
        _ => None,
    };
    deliver::start(&journal, Box::new(find)).expect("a thread");
    journal
}

fn write(path: &str, body: &str) -> Write {
    Write {
        service: "shop".into(),
        key: path.into(),
        method: Method::PUT,
        target: path.to_owned(),
        headers: HeaderMap::new(),
        body: body.to_owned().into(),
        idempotency: (
            HeaderName::from_static("idempotency-key"),
            HeaderValue::try_from(format!("{path}-{body}")).expect("a value"),
        ),
        authoritative: "old".into(),
        other: "new".into(),
    }
}

fn rules() -> JournalRules {
    JournalRules {
        backoff: Backoff { initial: Duration::from_millis(5), max: Duration::from_millis(20) },
        tries: 3,
        idempotent: vec!["old".into(), "new".into()],
        ..JournalRules::default()
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

#[test]
fn what_the_authoritative_side_applied_reaches_the_other_in_order_and_what_it_refused_does_not() {
    let bench = Bench::new(rules());
    for body in ["1", "2", "3"] {
        bench.applied("/a", body);
    }
    bench.begin("/a", "no").expect("room").settle(Outcome::Refused);
    bench.applied("/b", "1");
    bench.await_empty();
    assert_eq!(bench.new.of("/a"), ["1", "2", "3"]);
    assert_eq!(bench.new.of("/b"), ["1"]);
    assert!(bench.old.done().is_empty(), "that is for whoever has the ticket");
    for sent in bench.new.upstream.requests() {
        assert_eq!(sent.header("x-serin-version").as_deref(), Some("new"));
        let path = sent.request_line().split(' ').nth(1).expect("a path").to_owned();
        let key = format!("{path}-{}", String::from_utf8_lossy(&sent.body));
        assert_eq!(sent.header("idempotency-key"), Some(key));
    }
}

#[test]
fn a_ticket_that_is_dropped_is_asked_after_with_the_same_key_and_then_delivered() {
    let bench = Bench::new(rules());
    drop(bench.begin("/a", "1").expect("room"));
    bench.await_empty();
    assert_eq!((bench.old.of("/a"), bench.new.of("/a")), (vec!["1".to_owned()], vec!["1".to_owned()]));
}

#[test]
fn a_version_that_is_ill_gets_its_writes_in_order_once_it_is_well_and_a_dead_letter_waits_for_somebody() {
    let bench = Bench::new(JournalRules { tries: 1_000_000, ..rules() });
    bench.new.answer(503);
    for body in ["1", "2"] {
        bench.applied("/a", body);
    }
    eventually("tries", || (bench.journal.status("shop").failed > 2).then_some(()));
    bench.new.answer(0);
    bench.await_empty();
    assert_eq!(bench.new.of("/a"), ["1", "2"]);

    bench.new.answer(422);
    for body in ["3", "4"] {
        bench.applied("/a", body);
    }
    let dead = eventually("a dead letter", || bench.journal.dead_letters("shop", 0, 10).pop());
    assert_eq!((&*dead.key, &*dead.why, dead.target.as_str()), ("/a", "status 422", "/a"));
    let news = eventually("news", || bench.journal.take_news().pop());
    assert!(matches!(news, News::DeadLetter { .. }), "{news:?}");
    bench.new.answer(0);
    assert!(bench.journal.retry("shop", dead.number));
    bench.await_empty();
    assert_eq!(bench.new.of("/a"), ["1", "2", "3", "4"]);
}

#[test]
fn the_next_process_goes_on_where_a_killed_one_was() {
    let bench = Bench::new(rules());
    bench.new.answer(503);
    let ticket = bench.begin("/a", "1").expect("room");
    let bench = bench.again(None);
    drop(ticket);
    bench.new.answer(0);
    bench.await_empty();
    // Nobody knew what became of it: both sides have been asked.
    assert_eq!((bench.old.of("/a"), bench.new.of("/a")), (vec!["1".to_owned()], vec!["1".to_owned()]));
}

#[test]
fn a_good_end_delivers_what_it_can_and_leaves_the_rest_to_the_next_process() {
    let bench = Bench::new(rules());
    bench.applied("/a", "1");
    let bench = bench.again(Some(Duration::from_secs(10)));
    assert_eq!(bench.new.of("/a"), ["1"]);
    assert_eq!(bench.journal.status("shop").depth(), 0);

    bench.new.answer(503);
    bench.applied("/a", "2");
    let bench = bench.again(Some(Duration::from_millis(20)));
    assert_eq!(bench.journal.status("shop").depth(), 1);
    bench.new.answer(0);
    let tries = bench.journal.dead_letters("shop", 0, 10).pop();
    if let Some(dead) = tries {
        assert!(bench.journal.retry("shop", dead.number));
    }
    bench.await_empty();
    assert_eq!(bench.new.of("/a"), ["1", "2"]);
    assert!(bench.old.done().is_empty(), "its outcome was known");
}

#[test]
fn a_write_whose_turn_does_not_come_is_refused_after_a_while_and_forgotten() {
    let bench = Bench::new(JournalRules { wait: Duration::from_millis(30), ..rules() });
    let first = bench.begin("/a", "1").expect("room");
    assert_eq!(bench.begin("/a", "2").err(), Some(Refused::Busy));
    first.settle(Outcome::Applied);
    bench.await_empty();
    assert_eq!(bench.new.of("/a"), ["1"]);
}

#[test]
fn a_held_key_is_still_until_it_is_let_go() {
    let bench = Bench::new(rules());
    let hold = run(bench.journal.hold("shop", "/a", Duration::from_secs(10))).expect("nobody has it");
    let journal = bench.journal.clone();
    let waiting =
        std::thread::spawn(move || run(journal.begin(write("/a", "1"))).map(|ticket| ticket.settle(Outcome::Applied)));
    eventually("it to wait", || (bench.journal.status("shop").waiting == 1).then_some(()));
    drop(hold);
    waiting.join().expect("no panic").expect("its turn");
    bench.await_empty();
    assert_eq!(bench.new.of("/a"), ["1"]);
}

#[test]
fn its_metrics_say_how_it_is() {
    let bench = Bench::new(rules());
    bench.new.answer(422);
    bench.applied("/a", "1");
    eventually("a dead letter", || (bench.journal.status("shop").dead_letters == 1).then_some(()));
    assert!(bench.journal.give_up("shop", 1));
    let text = exposition::text(&bench.registry);
    for line in [
        "serin_journal_entries{service=\"shop\",state=\"deadLetter\"} 0",
        "serin_journal_oldest_seconds{service=\"shop\"} 0",
        "serin_journal_deliveries_total{service=\"shop\",result=\"failed\"} 1",
        "serin_journal_to_reconcile{service=\"shop\"} 1",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    assert!(text.contains("serin_journal_commit_seconds_count"), "{text}");
}
