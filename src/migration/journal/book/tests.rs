use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::sync::oneshot;

use super::jobs::Side;
use super::*;
use crate::migration::journal::store::Op;
use crate::migration::journal::{Begun, News, Outcome, Why, Write};
use crate::plan::{Backoff, Durability, OnFull};

const SERVICE: &str = "shop";

fn rules() -> JournalRules {
    JournalRules {
        backoff: Backoff { initial: Duration::from_millis(10), max: Duration::from_millis(100) },
        tries: 3,
        idempotent: vec!["old".into()],
        ..JournalRules::default()
    }
}

/// A book in memory.
fn book(rules: JournalRules) -> Book {
    let mut book = Book::new(false);
    book.configure([(Arc::from(SERVICE), Arc::new(rules))], 0);
    book
}

fn write(key: &str) -> Write {
    Write {
        service: SERVICE.into(),
        key: key.into(),
        method: Method::PUT,
        target: "/items".to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"a body"),
        idempotency: (HeaderName::from_static("idempotency-key"), HeaderValue::from_static("k")),
        authoritative: "old".into(),
        other: "new".into(),
    }
}

/// The same in the other direction.
fn turned(key: &str) -> Write {
    Write { authoritative: "new".into(), other: "old".into(), ..write(key) }
}

fn begin(book: &mut Book, write: Write) -> (u64, oneshot::Receiver<Granted>) {
    book.begin(write, 0).expect("there is room")
}

/// Begins a write and has it applied.
fn applied(book: &mut Book, key: &str) -> u64 {
    let (number, mut granted) = begin(book, write(key));
    assert_eq!(granted.try_recv(), Ok(Granted::Go(Begun::Both)));
    book.settle(SERVICE, number, Outcome::Applied, 0);
    number
}

fn jobs(book: &mut Book, now: Millis) -> Vec<Job> {
    std::iter::from_fn(|| book.take_job(now)).collect()
}

fn numbers(jobs: &[Job]) -> Vec<u64> {
    let mut numbers: Vec<_> = jobs.iter().map(|job| job.number).collect();
    numbers.sort_unstable();
    numbers
}

fn later() -> Said {
    Said::Later("status 503".to_owned())
}

fn is_waiting(granted: &mut oneshot::Receiver<Granted>) -> bool {
    granted.try_recv() == Err(oneshot::error::TryRecvError::Empty)
}

#[test]
fn writes_of_one_key_go_one_after_another_and_keys_do_not_wait_for_each_other() {
    let mut book = book(rules());
    let (first, mut granted) = begin(&mut book, write("a"));
    let (_, mut second) = begin(&mut book, write("a"));
    let (_, mut elsewhere) = begin(&mut book, write("b"));
    assert_eq!(granted.try_recv(), Ok(Granted::Go(Begun::Both)));
    assert_eq!(elsewhere.try_recv(), Ok(Granted::Go(Begun::Both)));
    assert!(is_waiting(&mut second));
    book.settle(SERVICE, first, Outcome::Applied, 0);
    assert_eq!(second.try_recv(), Ok(Granted::Go(Begun::Both)));
}

#[test]
fn deliveries_of_one_key_go_one_after_another_and_keys_in_parallel() {
    let mut book = book(rules());
    let [one, two, three] = ["a", "a", "b"].map(|key| applied(&mut book, key));
    let started = jobs(&mut book, 0);
    assert_eq!(numbers(&started), [one, three]);
    for job in &started {
        assert_eq!(job.side, Side::Other);
        book.report(job, Said::Done, 1, 0.0);
    }
    assert_eq!(numbers(&jobs(&mut book, 1)), [two]);
    assert_eq!(book.status(SERVICE, 1).delivered, 2);
}

#[test]
fn a_write_that_is_refused_never_reaches_the_other_side() {
    let mut book = book(rules());
    let (number, _granted) = begin(&mut book, write("a"));
    book.settle(SERVICE, number, Outcome::Refused, 0);
    assert!(jobs(&mut book, 1000).is_empty());
    assert_eq!(book.status(SERVICE, 0).entries, 0);
}

