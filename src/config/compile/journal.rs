//! The journal of a migration: bounds that fit each other, and sides that are of the migration.

use std::sync::Arc;
use std::time::Duration;

use crate::config::node::quote;
use crate::config::problem::Problems;
use crate::config::read::At;
use crate::config::values::{self, Period};
use crate::config::written::{Backoff as WrittenBackoff, Migration};
use crate::plan::{Backoff, Durability, JournalRules, OnFull};

/// The rules of a journal between the versions of these names. `None` after noting what is wrong.
pub(super) fn journal(written: &Migration, names: [&Arc<str>; 2], problems: &mut Problems<'_>) -> Option<JournalRules> {
    let idempotent = idempotent(written, names, problems);
    let default = JournalRules { idempotent: idempotent?, ..JournalRules::default() };
    let Some(journal) = &written.journal else { return Some(default) };
    let backoff = backoff(journal.backoff.as_ref(), default.backoff, problems)?;
    let period = |written: &Option<At<Period>>, default| written.as_ref().map_or(default, |period| period.value.0);
    Some(JournalRules {
        durability: match journal.durability.as_ref().map(|durability| durability.value) {
            None => default.durability,
            Some(values::Durability::Fsync) => Durability::Fsync,
            Some(values::Durability::Memory) => Durability::Memory,
        },
        max_entries: journal.max_entries.as_ref().map_or(default.max_entries, |count| count.0 as usize),
        max_bytes: journal.max_bytes.as_ref().map_or(default.max_bytes, |size| size.0),
        max_age: period(&journal.max_age, default.max_age),
        on_full: match journal.on_full.as_ref().map(|on_full| on_full.value) {
            None => default.on_full,
            Some(values::OnFull::Refuse) => OnFull::Refuse,
            Some(values::OnFull::OldOnly) => OnFull::OldOnly,
        },
        tries: journal.tries.as_ref().map_or(default.tries, |count| count.0),
        backoff,
        timeout: period(&journal.timeout, default.timeout),
        wait: period(&journal.wait, default.wait),
        idempotent: default.idempotent,
    })
}

fn idempotent(written: &Migration, names: [&Arc<str>; 2], problems: &mut Problems<'_>) -> Option<Vec<Arc<str>>> {
    let mut idempotent: Vec<Arc<str>> = Vec::new();
    let mut well = true;
    for name in written.idempotent.iter().flat_map(|list| list.iter()) {
        if !names.contains(&&name.0) {
            well = false;
            problems
                .error(&name.spot, "this version is not part of the migration")
                .found(quote(&name.0))
                .expected(format!("`{}` or `{}`", names[0], names[1]));
        } else if idempotent.contains(&name.0) {
            well = false;
            problems.error(&name.spot, "this version is in the list already").expected("every version once");
        } else {
            idempotent.push(Arc::clone(&name.0));
        }
    }
    well.then_some(idempotent)
}

fn backoff(written: Option<&WrittenBackoff>, default: Backoff, problems: &mut Problems<'_>) -> Option<Backoff> {
    let Some(written) = written else { return Some(default) };
    let of = |written: Option<&At<Period>>, default: Duration| written.map_or(default, |period| period.value.0);
    let initial = of(written.initial.as_ref(), default.initial);
    // Where only the first is written, the longest is not below it.
    let max = of(written.max.as_ref(), default.max.max(initial));
    if let Some(at) = written.max.as_ref().filter(|_| max < initial) {
        problems.error(&at.spot, format!("below `initial`, which is {initial:?}")).expected("at least `initial`");
        return None;
    }
    Some(Backoff { initial, max })
}
