//! Whole ledgers: written, torn, changed, rotated.

mod damage;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::json;

use super::files::{HEAD, Part};
use super::*;
use crate::plan::Weight;

const SMALL: Settings = Settings { max_file_size: 2000, keep: 3 };

/// A folder in memory where there is one: thousands of writes are waited for here, and no power will fail.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn at(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_790_000_000 + second)
}

fn weights(new: u8) -> Weights {
    let weight = |number: u8| Weight::from_f64(f64::from(number)).expect("a small number");
    Weights(vec![("old".to_owned(), weight(100 - new)), ("new".to_owned(), weight(new))])
}

fn change(service: &str, from: u8, to: u8) -> Draft {
    let what = What::Weights { source: Source::Admin, from: Some(weights(from)), to: Some(weights(to)) };
    Draft::new("ada", "a test", what).of_service(service)
}

fn open(folder: &Path) -> Ledger {
    Ledger::open(folder, Settings::default(), at(0)).expect("a ledger")
}

/// `count` changes of `shop`, to 1, 2, … of new.
fn grow(ledger: &mut Ledger, from: u8, count: u8) {
    for new in from..from + count {
        ledger.append(at(u64::from(new)), &[change("shop", new, new + 1)]).expect("an append");
    }
}

fn entries(ledger: &Reader) -> Vec<Entry> {
    let page = ledger.page(&Query { after: Some(0), limit: MAX_PAGE, ..Query::default() }).expect("a page");
    page.lines.iter().map(|line| serde_json::from_str(line).expect("an entry")).collect()
}

fn verified(folder: &Path) -> Result<Verified, Break> {
    Reader::of_folder(folder.to_owned()).verify(|_| {}).expect("a ledger to be looked at")
}

fn new_of(state: &State, service: &str) -> Option<f64> {
    Some(state.weights.get(service)?.0.iter().find(|(name, _)| name == "new")?.1.as_f64())
}

fn only_part(folder: &Path) -> std::path::PathBuf {
    Part::all(folder).expect("a folder").pop().expect("a file").path
}