#[test]
fn a_write_waits_until_the_disk_has_it_and_the_book_of_a_failed_disk_takes_none() {
    let mut book = Book::new(true);
    book.configure([(Arc::from(SERVICE), Arc::new(rules()))], 0);
    let (number, mut first) = begin(&mut book, write("a"));
    let (_, mut second) = begin(&mut book, write("b"));
    assert!(is_waiting(&mut first));
    let batch = book.batch();
    assert_eq!(batch.ops.len(), 2);
    let (_, mut third) = begin(&mut book, write("a"));
    book.committed(&batch, 0);
    assert_eq!([first.try_recv(), second.try_recv()], [const { Ok(Granted::Go(Begun::Both)) }; 2]);
    book.settle(SERVICE, number, Outcome::Refused, 0);
    assert!(is_waiting(&mut third), "its turn has come, but the disk does not have it");
    let batch = book.batch();
    let (_, mut fourth) = begin(&mut book, write("d"));
    book.failed(batch, "no space", 0);
    assert_eq!([third.try_recv(), fourth.try_recv()], [const { Ok(Granted::Not(Refused::Disk)) }; 2]);
    assert_eq!(book.begin(write("e"), 0).err(), Some(Refused::Disk));
    // What was sent and is not done is to be there again, and nothing else.
    let image = book.image();
    assert!(matches!(image[..], [Op::Put(2, ..)]), "{image:?}");
    assert_eq!(book.begin(write("e"), 0).err(), Some(Refused::Disk));
    book.rewritten(Ok(()));
    begin(&mut book, write("e"));
    let news = book.take_news();
    assert!(matches!(news[0], News::DiskGone { .. }), "{news:?}");
    assert!(news.contains(&News::DiskBack), "{news:?}");
}

#[test]
fn what_was_refused_is_off_the_disk_before_those_behind_it_go_on() {
    let mut book = Book::new(true);
    book.configure([(Arc::from(SERVICE), Arc::new(rules()))], 0);
    let (first, _granted) = begin(&mut book, write("a"));
    let (_, mut second) = begin(&mut book, write("a"));
    let batch = book.batch();
    book.committed(&batch, 0);
    book.settle(SERVICE, first, Outcome::Refused, 0);
    assert!(is_waiting(&mut second), "a crash now would send the first again, after the second");
    assert!(book.is_urgent());
    let batch = book.batch();
    assert!(matches!(batch.ops[..], [Op::Remove(number)] if number == first), "{:?}", batch.ops);
    book.committed(&batch, 0);
    assert_eq!(second.try_recv(), Ok(Granted::Go(Begun::Both)));
    assert!(!book.has_work());
}

#[test]
fn without_room_a_write_is_refused_and_that_is_said_once() {
    let mut book = book(JournalRules { max_entries: 2, ..rules() });
    let [one, _] = ["a", "b"].map(|key| applied(&mut book, key));
    for key in ["c", "d"] {
        assert_eq!(book.begin(write(key), 0).err(), Some(Refused::Entries));
    }
    assert_eq!(book.status(SERVICE, 0).full, Some(Refused::Entries));
    let started = jobs(&mut book, 0);
    for job in &started {
        book.report(job, Said::Done, 0, 0.0);
    }
    assert_eq!(numbers(&started), [one, one + 1]);
    begin(&mut book, write("c"));
    let service = || Arc::from(SERVICE);
    let told = [
        News::Full { service: service(), why: Refused::Entries, alone: false },
        News::Roomy { service: service(), refused: 2, alone: 0 },
    ];
    assert_eq!(book.take_news(), told);
    assert_eq!(book.status(SERVICE, 0).refused[Refused::Entries as usize], 2);
}

#[test]
fn bytes_and_age_are_bounds_too() {
    let mut narrow = book(JournalRules { max_bytes: 200, ..rules() });
    begin(&mut narrow, write("a"));
    begin(&mut narrow, write("b"));
    assert_eq!(narrow.begin(write("c"), 0).err(), Some(Refused::Bytes));
    let large = Write { body: vec![0; 400].into(), ..write("c") };
    assert_eq!(narrow.begin(large, 0).err(), Some(Refused::TooLarge));

    let mut old = book(JournalRules { max_age: Duration::from_secs(1), ..rules() });
    applied(&mut old, "a");
    assert!(old.begin(write("b"), 1000).is_ok());
    assert_eq!(old.begin(write("c"), 1001).err(), Some(Refused::Age));
    assert_eq!(old.status(SERVICE, 1001).oldest, Some(Duration::from_millis(1001)));
}

