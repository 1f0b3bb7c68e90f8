//! The tables of the database.

use std::sync::Arc;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::codec_state::{mark, read_mark, read_state, state};
use super::{Loaded, Op, StoreError, Stored};
use crate::migration::journal::book::Millis;
use crate::migration::journal::codec;

/// What is written here is of this format.
const FORMAT: u64 = 1;

/// Writes by number: when they were journaled, and what they are.
const WRITES: TableDefinition<'_, u64, (u64, &[u8])> = TableDefinition::new("writes");
/// How far a write got, by its number; begun, where it has none.
const STATES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("states");
/// Keys to be reconciled, by service and key.
const MARKS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("marks");
/// Services of which all keys are to be reconciled.
const ALL: TableDefinition<'_, &str, ()> = TableDefinition::new("all");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// Makes the tables where there are none.
pub(super) fn begin(database: &Database) -> Result<(), StoreError> {
    let transaction = database.begin_write()?;
    {
        let mut meta = transaction.open_table(META)?;
        let format = meta.get("format")?.map(|format| format.value());
        match format {
            Some(FORMAT) => return Ok(()),
            Some(other) => return Err(StoreError(format!("it is of format {other}, and this serin reads {FORMAT}"))),
            None => _ = meta.insert("format", FORMAT)?,
        }
        transaction.open_table(WRITES)?;
        transaction.open_table(STATES)?;
        transaction.open_table(MARKS)?;
        transaction.open_table(ALL)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Makes changes, on the disk on return (redb's default durability).
pub(super) fn apply(database: &Database, ops: &[Op]) -> Result<(), StoreError> {
    let transaction = database.begin_write()?;
    {
        let mut writes = transaction.open_table(WRITES)?;
        let mut states = transaction.open_table(STATES)?;
        let mut marks = transaction.open_table(MARKS)?;
        let mut all = transaction.open_table(ALL)?;
        let mut bytes = Vec::new();
        for op in ops {
            bytes.clear();
            match op {
                Op::Put(number, at, write) => {
                    codec::encode(write, &mut bytes);
                    writes.insert(number, (*at, &*bytes))?;
                }
                Op::State(number, stored) => {
                    state(stored, &mut bytes);
                    states.insert(number, &*bytes)?;
                }
                Op::Remove(number) => {
                    writes.remove(number)?;
                    states.remove(number)?;
                }
                Op::Mark(service, key, of) => {
                    mark(*of, &mut bytes);
                    marks.insert((&**service, &**key), &*bytes)?;
                }
                Op::Unmark(service, key) => _ = marks.remove((&**service, &**key))?,
                Op::MarkAll(service) => _ = all.insert(&**service, ())?,
                Op::UnmarkAll(service) => _ = all.remove(&**service)?,
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Everything there is.
pub(super) fn load(database: &Database) -> Result<Loaded, StoreError> {
    let transaction = database.begin_read()?;
    let states = transaction.open_table(STATES)?;
    let damaged = |what: &str| StoreError(format!("it is damaged: {what} cannot be read"));
    let mut loaded = Loaded::default();
    for found in transaction.open_table(WRITES)?.iter()? {
        let (number, found) = found?;
        let (number, (at, bytes)) = (number.value(), found.value());
        let write = codec::decode(bytes).ok_or_else(|| damaged(&format!("write {number}")))?;
        let stored = match states.get(number)? {
            None => Stored::Begun,
            Some(bytes) => read_state(bytes.value()).ok_or_else(|| damaged(&format!("the state of write {number}")))?,
        };
        loaded.writes.push((number, at as Millis, Arc::new(write), stored));
    }
    for found in transaction.open_table(MARKS)?.iter()? {
        let (key, bytes) = found?;
        let (service, key) = key.value();
        let mark = read_mark(bytes.value()).ok_or_else(|| damaged(&format!("the mark of {key:?}")))?;
        loaded.marks.push((service.into(), key.into(), mark));
    }
    for found in transaction.open_table(ALL)?.iter()? {
        loaded.all.push(found?.0.value().into());
    }
    Ok(loaded)
}