#[test]
fn what_is_appended_is_read_and_counts_after_a_restart() {
    let folder = folder();
    let path = folder.path().join("deep/state");
    let mut ledger = open(&path);
    assert!(ledger.is_new());
    let mut first = change("shop", 0, 5);
    first.about.depends_on = vec![Dependency::Service("blog".to_owned(), 9), Dependency::Entry(1)];
    assert!(matches!(ledger.append(at(1), &[first.clone()]), Err(AppendError::NoSuchEntry(1, 0))));
    first.about.depends_on.pop();
    first.about.verdict = Some(json!({ "verdict": "healthy" }));
    first.about.state = Some(json!({ "step": 2 }));
    first.about.rollout = Some(7);
    assert_eq!(ledger.append(at(1), &[first.clone()]).unwrap(), 2..3);
    grow(&mut ledger, 5, 3);
    let read = entries(&ledger.reader());
    assert_eq!(read.iter().map(|entry| entry.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!((&read[1].draft, read[1].time.to_string().as_str()), (&first, "2026-09-21T14:13:21.000Z"));
    let state = ledger.state().clone();
    drop(ledger);
    let ledger = open(&path);
    assert_eq!(*ledger.state(), state);
    assert_eq!((new_of(&state, "shop"), state.last_rollout), (Some(8.0), 7));
    assert_eq!(state.rollouts["shop"], json!({ "step": 2 }));
    assert_eq!(verified(&path).unwrap().entries, 5);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for file in std::fs::read_dir(&path).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}

#[test]
fn an_entry_is_one_line_as_people_would_write_it() {
    let folder = folder();
    let mut ledger = open(folder.path());
    ledger.append(at(0), &[change("shop", 5, 10)]).unwrap();
    let line = ledger.reader().entry(2).unwrap().unwrap();
    let before = Digest::of(ledger.reader().entry(1).unwrap().unwrap().as_bytes());
    let expected = format!(
        r#"{{"number":2,"time":"2026-09-21T14:13:20.000Z","kind":"weights","source":"admin","from":{{"old":95,"new":5}},"to":{{"old":90,"new":10}},"service":"shop","actor":"ada","reason":"a test","before":"{before}"}}"#
    );
    assert_eq!(line, expected);
    assert_eq!(ledger.reader().entry(3).unwrap(), None);
    assert_eq!(ledger.reader().entry(0).unwrap(), None);
}

#[test]
fn a_kind_that_is_not_known_is_passed_over() {
    let line = r#"{"number":2,"time":"2026-09-21T14:13:20.000Z","kind":"later","thing":[1],"actor":"","reason":"","before":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}"#;
    let entry: Entry = serde_json::from_str(line).unwrap();
    assert_eq!(entry.draft.what, What::Unknown);
}

#[test]
fn a_folder_belongs_to_one_writer() {
    let folder = folder();
    let ledger = open(folder.path());
    let second = Ledger::open(folder.path(), Settings::default(), at(0)).unwrap_err().to_string();
    let pid = std::process::id();
    assert_eq!(second, format!("{} is in use by another serin (process {pid})", folder.path().display()));
    drop(ledger);
    open(folder.path());
}

#[test]
fn what_is_too_long_is_refused_and_leaves_nothing() {
    let folder = folder();
    let mut ledger = open(folder.path());
    grow(&mut ledger, 0, 1);
    let refused = |ledger: &mut Ledger, draft: Draft| ledger.append(at(1), &[draft]).unwrap_err().to_string();
    let long = Draft { reason: "x".repeat(1001), ..change("shop", 1, 2) };
    assert_eq!(refused(&mut ledger, long), "the reason is longer than 1000 characters: 1001");
    let mut many = change("shop", 1, 2);
    many.about.depends_on = vec![Dependency::Entry(1); 33];
    assert_eq!(refused(&mut ledger, many), "`dependsOn` is longer than 32 entries: 33");
    let mut large = change("shop", 1, 2);
    large.about.state = Some(json!("x".repeat(300_000)));
    assert_eq!(refused(&mut ledger, large), "the state of the rollout is longer than 262144 bytes: 300002");
    assert_eq!(entries(&ledger.reader()).len(), 2);
    assert_eq!(clip(&"x".repeat(100), 60), format!("{}… (80 more characters)", "x".repeat(20)));
}

/// A ledger of several files that was never pruned.
fn long(folder: &Path) -> usize {
    let mut ledger = Ledger::open(folder, Settings { keep: 100, ..SMALL }, at(0)).unwrap();
    grow(&mut ledger, 0, 30);
    Part::all(folder).unwrap().len()
}

#[test]
fn the_chain_goes_on_over_files() {
    let folder = folder();
    assert!(long(folder.path()) > 3);
    let looked = verified(folder.path()).unwrap();
    assert_eq!((looked.first, looked.files), (1, Part::all(folder.path()).unwrap().len()));
    assert_eq!(looked.notes, [""; 0]);
    let mut ledger = open(folder.path());
    assert_eq!(new_of(ledger.state(), "shop"), Some(30.0), "the last file is enough to know");
    grow(&mut ledger, 30, 1);
    assert!(verified(folder.path()).is_ok());
    let reader = ledger.reader();
    let all = entries(&reader);
    assert_eq!(all.len() as u64, looked.last + 1);
    let query = |after: Option<u64>, limit: usize, service: &str| {
        let service = Some(service.to_owned()).filter(|service| !service.is_empty());
        let page = reader.page(&Query { service, after, limit, rollout: None }).unwrap();
        let number = |line: &String| serde_json::from_str::<Entry>(line).unwrap().number;
        (page.lines.iter().map(number).collect::<Vec<_>>(), page.next)
    };
    // By pages of any size, everything once and in order.
    for limit in [1, 4, 7, 100] {
        let (mut seen, mut after) = (Vec::new(), Some(0));
        while let Some(from) = after {
            let (numbers, next) = query(Some(from), limit, "");
            seen.extend(numbers);
            after = next;
        }
        assert!(seen.iter().copied().eq(1..=looked.last + 1), "{limit}: {seen:?}");
    }
    let of_shop: Vec<u64> =
        all.iter().filter(|entry| entry.draft.service.is_some()).map(|entry| entry.number).collect();
    assert_eq!(query(None, 1000, "shop").0, of_shop);
    assert_eq!(query(None, 12, "shop").0, of_shop[of_shop.len() - 12..]);
    assert_eq!(query(Some(0), 5, "shop"), (of_shop[..5].to_vec(), Some(of_shop[4])));
    assert_eq!(query(None, 5, "ship").0, [0; 0]);
    assert_eq!(query(Some(looked.last + 1), 5, ""), (vec![], None));
}

#[test]
fn old_files_are_removed_and_the_ledger_says_so() {
    let folder = folder();
    let mut ledger = Ledger::open(folder.path(), SMALL, at(0)).unwrap();
    grow(&mut ledger, 0, 60);
    assert_eq!(Part::all(folder.path()).unwrap().len(), 3);
    let looked = verified(folder.path()).unwrap();
    assert!(looked.first > 1);
    assert_eq!(looked.notes, [format!("entries 1 to {} were pruned, as the ledger says", looked.first - 1)]);
    assert_eq!(new_of(ledger.state(), "shop"), Some(60.0));
    // One more file is gone, and nobody said so.
    let first = Part::all(folder.path()).unwrap().remove(0);
    std::fs::remove_file(&first.path).unwrap();
    let broken = verified(folder.path()).unwrap_err().to_string();
    assert!(broken.contains("are gone, and no entry says that they were pruned"), "{broken}");
}

#[test]
fn what_could_not_be_written_is_written_later_with_its_time() {
    let folder = folder();
    let (state, away) = (folder.path().join("state"), folder.path().join("away"));
    let mut ledger = open(&state);
    grow(&mut ledger, 0, 2);
    std::fs::rename(&state, &away).unwrap();
    let failed = ledger.append(at(50), &[change("shop", 2, 50)]).unwrap_err();
    assert!(matches!(failed, AppendError::Storage(_)), "{failed}");
    ledger.append_later(at(60), vec![change("shop", 2, 0)]);
    assert!(ledger.recover(at(65)).is_err());
    assert!(ledger.trouble().is_some() && ledger.waiting() == 1);
    std::fs::rename(&away, &state).unwrap();
    ledger.recover(at(70)).unwrap();
    assert!(ledger.trouble().is_none() && ledger.waiting() == 0);
    let read = entries(&ledger.reader());
    assert_eq!(read.len(), 5);
    assert_eq!((read[3].late, SystemTime::from(read[3].time)), (true, at(60)));
    let note = read[4].draft.what.to_string();
    assert!(!read[4].late && note.starts_with("the ledger could not be written since "), "{note}");
    assert_eq!(new_of(ledger.state(), "shop"), Some(0.0));
    assert!(verified(&state).is_ok());
    ledger.recover(at(71)).unwrap();
    assert_eq!(entries(&ledger.reader()).len(), 5, "nothing waits, nothing is said");
}

#[test]
fn a_file_that_somebody_else_wrote_to_is_not_written_to() {
    let folder = folder();
    let mut ledger = open(folder.path());
    grow(&mut ledger, 0, 2);
    let part = only_part(folder.path());
    let text = std::fs::read(&part).unwrap();
    std::fs::write(&part, &text[..text.len() - 10]).unwrap();
    let failed = ledger.append(at(1), &[change("shop", 2, 3)]).unwrap_err().to_string();
    assert!(failed.contains("not the"), "{failed}");
    std::fs::write(&part, &text).unwrap();
    grow(&mut ledger, 2, 1);
    assert!(verified(folder.path()).is_ok());
}

#[test]
fn a_ledger_in_memory_keeps_the_last_entries() {
    let mut ledger = Ledger::in_memory();
    for number in 0..1200_u64 {
        let new = u8::try_from(number % 100).unwrap();
        ledger.append(at(number), &[change("shop", 0, new)]).unwrap();
    }
    let looked = ledger.reader().verify(|_| {}).unwrap().unwrap();
    assert_eq!((looked.entries, looked.first, looked.last), (1000, 202, 1201));
    assert_eq!(looked.notes, ["in memory: entries before 202 were let go"]);
    let page = ledger.reader().page(&Query { limit: 2, ..Query::default() }).unwrap();
    assert_eq!(page.lines.len(), 2);
}

#[test]
fn a_folder_without_a_ledger_is_told_from_one_that_has_one() {
    let folder = folder();
    let reader = Reader::of_folder(folder.path().to_owned());
    assert!(matches!(reader.verify(|_| {}), Err(ReadError::NoLedger(_))));
    assert!(matches!(reader.page(&Query::default()), Err(ReadError::NoLedger(_))));
}

#[test]
fn a_graph_shows_what_depends_on_what() {
    let mut ledger = Ledger::in_memory();
    ledger.append(at(1), &[change("shop", 0, 5)]).unwrap();
    let mut next = change("blog", 0, 9);
    next.reason = "needs \"shop\" <new>".to_owned();
    next.about.depends_on = vec![Dependency::Entry(2), Dependency::Service("pay".to_owned(), 12)];
    ledger.append(at(2), &[next]).unwrap();
    ledger.append(at(3), &[change("shop", 5, 6)]).unwrap();
    let entries = entries(&ledger.reader());
    let drawn = Mermaid(&entries).to_string();
    assert_eq!(
        drawn,
        "flowchart LR
  subgraph s0[\"blog\"]
    e3[\"3 weights: old 100, new 0 → old 91, new 9<br/>ada 2026-09-21T14:13:22.000Z<br/>needs #quot;shop#quot; #lt;new#gt;\"]
  end
  subgraph s1[\"shop\"]
    e2[\"2 weights: old 100, new 0 → old 95, new 5<br/>ada 2026-09-21T14:13:21.000Z<br/>a test\"]
    e4[\"4 weights: old 95, new 5 → old 94, new 6<br/>ada 2026-09-21T14:13:23.000Z<br/>a test\"]
    e2 -.-> e4
  end
  x0([\"pay@12\"])
  e2 ==> e3
  x0 ==> e3
"
    );
    let drawn = Dot(&entries).to_string();
    assert!(drawn.starts_with("digraph ledger {\n") && drawn.contains("  e2 -> e3 [style=bold];\n"), "{drawn}");
    assert!(drawn.contains("needs \\\"shop\\\" <new>") && drawn.contains("\"pay@12\" -> e3"), "{drawn}");
}

/// What may happen to a ledger.
#[derive(Debug, Clone)]
enum Event {
    Change(u8),
    Together(u8, u8),
    Restart,
    /// The process dies while it writes: so many bytes of the next entry are there.
    Crash(usize),
    Away,
    Back,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..=100_u8).prop_map(Event::Change),
        2 => (0..=100_u8, 0..=100_u8).prop_map(|(shop, blog)| Event::Together(shop, blog)),
        1 => Just(Event::Restart),
        2 => (0..2000_usize).prop_map(Event::Crash),
        1 => Just(Event::Away),
        1 => Just(Event::Back),
    ]
}

proptest! {
    #![proptest_config(Config { cases: 48, ..Config::default() })]

    /// Whatever happens, what was acknowledged is in force, and the ledger verifies.
    #[test]
    fn what_was_acknowledged_holds(events in prop::collection::vec(event(), 1..40)) {
        let folder = folder();
        let (state, away) = (folder.path().join("state"), folder.path().join("away"));
        let settings = Settings { max_file_size: 4000, keep: 4 };
        let open = || Ledger::open(&state, settings, at(0)).unwrap();
        let mut ledger = open();
        let mut expected = [None, None];
        let mut is_away = false;
        for event in events {
            match event {
                Event::Change(new) => {
                    let done = ledger.append(at(1), &[change("shop", 0, new)]);
                    prop_assert_eq!(done.is_err(), is_away && !ledger.is_new());
                    if done.is_ok() {
                        expected[0] = Some(f64::from(new));
                    }
                }
                Event::Together(shop, blog) => {
                    let drafts = vec![change("shop", 0, shop), change("blog", 0, blog)];
                    if ledger.append(at(1), &drafts).is_err() {
                        ledger.append_later(at(1), drafts);
                    }
                    expected = [Some(f64::from(shop)), Some(f64::from(blog))];
                }
                Event::Restart if !is_away && ledger.waiting() == 0 => {
                    drop(ledger);
                    ledger = open();
                }
                Event::Crash(bytes) if !is_away && ledger.waiting() == 0 && !ledger.is_new() => {
                    let head = std::fs::read(state.join(HEAD)).unwrap();
                    let parts = Part::all(&state).unwrap();
                    let length = std::fs::metadata(&parts.last().unwrap().path).unwrap().len();
                    ledger.append(at(1), &[change("shop", 0, 77), change("blog", 0, 77)]).unwrap();
                    drop(ledger);
                    let now = Part::all(&state).unwrap();
                    // Where a file was begun, all of it is what was being written.
                    let begun = now.last() != parts.last();
                    let last = now.last().unwrap().path.clone();
                    let before = if begun { 0 } else { length };
                    let whole = std::fs::metadata(&last).unwrap().len();
                    let torn = before + (bytes as u64).min(whole - before - 1);
                    std::fs::OpenOptions::new().write(true).open(&last).unwrap().set_len(torn).unwrap();
                    std::fs::write(state.join(HEAD), head).unwrap();
                    ledger = open();
                }
                Event::Away if !is_away && !ledger.is_new() => {
                    std::fs::rename(&state, &away).unwrap();
                    is_away = true;
                }
                Event::Back if is_away => {
                    std::fs::rename(&away, &state).unwrap();
                    is_away = false;
                }
                _ => {}
            }
        }
        if is_away {
            std::fs::rename(&away, &state).unwrap();
        }
        ledger.recover(at(2)).unwrap();
        let now = ledger.state().clone();
        prop_assert_eq!([new_of(&now, "shop"), new_of(&now, "blog")], expected);
        if !ledger.is_new() {
            prop_assert!(verified(&state).is_ok(), "{:?}", verified(&state));
        }
        drop(ledger);
        let again = open();
        prop_assert_eq!(again.state(), &now);
    }
}
