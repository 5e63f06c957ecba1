//! Tests of the state database through its public face.

use std::time::{Duration, SystemTime};

use super::*;
use crate::base::error::ErrorKind;
use crate::base::ident::QualifiedName;

fn database(system_identifier: u64, oid: u32, uri: &str) -> Database {
    Database { system_identifier, oid, name: "app".into(), uri: uri.into() }
}

fn identity() -> Identity {
    Identity {
        source: database(11, 5, "postgres://source/app"),
        target: database(22, 7, "postgres://target/app"),
        options: vec![("filters".into(), "[exclude-schema]\nfoo\n".into())],
        command_line: "pgcopydb clone".into(),
    }
}

/// Opens the database, a run in it, and closes both.
async fn start(path: &Path, identity: Identity, intent: Intent) -> Result<Opening> {
    StateHandle::open(path)?.open_run(identity, intent).await
}

#[tokio::test]
async fn the_same_command_begins_then_continues_then_is_complete() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("source.db");
    let Opening::Fresh(first) = start(&path, identity(), Intent::Continue).await.unwrap() else {
        panic!("not fresh");
    };
    assert_eq!((first.run_id.len(), first.epoch), (32, 1));
    let state = StateHandle::open(&path).unwrap();
    let Opening::Resume(second) = state.open_run(identity(), Intent::Continue).await.unwrap()
    else {
        panic!("not resumed");
    };
    assert_eq!((&second.run_id, second.epoch), (&first.run_id, 2));
    state.set_snapshot(Some("0001-1".into())).await.unwrap();
    state.finish().await.unwrap();
    let Opening::Complete(third) = start(&path, identity(), Intent::Continue).await.unwrap() else {
        panic!("not complete");
    };
    assert_eq!((third.epoch, third.snapshot.as_deref()), (3, Some("0001-1")));
    let Opening::Fresh(fresh) = start(&path, identity(), Intent::Restart).await.unwrap() else {
        panic!("not fresh");
    };
    assert_ne!(fresh.run_id, first.run_id);
    assert_eq!(fresh.epoch, 1);
}

// trap X-7
// trap X-8
#[tokio::test]
async fn another_source_target_or_filter_is_refused_naming_both() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("source.db");
    start(&path, identity(), Intent::Continue).await.unwrap();
    let source = |source| Identity { source, ..identity() };
    let options = |options| Identity { options, ..identity() };
    for (changed, names) in [
        (source(database(12, 5, "postgres://x/app")), ["system identifier 11", "identifier 12"]),
        (source(database(11, 6, "postgres://source/app")), ["oid 5", "oid 6"]),
        (
            source(database(0, 5, "postgres://x/app")),
            ["\"postgres://source/app\"", "\"postgres://x/app\""],
        ),
        (Identity { target: database(23, 7, "t"), ..identity() }, ["target", "identifier 23"]),
        (
            options(vec![("filters".into(), "[x]".into())]),
            ["filters \"[exclude-schema]", "\"[x]\""],
        ),
        (options(vec![]), ["filters \"[exclude-schema]", "unset"]),
    ] {
        let error = start(&path, changed, Intent::Continue).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::State(_)), "{error:?}");
        for name in names {
            assert!(error.to_string().contains(name), "{name}: {error}");
        }
        assert!(error.detail_lines().iter().any(|line| line.contains("--restart")));
    }
    // A refusal changes nothing: the run that is here can still be continued.
    let Opening::Resume(run) = start(&path, identity(), Intent::Continue).await.unwrap() else {
        panic!("not resumed");
    };
    assert_eq!(run.epoch, 2);
}

#[tokio::test]
async fn another_address_of_the_same_server_is_continued() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("source.db");
    start(&path, identity(), Intent::Continue).await.unwrap();
    let moved = Identity { source: database(11, 5, "postgres://10.0.0.1/app"), ..identity() };
    let opening = start(&path, moved, Intent::Continue).await.unwrap();
    assert!(matches!(opening, Opening::Resume(_)), "{opening:?}");
}

/// A catalog of a table in two parts, a small one, one without rows to copy, and one index.
fn catalog() -> (Vec<TableRow>, Vec<IndexRow>) {
    let table = |oid, name: &str, bytes, part_count| TableRow {
        oid,
        name: QualifiedName::new("public", name),
        row_estimate: None,
        bytes,
        part_count,
    };
    let index = IndexRow {
        oid: 101,
        name: QualifiedName::new("public", "Big_pkey"),
        table_oid: 1,
        primary: true,
        unique: true,
        bytes: 10,
        definition: "CREATE UNIQUE INDEX …".into(),
    };
    (vec![table(1, "big", 1000, 2), table(2, "small", 30, 1), table(3, "none", 5, 0)], vec![index])
}

