use std::os::unix::fs::PermissionsExt;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::*;

fn write(key: &str) -> Arc<Write> {
    Arc::new(Write {
        service: "shop".into(),
        key: key.into(),
        method: Method::PUT,
        target: format!("/items/{key}"),
        headers: HeaderMap::new(),
        body: "a body".into(),
        idempotency: (HeaderName::from_static("idempotency-key"), HeaderValue::from_static("k")),
        authoritative: "old".into(),
        other: "new".into(),
    })
}

fn open(folder: &tempfile::TempDir) -> Result<(Redb<Folder>, Loaded), StoreError> {
    Redb::open(Folder::new(folder.path()))
}

#[test]
fn what_is_committed_is_found_by_the_next_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut store, loaded) = open(&folder).expect("a new one");
    assert_eq!(loaded, Loaded::default());
    let mark = Mark { why: Why::Unknown, at: 9 };
    let dead = Stored::Dead { tries: 3, why: "status 422".into() };
    let ops = [
        Op::Put(1, 5, write("a")),
        Op::Put(2, 6, write("b")),
        Op::Put(3, 7, write("c")),
        Op::Put(4, 8, write("d")),
        Op::Mark("shop".into(), "x".into(), mark),
        Op::Mark("shop".into(), "y".into(), mark),
        Op::MarkAll("shop".into()),
    ];
    store.commit(&ops).expect("room");
    let ops = [
        Op::State(2, Stored::Applied),
        Op::State(3, dead.clone()),
        Op::State(4, Stored::Applied),
        Op::Remove(4),
        Op::Unmark("shop".into(), "x".into()),
    ];
    store.commit(&ops).expect("room");
    drop(store);
    let mode = std::fs::metadata(folder.path().join(NAME)).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it has what clients sent");
    let (mut store, loaded) = open(&folder).expect("it can be read");
    let writes = vec![(1, 5, write("a"), Stored::Begun), (2, 6, write("b"), Stored::Applied), (3, 7, write("c"), dead)];
    let marks = vec![("shop".into(), "y".into(), mark)];
    assert_eq!(loaded, Loaded { writes, marks, all: vec!["shop".into()] });

    store.rewrite(&[Op::Put(7, 5, write("z"))]).expect("room");
    store.commit(&[Op::Put(8, 5, write("z")), Op::UnmarkAll("shop".into())]).expect("room");
    drop(store);
    let (_, loaded) = open(&folder).expect("it can be read");
    assert_eq!(loaded.writes.iter().map(|(number, ..)| *number).collect::<Vec<_>>(), [7, 8]);
    assert!(loaded.marks.is_empty() && loaded.all.is_empty());
}

#[test]
fn nobody_opens_what_another_has_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = open(&folder).expect("a new one");
    let said = open(&folder).expect_err("it is open").to_string();
    assert_eq!(said, "Database already open. Cannot acquire lock.");
    drop(first);
    assert!(open(&folder).is_ok());
}

#[test]
fn a_file_that_is_no_journal_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(NAME);
    let content = vec![b'x'; 100_000];
    std::fs::write(&path, &content).expect("a file");
    assert!(open(&folder).is_err());
    assert_eq!(std::fs::read(&path).expect("the file"), content);
}

#[test]
fn a_journal_of_a_later_format_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(&folder).expect("a new one"));
    let database = Database::open(folder.path().join(NAME)).expect("a database");
    let transaction = database.begin_write().expect("one at a time");
    let meta: redb::TableDefinition<'_, &str, u64> = redb::TableDefinition::new("meta");
    transaction.open_table(meta).expect("the table").insert("format", 2).expect("room");
    transaction.commit().expect("room");
    drop(database);
    let said = open(&folder).expect_err("it cannot be read").to_string();
    assert_eq!(said, "it is of format 2, and this serin reads 1");
}
