//! What becomes of changes while the record cannot be written.

use std::path::Path;
use std::process::Command;

use serin::ledger::Entry;

use crate::support::eventually;
use crate::support::load::said;
use crate::support::serin::Serin;
use crate::{Place, body, err, put, weights_in_force};

/// While `break_it` holds, what widens is refused and all else goes on; then `mend` it.
fn unwritable(place: &Place, serin: &Serin, mend: impl FnOnce()) {
    let generation = || body(&serin.ask("GET", "/api/v1/services", ""))["generation"].as_u64().expect("a number");
    let before = generation();
    let wider = put(serin, 50, 50);
    assert_eq!(wider.status, 503, "{}", wider.text());
    assert_eq!(wider.header("content-type"), Some("application/problem+json"));
    assert!(wider.text().contains("nothing is widened while the ledger cannot be written"), "{}", wider.text());
    assert_eq!(generation(), before);
    place.edit("shop: { old: 40, new: 60 }\n");
    said(serin, "nothing is widened while the ledger cannot be written");
    eventually("the edit to be refused", || {
        (serin.metric("serin_config_reload_total", &["file=\"weights.yaml\"", "result=\"refused\""]) == 1.0)
            .then_some(())
    });
    assert_eq!(weights_in_force(serin, "shop"), [80.0, 20.0]);
    assert_eq!(serin.metric("serin_ledger_healthy", &[]), 0.0);
    // The way back is open.
    let back = put(serin, 100, 0);
    assert_eq!(back.status, 200, "{}", back.text());
    assert!(body(&back).get("entry").is_none(), "there is none yet: {}", back.text());
    assert_eq!(weights_in_force(serin, "shop"), [100.0, 0.0]);
    said(serin, "what happens is not recorded");
    assert!(serin.metric("serin_ledger_write_failures_total", &[]) >= 3.0);
    assert!(serin.metric("serin_ledger_waiting_changes", &[]) >= 2.0);
    mend();
    // What was held back for this alone is taken up now.
    serin.await_share("shop", "new", 0.6);
    said(serin, "the ledger can be written again");
    assert_eq!(serin.metric("serin_ledger_healthy", &[]), 1.0);
    let entries = place.entries();
    let late: Vec<_> = entries.iter().filter(|entry| entry.late).collect();
    assert!(late.iter().any(|entry| entry.draft.what.to_string() == "old 80, new 20 → old 100, new 0"), "{late:?}");
    assert!(late.iter().any(|entry| entry.draft.what.to_string().starts_with("refused: ")), "{late:?}");
    let note = |entry: &Entry| entry.draft.what.to_string().starts_with("the ledger could not be written since ");
    assert!(entries.iter().any(note), "{entries:?}");
    assert!(place.verified().notes.is_empty());
}

#[test]
fn while_the_folder_is_away_nothing_is_widened_and_the_way_back_is_open() {
    let place = Place::new("shop: { old: 80, new: 20 }\n");
    let serin = place.start();
    std::fs::rename(place.state(), place.path("away")).expect("a rename");
    unwritable(&place, &serin, || std::fs::rename(place.path("away"), place.state()).expect("a rename"));
}

/// A small file system in memory at a folder, for as long as this lives.
struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    /// `None`, said aloud, where that is not allowed; in CI it must be.
    fn mount(at: &'a Path) -> Option<Self> {
        std::fs::create_dir_all(at).expect("a folder");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "serin-test"]).arg(at).output();
        let problem = match done {
            Ok(output) if output.status.success() => return Some(Self(at)),
            Ok(output) => err(&output),
            Err(error) => error.to_string(),
        };
        // Whether a machine lets anybody mount is not for a package to mend: CI asks for root where it can.
        assert!(std::env::var_os("SERIN_MOUNTS").is_none(), "mount: {problem}");
        eprintln!("skipped: a file system cannot be mounted here: {problem}");
        None
    }

    fn remount(&self, how: &str) {
        let done = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(self.0).output().expect("mount");
        assert!(done.status.success(), "{done:?}");
    }

    /// Leaves no room for another byte.
    fn fill(&self) {
        let mut chunk = 64 * 1024;
        let mut number = 0;
        while chunk > 0 {
            number += 1;
            let file = self.0.join(format!("filling-{number}"));
            if std::fs::write(&file, vec![b'x'; chunk]).is_err() {
                chunk /= 2;
            }
        }
    }

    fn empty(&self) {
        for file in std::fs::read_dir(self.0).expect("a folder").map(|file| file.expect("a file").path()) {
            if file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("filling-")) {
                std::fs::remove_file(file).expect("a removal");
            }
        }
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn while_the_disk_is_full_nothing_is_widened_and_the_way_back_is_open() {
    let place = Place::new("shop: { old: 80, new: 20 }\n");
    let state = place.state();
    let Some(disk) = Tmpfs::mount(&state) else { return };
    let serin = place.start();
    // Up to the end of the page that the file has already.
    disk.fill();
    for _ in 0..40 {
        if put(&serin, 80, 20).status != 200 {
            break;
        }
        if serin.metric("serin_ledger_healthy", &[]) == 0.0 {
            break;
        }
    }
    unwritable(&place, &serin, || disk.empty());
}

#[test]
fn while_the_folder_is_read_only_nothing_is_widened_not_even_by_a_restart() {
    let place = Place::new("shop: { old: 80, new: 20 }\n");
    let state = place.state();
    let Some(disk) = Tmpfs::mount(&state) else { return };
    let serin = place.start();
    assert_eq!(put(&serin, 90, 10).status, 200);
    drop(serin);
    disk.remount("ro");
    place.edit("shop: { old: 50, new: 50 }\n");
    let serin = place.start();
    said(&serin, "the files would widen shop/new");
    assert_eq!(weights_in_force(&serin, "shop"), [90.0, 10.0], "what the ledger has");
    assert_eq!(put(&serin, 80, 20).status, 503);
    assert_eq!(put(&serin, 95, 5).status, 200);
    disk.remount("rw");
    serin.await_share("shop", "new", 0.5);
    let late: Vec<_> = place.entries().into_iter().filter(|entry| entry.late).collect();
    assert!(late.iter().any(|entry| entry.draft.what.to_string() == "old 90, new 10 → old 95, new 5"), "{late:?}");
    place.verified();
}