#[test]
fn without_room_a_write_goes_alone_where_that_is_chosen_in_its_turn_and_its_key_is_listed() {
    let mut book = book(JournalRules { max_entries: 1, on_full: OnFull::OldOnly, ..rules() });
    let (first, mut granted) = begin(&mut book, write("a"));
    let (second, mut alone) = begin(&mut book, write("a"));
    assert_eq!(granted.try_recv(), Ok(Granted::Go(Begun::Both)));
    assert!(is_waiting(&mut alone), "also alone it keeps the order of its key");
    book.settle(SERVICE, first, Outcome::Applied, 0);
    assert_eq!(alone.try_recv(), Ok(Granted::Go(Begun::Alone)));
    book.settle(SERVICE, second, Outcome::Applied, 0);
    assert_eq!(numbers(&jobs(&mut book, 0)), [first]);
    let listed = book.to_reconcile(SERVICE, None, 10, 5);
    assert_eq!(listed.iter().map(|listed| (&*listed.key, listed.why)).collect::<Vec<_>>(), [("a", Why::Alone)]);
    assert_eq!(book.status(SERVICE, 0).alone, 1);
}

#[test]
fn a_write_that_goes_alone_waits_until_the_disk_knows_that_its_key_is_listed() {
    let mut book = Book::new(true);
    let rules = JournalRules { max_entries: 1, on_full: OnFull::OldOnly, ..rules() };
    book.configure([(Arc::from(SERVICE), Arc::new(rules))], 0);
    begin(&mut book, write("a"));
    let (_, mut alone) = begin(&mut book, write("b"));
    assert!(is_waiting(&mut alone));
    let batch = book.batch();
    assert!(matches!(batch.ops[..], [Op::Mark(..), Op::Put(1, ..)]), "{:?}", batch.ops);
    book.committed(&batch, 0);
    assert_eq!(alone.try_recv(), Ok(Granted::Go(Begun::Alone)));
}

#[test]
fn an_unknown_outcome_is_asked_again_where_that_is_safe_and_the_key_waits_for_it() {
    let mut book = book(rules());
    let (first, _granted) = begin(&mut book, write("a"));
    let (_, mut second) = begin(&mut book, write("a"));
    book.settle(SERVICE, first, Outcome::Unknown, 0);
    assert_eq!(book.status(SERVICE, 0).uncertain, 1);
    let asked = jobs(&mut book, 0);
    assert_eq!((asked[0].number, asked[0].side), (first, Side::Authoritative));
    assert!(is_waiting(&mut second), "it would overtake");
    book.report(&asked[0], Said::Done, 0, 0.0);
    assert_eq!(second.try_recv(), Ok(Granted::Go(Begun::Both)));
    let delivered = jobs(&mut book, 0);
    assert_eq!((delivered[0].number, delivered[0].side), (first, Side::Other));
}

#[test]
fn an_unknown_outcome_is_listed_where_asking_again_is_not_safe_and_the_key_goes_on() {
    let mut book = book(JournalRules { idempotent: Vec::new(), ..rules() });
    let (first, _granted) = begin(&mut book, write("a"));
    let (_, mut second) = begin(&mut book, write("a"));
    book.settle(SERVICE, first, Outcome::Unknown, 7);
    assert_eq!(second.try_recv(), Ok(Granted::Go(Begun::Both)));
    assert!(jobs(&mut book, 7).is_empty());
    let listed = book.to_reconcile(SERVICE, None, 10, 10);
    assert_eq!((&*listed[0].key, listed[0].why, listed[0].age), ("a", Why::Unknown, Duration::from_millis(3)));
}

