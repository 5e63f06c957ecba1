//! Databases with very many tables.

use std::time::{Duration, Instant};

use pgcopydb::catalog::lookup::Lookup;
use testbed::{Major, TestDatabase, fixtures, shared};

use crate::read;

// trap D-40
#[tokio::test]
async fn ten_thousand_tables_are_read_in_seconds() {
    let cluster = shared(Major::V18);
    let database = TestDatabase::create(cluster, "many").unwrap();
    fixtures::many_tables(cluster, database.name(), 10_000, 1, 0).unwrap();
    let start = Instant::now();
    let catalog = read(&database.uri()).await;
    // Two seconds on an idle machine; a query per table would take a minute on a busy one.
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    assert_eq!(catalog.tables.len(), 10_000);
    assert_eq!(catalog.indexes.len(), 20_000);
    assert_eq!(catalog.constraints.len(), 10_000);
    let lookup = Lookup::new(&catalog);
    for table in &catalog.tables {
        assert_eq!(table.columns.len(), 3);
        assert_eq!(table.split_key.as_ref().unwrap().column, "id");
        assert_eq!(lookup.indexes_of(table.oid).len(), 2);
        assert_eq!(lookup.constraints_of(table.oid).len(), 1);
    }
}