fn part(table_oid: u32, part_index: u32) -> JobKey {
    JobKey { table_oid, part_index, ..JobKey::default() }
}

fn started(job: JobKey) -> Entry {
    Entry::Started { job, command: "COPY".into(), at: SystemTime::UNIX_EPOCH }
}

fn finished(job: JobKey, bytes: u64) -> Entry {
    let (at, elapsed) = (SystemTime::UNIX_EPOCH, Duration::from_millis(1500));
    Entry::Finished { job, at, elapsed, bytes, rows: 1 }
}

// trap X-25
#[tokio::test]
async fn progress_is_readable_beside_the_run_and_counts_whole_tables() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("source.db");
    let state = StateHandle::open(&path).unwrap();
    state.open_run(identity(), Intent::Continue).await.unwrap();
    let (tables, indexes) = catalog();
    state.set_catalog(tables, indexes).await.unwrap();
    let index = JobKey { table_oid: 1, index_oid: 101, ..JobKey::default() };
    for entry in [
        started(part(1, 0)),
        started(part(1, 1)),
        started(part(2, 0)),
        started(index),
        finished(part(1, 0), 400),
        finished(part(2, 0), 20),
        Entry::Moved { job: part(1, 1), bytes: 77, rows: 3 },
    ] {
        state.record(entry);
    }
    state.flush().await.unwrap();
    let progress = read_progress(&path).unwrap();
    assert_eq!((progress.tables_total, progress.tables_done), (2, 1));
    assert_eq!((progress.indexes_total, progress.indexes_done), (1, 0));
    assert_eq!((progress.bytes_total, progress.bytes_done), (1030, 30));
    assert_eq!(progress.bytes_in_progress, 77);
    let running: Vec<_> =
        progress.running.iter().map(|job| (job.name.as_str(), job.job.part_index)).collect();
    assert_eq!(running, [("public.\"Big_pkey\"", 0), ("public.big", 1)]);
}

#[tokio::test]
async fn a_new_start_forgets_what_was_running_and_keeps_what_was_done() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("source.db");
    let state = StateHandle::open(&path).unwrap();
    state.open_run(identity(), Intent::Continue).await.unwrap();
    let (tables, indexes) = catalog();
    state.set_catalog(tables, indexes).await.unwrap();
    state.record(started(part(2, 0)));
    state.record(finished(part(2, 0), 20));
    state.record(started(part(1, 1)));
    state.flush().await.unwrap();
    drop(state);
    start(&path, identity(), Intent::Continue).await.unwrap();
    let progress = read_progress(&path).unwrap();
    assert_eq!((progress.tables_done, progress.running.len()), (1, 0));
}

#[tokio::test]
async fn entries_are_written_without_a_flush_when_the_last_handle_goes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("source.db");
    let state = StateHandle::open(&path).unwrap();
    for number in 0..10_000 {
        state.record(started(part(number, 0)));
    }
    // A second handle's request is answered after everything recorded before it.
    let other = state.clone();
    drop(state);
    other.flush().await.unwrap();
    assert_eq!(read_progress(&path).unwrap().running.len(), 10_000);
}

#[test]
fn foreign_and_newer_databases_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let foreign = directory.path().join("foreign.db");
    let connection = rusqlite::Connection::open(&foreign).unwrap();
    connection.execute_batch("create table setup(id integer)").unwrap();
    drop(connection);
    let newer = directory.path().join("newer.db");
    drop(StateHandle::open(&newer).unwrap());
    let connection = rusqlite::Connection::open(&newer).unwrap();
    connection.pragma_update(None, "user_version", 999).unwrap();
    drop(connection);
    let text = directory.path().join("text.db");
    std::fs::write(&text, "this is not a database, it is a text file".repeat(100)).unwrap();
    for path in [foreign, newer, text] {
        let error = StateHandle::open(&path).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::State(_)), "{error:?}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
    let error = read_progress(&directory.path().join("none.db")).unwrap_err();
    assert!(error.to_string().contains("no state of a run"), "{error}");
}