#[test]
fn an_outcome_that_stays_unknown_is_listed() {
    for said in [later(), Said::Never("status 401".to_owned())] {
        let mut book = book(JournalRules { tries: 1, ..rules() });
        let (number, _granted) = begin(&mut book, write("a"));
        book.settle(SERVICE, number, Outcome::Unknown, 0);
        let asked = jobs(&mut book, 0);
        book.report(&asked[0], said, 0, 0.0);
        assert_eq!(book.to_reconcile(SERVICE, None, 10, 0)[0].why, Why::Unknown);
        assert_eq!(book.status(SERVICE, 0).entries, 0);
    }
}

#[test]
fn a_delivery_is_tried_again_after_growing_pauses_and_dead_after_so_many_answers() {
    let mut book = book(rules());
    let number = applied(&mut book, "a");
    let mut now = 0;
    for pause in [10, 20] {
        let job = &jobs(&mut book, now)[0];
        book.report(job, later(), now, 0.0);
        assert_eq!(book.due(), Some(now + pause));
        assert!(jobs(&mut book, now + pause - 1).is_empty());
        now += pause;
    }
    let job = &jobs(&mut book, now)[0];
    book.report(job, later(), now, 0.0);
    let letters = book.dead_letters(SERVICE, 0, 10, now);
    assert_eq!((letters[0].number, letters[0].tries, &*letters[0].why), (number, 3, "status 503"));
    assert_eq!(book.due(), None);
    assert!(matches!(book.take_news()[..], [News::DeadLetter { .. }]));
}

#[test]
fn a_side_that_is_not_reached_does_not_use_up_tries() {
    let mut book = book(rules());
    applied(&mut book, "a");
    let mut now = 0;
    for _ in 0..100 {
        let job = &jobs(&mut book, now)[0];
        book.report(job, Said::Nothing("refused".to_owned()), now, 0.0);
        now += 100;
    }
    assert_eq!(book.status(SERVICE, now).dead_letters, 0);
}

#[test]
fn a_dead_letter_stops_its_key_at_the_other_side_alone_until_somebody_sees_to_it() {
    for given_up in [false, true] {
        let mut book = book(rules());
        let [dead, behind] = ["a", "a"].map(|key| applied(&mut book, key));
        let job = &jobs(&mut book, 0)[0];
        book.report(job, Said::Never("status 422".to_owned()), 0, 0.0);
        assert!(jobs(&mut book, 100_000).is_empty(), "what is behind it must not overtake");
        let third = applied(&mut book, "a");
        assert_eq!(book.dead_letters(SERVICE, 0, 10, 0)[0].behind, 2);
        assert_eq!(book.status(SERVICE, 100_000).oldest, None, "what is stopped does not fill the journal by its age");
        assert!(!book.retry(SERVICE, behind, 0), "that is no dead letter");
        let expected = if given_up {
            assert!(book.give_up(SERVICE, dead, 0));
            assert_eq!(book.to_reconcile(SERVICE, None, 10, 0)[0].why, Why::GivenUp);
            vec![behind, third]
        } else {
            assert!(book.retry(SERVICE, dead, 0));
            assert_eq!(book.status(SERVICE, 5).oldest, Some(Duration::from_millis(5)));
            vec![dead, behind, third]
        };
        let mut order = Vec::new();
        while let Some(job) = book.take_job(0) {
            book.report(&job, Said::Done, 0, 0.0);
            order.push(job.number);
        }
        assert_eq!(order, expected);
    }
}

#[test]
fn when_the_direction_turns_a_write_waits_until_its_side_has_what_came_before() {
    let mut book = book(rules());
    let first = applied(&mut book, "a");
    let (second, mut granted) = begin(&mut book, turned("a"));
    assert!(is_waiting(&mut granted), "new does not have the first yet");
    let job = &jobs(&mut book, 0)[0];
    assert_eq!((job.number, &**job.version()), (first, "new"));
    book.report(job, Said::Done, 0, 0.0);
    assert_eq!(granted.try_recv(), Ok(Granted::Go(Begun::Both)));
    book.settle(SERVICE, second, Outcome::Applied, 0);
    assert_eq!(&**jobs(&mut book, 0)[0].version(), "old");
}

