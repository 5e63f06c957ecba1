//! Split keys and where to cut along them.

use pgcopydb::catalog::facts::{BoundsSource, KeyBounds, KeyRange, key_bounds};
use pgcopydb::catalog::model::Table;
use testbed::TestDatabase;

use crate::{on_every_version, read_after, snapshot, table};

/// The cuts of table `t`.
async fn cut(database: &TestDatabase<'_>, sql: &str, parts: u32) -> (Table, KeyBounds) {
    let catalog = read_after(database, sql).await;
    let table = table(&catalog, "t").clone();
    let mut session = snapshot(&database.uri()).await;
    let bounds = key_bounds(&mut session, &table, parts).await.unwrap();
    (table, bounds)
}

/// Rows per part, as the parts' conditions select them.
fn counts(database: &TestDatabase<'_>, bounds: &KeyBounds) -> Vec<u64> {
    let mut edges: Vec<Option<i64>> = vec![None];
    edges.extend(bounds.cuts.iter().copied().map(Some));
    edges.push(None);
    let count = |edge: &[Option<i64>]| {
        let low = edge[0].map_or("true".to_owned(), |low| format!("id >= {low}"));
        let high = edge[1].map_or("true".to_owned(), |high| format!("id < {high}"));
        let sql = format!("select count(*) from t where {low} and {high} and id is not null");
        database.psql(&sql).unwrap().parse().unwrap()
    };
    edges.windows(2).map(count).collect()
}

// trap S-9
#[tokio::test]
async fn only_an_index_over_all_rows_makes_a_split_key() {
    for (_, database) in on_every_version("split_key") {
        let catalog = read_after(
            &database,
            "create table partial (a int); create unique index on partial (a) where a > 0;
             create table expression (a int); create unique index on expression ((a + 1));
             create table two (a int, b int, primary key (a, b));
             create table text_key (a text primary key);
             create table numeric_key (a numeric primary key);
             create table not_unique (a int); create index on not_unique (a);
             create table nullable (a bigint unique);
             create table included (a smallint, b text, unique (a) include (b));
             create table two_keys (a int unique not null, b bigint primary key);
             create table better (a int unique, b int unique not null);
             create table root (a int primary key) partition by list (a);
             create table leaf partition of root for values in (1);",
        )
        .await;
        let key = |name| {
            let key = table(&catalog, name).split_key.as_ref();
            key.map(|key| (key.column.as_str(), key.nullable))
        };
        for name in
            ["partial", "expression", "two", "text_key", "numeric_key", "not_unique", "root"]
        {
            assert_eq!(key(name), None, "{name}");
        }
        // trap S-8
        assert_eq!(key("nullable"), Some(("a", true)));
        assert_eq!(key("included"), Some(("a", true)));
        assert_eq!(key("two_keys"), Some(("b", false)));
        assert_eq!(key("better"), Some(("b", false)));
        assert_eq!(key("leaf"), Some(("a", false)));
    }
}

// trap S-10
#[tokio::test]
async fn gaps_and_skew_leave_no_part_empty() {
    for (_, database) in on_every_version("skew") {
        let (_, bounds) = cut(
            &database,
            "create table t (id bigint primary key) with (autovacuum_enabled = off);
             insert into t select g from generate_series(1, 20000) g;
             insert into t select 1000000000000000 + g from generate_series(1, 20000) g;",
            8,
        )
        .await;
        assert_eq!(bounds.source, BoundsSource::Sample);
        let range = KeyRange { min: 1, max: 1_000_000_000_020_000 };
        assert_eq!(bounds.range, Some(range));
        let counts = counts(&database, &bounds);
        assert_eq!(counts.iter().sum::<u64>(), 40_000);
        // The whole table fits the sample, so the cuts are exact to the row.
        assert_eq!(counts.len(), 8);
        assert!(counts.iter().all(|count| count.abs_diff(5_000) <= 1), "{counts:?}");
    }
}

