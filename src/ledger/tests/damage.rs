//! Ledgers that crashes have torn and that somebody has changed.

use super::*;

/// Cuts the file after `length` bytes, as a crash would: the head knows only what was acknowledged.
fn tear(path: &Path, length: usize, acknowledged: &[u8]) {
    let part = only_part(path);
    let file = std::fs::OpenOptions::new().write(true).open(part).unwrap();
    file.set_len(length as u64).unwrap();
    std::fs::write(path.join(HEAD), acknowledged).unwrap();
}

#[test]
fn a_line_torn_at_any_byte_is_cut_off_with_a_note_and_nothing_else_is_lost() {
    let folder = folder();
    let mut ledger = open(folder.path());
    grow(&mut ledger, 0, 2);
    let part = only_part(folder.path());
    let (before, state) = (std::fs::read(&part).unwrap(), ledger.state().clone());
    let head = std::fs::read(folder.path().join(HEAD)).unwrap();
    // Two changes that take effect together, then one alone.
    ledger.append(at(9), &[change("shop", 2, 90), change("blog", 0, 90)]).unwrap();
    drop(ledger);
    let whole = std::fs::read(&part).unwrap();
    for length in before.len()..whole.len() {
        std::fs::write(&part, &whole).unwrap();
        tear(folder.path(), length, &head);
        let looked = verified(folder.path()).unwrap();
        assert_eq!(looked.notes.is_empty(), length == before.len(), "{length}: {looked:?}");
        let mut ledger = open(folder.path());
        assert_eq!(*ledger.state(), state, "{length}");
        let numbers = ledger.append(at(10), &[change("shop", 2, 3)]).unwrap();
        let read = entries(&ledger.reader());
        let torn = u64::from(length > before.len());
        let notes: Vec<_> = read.iter().filter(|entry| matches!(entry.draft.what, What::Note { .. })).collect();
        assert!(notes.len() as u64 >= torn && (torn == 1 || notes.is_empty()), "{length}: {notes:?}");
        assert_eq!(numbers.start, 4 + notes.len() as u64);
        assert_eq!(new_of(ledger.state(), "shop"), Some(3.0));
        assert_eq!(verified(folder.path()).unwrap().notes, [""; 0]);
        drop(ledger);
        std::fs::remove_file(folder.path().join(HEAD)).unwrap();
    }
}

#[test]
fn a_last_line_that_reached_the_disk_in_part_is_cut_off_too() {
    let folder = folder();
    let mut ledger = open(folder.path());
    grow(&mut ledger, 0, 2);
    let head = std::fs::read(folder.path().join(HEAD)).unwrap();
    grow(&mut ledger, 2, 1);
    drop(ledger);
    let part = only_part(folder.path());
    let mut bytes = std::fs::read(&part).unwrap();
    let middle = bytes.len() - 100;
    bytes[middle..middle + 50].fill(0);
    std::fs::write(&part, &bytes).unwrap();
    std::fs::write(folder.path().join(HEAD), head).unwrap();
    let mut ledger = open(folder.path());
    assert_eq!(new_of(ledger.state(), "shop"), Some(2.0));
    grow(&mut ledger, 2, 1);
    let said = entries(&ledger.reader())[3].draft.what.to_string();
    assert!(said.contains("was torn") && said.contains("were cut off"), "{said}");
    assert_eq!(verified(folder.path()).unwrap().last, 5);
}

#[test]
fn a_ledger_torn_in_its_first_line_begins_anew_and_says_so() {
    let folder = folder();
    std::fs::write(Part::new(folder.path(), 1).path, "{\"number\":1,\"ti").unwrap();
    let mut ledger = open(folder.path());
    grow(&mut ledger, 0, 1);
    let kinds: Vec<_> = entries(&ledger.reader()).iter().map(|entry| entry.draft.what.kind()).collect();
    assert_eq!(kinds, ["genesis", "note", "weights"]);
}

#[test]
fn every_byte_that_is_changed_anywhere_breaks_the_chain() {
    let folder = folder();
    long(folder.path());
    let parts = Part::all(folder.path()).unwrap();
    let mut seed = fastrand::Rng::with_seed(7);
    for _ in 0..400 {
        let part = &parts[seed.usize(..parts.len())];
        let bytes = std::fs::read(&part.path).unwrap();
        let place = seed.usize(..bytes.len());
        let mut changed = bytes.clone();
        changed[place] ^= 1 << seed.u8(..7);
        std::fs::write(&part.path, &changed).unwrap();
        let broken = verified(folder.path()).expect_err(&format!("{place} of {}", part.name()));
        let number = part.first + memchr::memchr_iter(b'\n', &bytes[..place]).count() as u64;
        // It names the entry, or where only its place in the chain shows it, the one beside it.
        assert!(broken.number.abs_diff(number) <= 1, "{place} in entry {number}: {broken}");
        std::fs::write(&part.path, &bytes).unwrap();
    }
    assert!(verified(folder.path()).is_ok());
}

#[test]
fn lines_that_are_removed_swapped_doubled_or_put_in_break_the_chain() {
    let folder = folder();
    long(folder.path());
    for part in Part::all(folder.path()).unwrap() {
        let text = std::fs::read_to_string(&part.path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for index in 0..lines.len() {
            let mut removed = lines.clone();
            removed.remove(index);
            let mut doubled = lines.clone();
            doubled.insert(index, lines[index]);
            let mut swapped = lines.clone();
            swapped.swap(index, (index + 1) % lines.len());
            for changed in [removed, doubled, swapped] {
                let changed = changed.join("\n") + "\n";
                std::fs::write(&part.path, changed).unwrap();
                verified(folder.path()).expect_err(&format!("line {index} of {}", part.name()));
            }
        }
        std::fs::write(&part.path, &text).unwrap();
        std::fs::rename(&part.path, folder.path().join("away")).unwrap();
        verified(folder.path()).expect_err(&part.name());
        std::fs::rename(folder.path().join("away"), &part.path).unwrap();
    }
    assert!(verified(folder.path()).is_ok());
}

#[test]
fn a_changed_ledger_is_gone_on_with_and_says_what_was_found() {
    let folder = folder();
    grow(&mut open(folder.path()), 0, 5);
    let part = only_part(folder.path());
    let text = std::fs::read_to_string(&part).unwrap();
    std::fs::write(&part, text.replacen("a test", "a lie!", 1)).unwrap();
    let mut ledger = open(folder.path());
    assert_eq!(new_of(ledger.state(), "shop"), Some(5.0));
    grow(&mut ledger, 5, 1);
    let said = entries(&ledger.reader())[6].draft.what.to_string();
    assert!(said.contains("the chain is broken at entry 3"), "{said}");
    assert!(verified(folder.path()).is_err(), "what is broken stays so");
    drop(ledger);
    // Whole lines that are gone from the end.
    let lines: String = text.split_inclusive('\n').take(4).collect();
    std::fs::write(&part, lines).unwrap();
    let mut ledger = open(folder.path());
    grow(&mut ledger, 3, 1);
    let said = entries(&ledger.reader())[4].draft.what.to_string();
    assert_eq!(said, "entries 5 to 8 are gone from the end: ledger.head knows 8");
}