#[test]
fn a_key_that_is_held_is_still_and_goes_on_afterwards() {
    let mut book = book(rules());
    let pending = applied(&mut book, "a");
    let job = jobs(&mut book, 0).remove(0);
    let mut still = book.hold(SERVICE, "a").expect("nobody holds it");
    assert_eq!(book.hold(SERVICE, "a").err(), Some(Refused::Busy));
    assert!(still.try_recv().is_err(), "a delivery is under way");
    book.report(&job, later(), 0, 0.0);
    assert!(still.try_recv().is_ok());
    let (_, mut granted) = begin(&mut book, write("a"));
    assert!(is_waiting(&mut granted) && jobs(&mut book, 1000).is_empty());
    book.release(SERVICE, "a", false, 1000);
    assert_eq!(granted.try_recv(), Ok(Granted::Go(Begun::Both)));
    assert_eq!(numbers(&jobs(&mut book, 1000)), [pending]);
}

#[test]
fn a_repair_makes_what_was_to_be_delivered_superfluous_and_unlists_the_key() {
    let mut book = book(rules());
    let [_, _] = ["a", "a"].map(|key| applied(&mut book, key));
    let job = jobs(&mut book, 0).remove(0);
    book.report(&job, Said::Never("status 422".to_owned()), 0, 0.0);
    let mut still = book.hold(SERVICE, "a").expect("nobody holds it");
    assert!(still.try_recv().is_ok());
    book.release(SERVICE, "a", true, 0);
    assert_eq!(book.status(SERVICE, 0).entries, 0);
    assert!(!book.is_pending(SERVICE, "a"));
    assert!(book.to_reconcile(SERVICE, None, 10, 0).is_empty());
}

#[test]
fn a_key_that_is_listed_anew_while_it_is_reconciled_stays_listed() {
    let mut book = book(JournalRules { idempotent: Vec::new(), ..rules() });
    let unknown = |book: &mut Book| {
        let (number, _granted) = begin(book, write("a"));
        book.settle(SERVICE, number, Outcome::Unknown, 0);
        book.to_reconcile(SERVICE, None, 10, 0)[0].stamp
    };
    let stamp = unknown(&mut book);
    let again = unknown(&mut book);
    assert!(!book.reconciled(SERVICE, "a", stamp));
    assert!(book.reconciled(SERVICE, "a", again));
    assert!(book.to_reconcile(SERVICE, None, 10, 0).is_empty());
}

#[test]
fn whoever_gives_up_waiting_makes_room_for_those_behind() {
    let mut book = book(rules());
    let (first, _granted) = begin(&mut book, write("a"));
    let (second, waiting) = begin(&mut book, write("a"));
    let (_, mut third) = begin(&mut book, write("a"));
    drop(waiting);
    book.settle(SERVICE, first, Outcome::Applied, 0);
    assert_eq!(third.try_recv(), Ok(Granted::Go(Begun::Both)), "{second} has gone without a word");
}

#[test]
fn what_is_left_of_a_service_without_a_journal_is_kept_and_not_sent() {
    let mut book = book(rules());
    let number = applied(&mut book, "a");
    book.configure([], 0);
    assert!(jobs(&mut book, 0).is_empty());
    assert_eq!(book.begin(write("a"), 0).err(), Some(Refused::NoJournal));
    assert_eq!(book.status(SERVICE, 0).pending, 1);
    book.configure([(Arc::from(SERVICE), Arc::new(rules()))], 0);
    assert_eq!(numbers(&jobs(&mut book, 0)), [number]);
}

#[test]
fn a_closed_book_takes_nothing_and_is_done_once_all_is_delivered() {
    let mut book = book(JournalRules { durability: Durability::Memory, ..rules() });
    applied(&mut book, "a");
    book.close();
    assert_eq!(book.begin(write("b"), 0).err(), Some(Refused::Closed));
    assert!(!book.is_done());
    let job = jobs(&mut book, 0).remove(0);
    assert!(!book.is_done());
    book.report(&job, later(), 0, 0.0);
    assert!(book.is_done(), "who has tried in vain does not hold up the end");
    let job = jobs(&mut book, 1000).remove(0);
    book.report(&job, Said::Done, 1000, 0.0);
    assert!(book.is_done());
}
