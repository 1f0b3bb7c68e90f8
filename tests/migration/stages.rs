//! What each stage does with reads and writes.

use super::support::client::Response;
use super::support::serin::Serin;
use super::support::{eventually, serin::command};
use super::{Store, await_empty_journal, config, send, to_stage, view};

fn version(answer: &Response) -> String {
    answer.header("x-serin-version").unwrap_or_default().to_owned()
}

#[test]
fn reads_and_writes_go_where_the_table_says() {
    let (old, new) = (Store::new(), Store::new());
    let serin = Serin::new(&config(&old.upstream, &new.upstream, ""));
    for (stage, gets, writes, compared) in [
        ("off", "old", &["old"][..], false),
        ("dualWrite", "old", &["old", "new"], false),
        ("shadow", "old", &["old", "new"], true),
        ("live", "new", &["new", "old"], true),
        ("rampDown", "new", &["new", "old"], false),
        ("complete", "new", &["new"], false),
    ] {
        let moved = to_stage(&serin, stage, "100%");
        assert_eq!((moved["stage"].as_str(), moved["authoritative"].as_str()), (Some(stage), Some(gets)));
        let path = format!("/items/{stage}");
        let wrote = send(&serin, "PUT", &path, "", "thing");
        assert_eq!((wrote.status, wrote.text(), version(&wrote)), (200, "kept".to_owned(), gets.to_owned()), "{stage}");
        await_empty_journal(&serin);
        for (name, store) in [("old", &old), ("new", &new)] {
            let expected = writes.contains(&name).then_some("thing");
            assert_eq!(store.thing(&path).as_deref(), expected, "{stage}: {name}");
        }
        let read = send(&serin, "GET", &path, "", "");
        assert_eq!((read.status, read.text(), version(&read)), (200, "thing".to_owned(), gets.to_owned()), "{stage}");
        let other = if gets == "old" { &new } else { &old };
        let asked = || other.asked().contains(&format!("GET {path}"));
        if compared {
            eventually("the other version to be asked, too", || asked().then_some(()));
            eventually("the answers to be compared", || {
                let verdicts = ["verdict=\"same\"", "verdict=\"different\"", "verdict=\"noisy\"", "verdict="];
                (serin.metric("serin_diff_total", &verdicts[3..]) > 0.0).then_some(())
            });
        } else {
            assert!(!asked(), "{stage}: the other version was asked");
        }
    }
    let picks =
        |version: &str| serin.metric("serin_picks_total", &[&format!("version=\"{version}\""), "why=\"stage\""]);
    assert_eq!((picks("old"), picks("new")), (6.0, 6.0));
    assert_eq!(serin.metric("serin_migration_stage", &["stage=\"complete\""]), 1.0);
    assert_eq!(serin.metric("serin_migration_stage", &["stage=\"live\""]), 0.0);
    assert_eq!(serin.metric("serin_migration_writes_total", &["result=\"applied\""]), 4.0);
}

#[test]
fn a_stage_for_a_share_of_keys_takes_the_same_keys_for_reads_and_writes() {
    let (old, new) = (Store::new(), Store::new());
    let serin = Serin::new(&config(&old.upstream, &new.upstream, "      stage: rampDown\n"));
    to_stage(&serin, "live", "30%");
    let mut within = 0;
    for number in 0..60 {
        let path = format!("/items/{number}");
        let wrote = version(&send(&serin, "PUT", &path, "", "thing"));
        let read = version(&send(&serin, "GET", &path, "", ""));
        assert_eq!(wrote, read, "{path}");
        within += usize::from(read == "new");
    }
    assert!((8..30).contains(&within), "{within} of 60 keys are in a share of 30%");
    let share = view(&serin)["share"].as_str().map(str::to_owned);
    assert_eq!(share.as_deref(), Some("30%"));
    let status = command(&["--admin", &serin.admin_url(), "status", "shop"]);
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(text.contains("migration: stage live for 30% of its keys"), "{text}");
}
