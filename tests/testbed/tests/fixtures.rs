//! The fixtures hold what their names say.

use testbed::{TestDatabase, fixtures};

/// A new database of the source.
fn database(prefix: &str) -> TestDatabase<'static> {
    TestDatabase::create(testbed::source(), prefix).expect("a database")
}

#[test]
fn generators_make_the_asked_number_of_rows_and_tables() {
    let database = database("generated");
    let (cluster, name) = (database.cluster(), database.name());
    fixtures::three_ints(cluster, name, "ints", 1234).unwrap();
    fixtures::mixed_rows(cluster, name, "mixed", 123).unwrap();
    fixtures::wide_rows(cluster, name, "wide", 12).unwrap();
    fixtures::many_tables(cluster, name, 250, 2, 3).unwrap();
    fixtures::empty_tables(cluster, name, 201).unwrap();
    fixtures::large_objects(cluster, name, 10).unwrap();
    let count = |sql: &str| database.psql(sql).unwrap();
    assert_eq!(count("select count(*) from ints"), "1234");
    assert_eq!(count("select count(*) from mixed"), "123");
    assert_eq!(count("select count(*), min(length(payload)) from wide"), "12|4096");
    assert_eq!(count("select count(distinct payload) from wide"), "12");
    assert_eq!(count("select count(*) from pg_tables where schemaname = 'many'"), "250");
    assert_eq!(count("select count(*) from pg_indexes where schemaname = 'many'"), "750");
    assert_eq!(count("select count(*) from many.t250"), "3");
    assert_eq!(count("select count(*) from pg_tables where schemaname = 'empty'"), "201");
    assert_eq!(count("select count(*) from pg_largeobject_metadata"), "12");
}

#[test]
fn mixed_rows_are_about_370_bytes() {
    let database = database("mixed");
    fixtures::mixed_rows(database.cluster(), database.name(), "mixed", 2000).unwrap();
    let sum = "select sum(pg_column_size(m.*)) / count(*) between 350 and 390 from mixed m";
    assert_eq!(database.psql(sum).unwrap(), "t");
}

#[test]
fn every_portable_type_family_loads_in_every_version() {
    for major in testbed::Major::ALL {
        let database = TestDatabase::create(testbed::shared(major), "types").unwrap();
        fixtures::types(database.cluster(), database.name()).unwrap();
        let families = database.psql(
            "select count(distinct typcategory) from pg_type t \
            join pg_attribute a on a.atttypid = t.oid and a.attnum > 0 \
            join pg_class c on c.oid = a.attrelid and c.relkind = 'r' \
            join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'types'",
        );
        assert_eq!(families.unwrap(), "14");
    }
}
