//! Every type family through every plugin and format: equal values, except for those that a plugin
//! itself destroys, which are named.

use std::collections::{BTreeMap, BTreeSet};

use pgcopydb::config::Plugin;
use pgcopydb::follow::change::{Change, ChangeEvent, Value};

use testbed::cluster::quote_ident;

use crate::stream::{Source, unhex};

/// A table's rows: for each column its text form, `None` for null.
type Rows = Vec<BTreeMap<String, Option<Vec<u8>>>>;

/// The types of `tests/fixtures/types.sql`, inserted after the slots were made.
fn source(name: &str) -> Source {
    let source = Source::new(name, "");
    source.database.psql(include_str!("../fixtures/types.sql")).unwrap();
    source
}

/// The tables and their columns.
fn columns(source: &Source) -> BTreeMap<String, Vec<String>> {
    let sql = "select c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid \
               where c.relnamespace = 'types'::regnamespace and c.relkind = 'r' and a.attnum > 0 \
               and not a.attisdropped and a.attgenerated = '' order by c.relname, a.attnum";
    let mut tables = BTreeMap::<String, Vec<String>>::new();
    for line in source.database.psql(sql).unwrap().lines() {
        let (table, column) = line.split_once('|').unwrap();
        tables.entry(table.to_owned()).or_default().push(column.to_owned());
    }
    assert!(tables.len() > 10, "{tables:?}");
    tables
}

/// What the server's output functions make of a table.
fn stored(source: &Source, schema: &str, table: &str, columns: &[String]) -> Rows {
    // num_nulls looks at the value itself: IS NULL is true for a composite of nulls.
    let text = |column: &String| {
        let column = quote_ident(column);
        format!(
            "case when num_nulls({column}) = 1 then '-' \
             else encode(convert_to(format('%s', {column}), 'UTF8'), 'hex') end"
        )
    };
    let list = columns.iter().map(text).collect::<Vec<_>>().join(" || ',' || ");
    let sql = format!("select {list} from \"{schema}\".\"{table}\" order by id");
    let value = |hex: &str| (hex != "-").then(|| unhex(hex));
    let row = |line: &str| columns.iter().cloned().zip(line.split(',').map(value)).collect();
    source.database.psql(&sql).unwrap().split('\n').map(row).collect()
}

/// The inserted rows of the schema `types`, by table, as the stream tells them.
fn inserted(events: &[ChangeEvent]) -> BTreeMap<String, Vec<BTreeMap<String, Value>>> {
    let mut tables = BTreeMap::<_, Vec<_>>::new();
    for event in events {
        if let ChangeEvent::Change(Change::Insert { relation, new }) = event {
            assert_eq!(relation.namespace, "types");
            let names = relation.columns.iter().map(|column| column.name.clone());
            let row = names.zip(new.iter().cloned()).collect();
            tables.entry(relation.name.clone()).or_default().push(row);
        }
    }
    tables
}

/// Compares text values with what is stored; returns those that became null on the way, as
/// `table.column: value`.
fn destroyed(source: &Source, events: &[ChangeEvent]) -> BTreeSet<String> {
    let mut destroyed = BTreeSet::new();
    let inserted = inserted(events);
    for (table, columns) in columns(source) {
        let stored = stored(source, "types", &table, &columns);
        let found = &inserted[&table];
        assert_eq!(found.len(), stored.len(), "rows of {table}");
        for (found, stored) in found.iter().zip(&stored) {
            for (column, expected) in stored {
                let found = match &found[column] {
                    Value::Null => None,
                    Value::Text(bytes) => Some(bytes.to_vec()),
                    other => panic!("{table}.{column}: {other:?}"),
                };
                if let (None, Some(expected)) = (&found, expected) {
                    let text = String::from_utf8_lossy(expected);
                    destroyed.insert(format!("{table}.{column}: {text}"));
                    continue;
                }
                let text = |value: &Option<Vec<u8>>| {
                    value.as_deref().map(|value| String::from_utf8_lossy(value).into_owned())
                };
                assert_eq!(text(&found), text(expected), "{table}.{column}");
            }
        }
    }
    destroyed
}

// trap C-48
#[test]
fn every_type_has_the_same_text_through_every_plugin() {
    let source = source("decode_types");
    let none = BTreeSet::new();
    let events = source.events(Plugin::Pgoutput, &["proto_version", "1"]);
    assert_eq!(destroyed(&source, &events), none, "pgoutput");
    let events = source.events(Plugin::TestDecoding, &[]);
    assert_eq!(destroyed(&source, &events), none, "test_decoding");
    for version in ["1", "2"] {
        let events = source.events(Plugin::Wal2json, &["format-version", version]);
        let lost = destroyed(&source, &events);
        assert_eq!(lost, LOST_BY_WAL2JSON.map(str::to_owned).into(), "format {version}");
    }
}

/// What wal2json turns into null: JSON has no word for it. All of it that the tables hold.
const LOST_BY_WAL2JSON: [&str; 9] = [
    "floats.f4: Infinity",
    "floats.f4: NaN",
    "floats.f8: -Infinity",
    "floats.f8: NaN",
    "numerics.fixed: NaN",
    "numerics.n: -Infinity",
    "numerics.n: Infinity",
    "numerics.n: NaN",
    "numerics.negative: NaN",
];

// trap C-48
#[test]
fn every_type_arrives_in_its_binary_form() {
    let source = source("decode_binary");
    let options = ["proto_version", "1", "binary", "true"];
    let events = source.events(Plugin::Pgoutput, &options);
    let inserted = inserted(&events);
    source.database.psql("create schema back").unwrap();
    let directory = tempfile::tempdir().unwrap();
    for (table, columns) in columns(&source) {
        let file = directory.path().join(&table);
        std::fs::write(&file, pgcopy(&inserted[&table], &columns)).unwrap();
        let like = format!("create table back.\"{table}\" (like types.\"{table}\")");
        source.database.psql(&like).unwrap();
        let names = columns.iter().map(|name| quote_ident(name)).collect::<Vec<_>>().join(", ");
        let copy = format!(
            "\\copy back.\"{table}\" ({names}) from '{}' with (format binary)\n",
            file.display()
        );
        let script = directory.path().join("script.sql");
        std::fs::write(&script, copy).unwrap();
        source.database.psql_file(&script).unwrap();
        let back = stored(&source, "back", &table, &columns);
        assert_eq!(back, stored(&source, "types", &table, &columns), "{table}");
    }
}

/// Rows as a COPY stream in binary format.
fn pgcopy(rows: &[BTreeMap<String, Value>], columns: &[String]) -> Vec<u8> {
    let mut stream = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    for row in rows {
        stream.extend(u16::try_from(columns.len()).unwrap().to_be_bytes());
        for column in columns {
            match &row[column] {
                Value::Null => stream.extend([0xff; 4]),
                Value::Binary(bytes) => {
                    stream.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
                    stream.extend(bytes);
                }
                other => panic!("{column}: {other:?}"),
            }
        }
    }
    stream.extend([0xff, 0xff]);
    stream
}
