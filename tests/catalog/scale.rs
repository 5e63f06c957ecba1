//! Databases with very many tables.

use std::time::{Duration, Instant};

use pgcopydb::catalog::fetch::{self, SizeSource};
use pgcopydb::catalog::lookup::Lookup;
use testbed::{Major, TestDatabase, fixtures, shared};

use crate::{read, snapshot};

// trap D-40
#[tokio::test]
async fn ten_thousand_tables_are_read_in_seconds() {
    let tables = if testbed::slow_tests() { 10_000 } else { 1_000 };
    let cluster = shared(Major::V18);
    let database = TestDatabase::create(cluster, "many").unwrap();
    fixtures::many_tables(cluster, database.name(), tables, 1, 0).unwrap();
    let start = Instant::now();
    let catalog = read(&database.uri()).await;
    // Two seconds on an idle machine; a query per table would take a minute on a busy one.
    let elapsed = start.elapsed();
    assert!(!testbed::slow_tests() || elapsed < Duration::from_secs(30), "{elapsed:?}");
    let tables = tables as usize;
    assert_eq!(catalog.tables.len(), tables);
    assert_eq!(catalog.indexes.len(), 2 * tables);
    assert_eq!(catalog.constraints.len(), tables);
    let lookup = Lookup::new(&catalog);
    for table in &catalog.tables {
        assert_eq!(table.columns.len(), 3);
        assert_eq!(table.split_key.as_ref().unwrap().column, "id");
        assert_eq!(lookup.indexes_of(table.oid).len(), 2);
        assert_eq!(lookup.constraints_of(table.oid).len(), 1);
    }
}

/// Locks that a transaction holds on relations once it has read the catalog.
async fn locks_of_reading(tables: u32, sizes: SizeSource) -> u64 {
    let cluster = shared(Major::V18);
    let database = TestDatabase::create(cluster, "locks").unwrap();
    fixtures::many_tables(cluster, database.name(), tables, 2, 0).unwrap();
    database
        .psql(&format!(
            "do $$ begin for t in 1..{tables} loop
               execute format('create index on many.t%s ((v || ''x'')) where n > 1', t);
               execute format('alter table many.t%s add check (n < 9), alter v set default ''x''', t);
               execute format('create view many.v%s as select * from many.t%s', t, t);
             end loop; end $$"
        ))
        .unwrap();
    let mut session = snapshot(&database.uri()).await;
    let catalog = fetch::source(&mut session, sizes).await.unwrap();
    assert_eq!(catalog.tables.len(), tables as usize);
    let sql =
        "select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'relation'";
    session.query(sql, &[]).await.unwrap().one().unwrap().parse(0).unwrap()
}

// trap D-40, S-3
#[tokio::test]
async fn reading_the_catalog_keeps_no_lock_on_a_table() {
    for sizes in [SizeSource::Files, SizeSource::Estimate] {
        let (few, many) = (locks_of_reading(2, sizes).await, locks_of_reading(60, sizes).await);
        assert_eq!(few, many, "{sizes:?}: locks of catalogs only, however many tables there are");
    }
}