// trap S-10
#[tokio::test]
async fn a_sample_of_a_larger_table_balances_its_parts() {
    for (_, database) in on_every_version("sampled") {
        // 2.2 million rows of 30 bytes: 9 700 pages, of which 2 parts sample 128.
        let (table, bounds) = cut(
            &database,
            "create unlogged table t (id int) with (autovacuum_enabled = off);
             insert into t select g from generate_series(1, 2200000) g;
             alter table t add primary key (id);",
            2,
        )
        .await;
        assert!(table.heap_bytes > 9_000 * 8192);
        assert_eq!(bounds.source, BoundsSource::Sample);
        let counts = counts(&database, &bounds);
        assert_eq!(counts.iter().sum::<u64>(), 2_200_000);
        // 128 pages: the standard error of the median is 4.4 % of the table; the seed is fixed, so
        // the outcome is the same each time.
        assert!(counts.iter().all(|count| *count > 880_000), "{counts:?}");
    }
}

// trap S-7
#[tokio::test]
async fn the_ends_of_int8_are_keys_like_others() {
    for (_, database) in on_every_version("extremes") {
        let (_, bounds) = cut(
            &database,
            "create table t (id bigint primary key);
             insert into t values (-9223372036854775808), (-1), (0), (1), (9223372036854775807);",
            4,
        )
        .await;
        assert_eq!(bounds.range, Some(KeyRange { min: i64::MIN, max: i64::MAX }));
        // Too few rows for a sample, never analyzed: equal steps.
        assert_eq!(bounds.source, BoundsSource::EqualSteps);
        assert_eq!(bounds.cuts, [-(1 << 62), 0, 1 << 62]);
        assert_eq!(counts(&database, &bounds), [1, 1, 2, 1]);
    }
}

// trap S-8
#[tokio::test]
async fn empty_and_null_keys_have_no_range() {
    for (_, database) in on_every_version("no_keys") {
        let (table, bounds) = cut(
            &database,
            "create table t (id int unique); insert into t select null from generate_series(1, 9)",
            4,
        )
        .await;
        assert!(table.split_key.unwrap().nullable);
        assert_eq!(bounds.range, None);
        assert!(bounds.cuts.is_empty());
        let (_, bounds) = cut(&database, "truncate t; insert into t values (7)", 4).await;
        assert_eq!(bounds.range, Some(KeyRange { min: 7, max: 7 }));
        assert!(bounds.cuts.is_empty());
    }
}

#[tokio::test]
async fn the_histogram_serves_where_sampling_cannot() {
    for (_, database) in on_every_version("histogram") {
        let catalog = read_after(
            &database,
            "create table \"t\" (id int primary key);
             insert into t select g from generate_series(1, 5000) g;
             insert into t select 1000000 + g from generate_series(1, 15000) g;
             analyze t;",
        )
        .await;
        // Another access method need not support TABLESAMPLE.
        let table =
            Table { access_method: Some("columnar".to_owned()), ..table(&catalog, "t").clone() };
        let mut session = snapshot(&database.uri()).await;
        let bounds = key_bounds(&mut session, &table, 4).await.unwrap();
        assert_eq!(bounds.source, BoundsSource::Histogram);
        let counts = counts(&database, &bounds);
        // ANALYZE samples 30 000 rows: it saw all, and a step of its histogram is 200 rows.
        assert!(counts.iter().all(|count| count.abs_diff(5_000) <= 200), "{counts:?}");
    }
}

#[tokio::test]
async fn inheritance_children_do_not_count() {
    for (_, database) in on_every_version("only") {
        let (_, bounds) = cut(
            &database,
            "create table t (id int primary key); insert into t values (1), (2);
             create table child () inherits (t); insert into child values (-100), (100);",
            2,
        )
        .await;
        assert_eq!(bounds.range, Some(KeyRange { min: 1, max: 2 }));
        assert_eq!(bounds.cuts, [2]);
    }
}

// trap S-18
#[tokio::test]
async fn a_vanished_table_leaves_the_snapshot_usable() {
    for (_, database) in on_every_version("vanished") {
        let catalog = read_after(
            &database,
            "create table t (id int primary key); create table kept (id int primary key);
             insert into kept values (1);",
        )
        .await;
        let mut session = snapshot(&database.uri()).await;
        database.psql("drop table t; insert into kept values (2)").unwrap();
        let error = key_bounds(&mut session, table(&catalog, "t"), 2).await.unwrap_err();
        assert!(
            error.to_string().starts_with("source: read key bounds of public.t: ERROR 42P01"),
            "{error}"
        );
        let bounds = key_bounds(&mut session, table(&catalog, "kept"), 2).await.unwrap();
        assert_eq!(bounds.range, Some(KeyRange { min: 1, max: 1 }));
    }
}
