//! Updates, deletes and truncations: the same changes through every plugin.

use pgcopydb::config::Plugin;
use pgcopydb::follow::change::{Change, ChangeEvent, OldTuple, Relation, Tuple, Value};

use crate::stream::Source;

/// Changes in words: those columns of an old row that identify it, and of a new row all.
fn words(events: &[ChangeEvent]) -> Vec<String> {
    let table = |relation: &Relation| format!("{}.{}", relation.namespace, relation.name);
    let mut lines = Vec::new();
    for event in events {
        let ChangeEvent::Change(change) = event else { continue };
        lines.push(match change {
            Change::Insert { relation, new } => {
                format!("insert {} {}", table(relation), row(relation, new, Columns::All))
            }
            Change::Update { relation, old, new } => {
                let old = old.as_ref().map(|old| identity(relation, old));
                let new = row(relation, new, Columns::All);
                format!("update {} {} {new}", table(relation), old.unwrap_or_default())
            }
            Change::Delete { relation, old } => {
                format!("delete {} {}", table(relation), identity(relation, old))
            }
            Change::Truncate { relations, cascade, restart_identity } => {
                let names: Vec<_> = relations.iter().map(|relation| table(relation)).collect();
                format!("truncate {} {cascade} {restart_identity}", names.join(", "))
            }
        });
    }
    lines
}

#[derive(Clone, Copy, PartialEq)]
enum Columns {
    All,
    Key,
}

fn identity(relation: &Relation, old: &OldTuple) -> String {
    match old {
        OldTuple::Key(tuple) => row(relation, tuple, Columns::Key),
        OldTuple::Full(tuple) => row(relation, tuple, Columns::All),
    }
}

fn row(relation: &Relation, tuple: &Tuple, columns: Columns) -> String {
    let cells = relation.columns.iter().zip(tuple);
    let cells = cells.filter(|(column, _)| columns == Columns::All || column.is_key);
    let cell = |value: &Value| match value {
        Value::Null => "null".to_owned(),
        Value::Unchanged => "unchanged".to_owned(),
        Value::Text(bytes) | Value::Binary(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    };
    let cells: Vec<_> =
        cells.map(|(column, value)| format!("{}={}", column.name, cell(value))).collect();
    format!("({})", cells.join(" "))
}

const SCHEMA: &str = r#"
    create table t (id int primary key, v text, n numeric);
    create table big (id int primary key, a text, b text);
    alter table big alter column a set storage external;
    create table "Odd ""S"" x" (a int, b text);
    alter table "Odd ""S"" x" replica identity full;
    create table keyed (a int not null, b int not null, c text);
    create unique index keyed_key on keyed (b, a);
    alter table keyed replica identity using index keyed_key;
    create table f (id int primary key, t int references t (id));
"#;

const CHANGES: &str = r#"
    insert into t values (1, 'it''s "x"', 1.50), (2, null, null);
    update t set v = 'new' where id = 1;
    update t set id = 7 where id = 1;
    update t set id = id + 10;
    delete from t where id = 12;
    insert into big values (1, repeat('x', 5000), 'y');
    update big set b = 'z';
    update big set id = 2;
    insert into "Odd ""S"" x" values (1, 'one'), (1, 'one');
    update "Odd ""S"" x" set b = 'two' where ctid = '(0,1)';
    delete from "Odd ""S"" x";
    insert into keyed values (1, 2, 'c');
    update keyed set c = 'd';
    update keyed set a = 3;
    delete from keyed;
    select pg_logical_emit_message(true, 'debezium', 'content');
    select pg_logical_emit_message(false, 'debezium', 'content');
    truncate t, f;
"#;

/// What the statements of [`CHANGES`] do, in words.
fn expected() -> Vec<String> {
    let toasted = format!("insert public.big (id=1 a={} b=y)", "x".repeat(5000));
    [
        "insert public.t (id=1 v=it's \"x\" n=1.50)",
        "insert public.t (id=2 v=null n=null)",
        "update public.t  (id=1 v=new n=1.50)",
        "update public.t (id=1) (id=7 v=new n=1.50)",
        "update public.t (id=2) (id=12 v=null n=null)",
        "update public.t (id=7) (id=17 v=new n=1.50)",
        "delete public.t (id=12)",
        &toasted,
        "update public.big  (id=1 a=unchanged b=z)",
        "update public.big (id=1) (id=2 a=unchanged b=z)",
        "insert public.Odd \"S\" x (a=1 b=one)",
        "insert public.Odd \"S\" x (a=1 b=one)",
        "update public.Odd \"S\" x (a=1 b=one) (a=1 b=two)",
        "delete public.Odd \"S\" x (a=1 b=one)",
        "delete public.Odd \"S\" x (a=1 b=two)",
        "insert public.keyed (a=1 b=2 c=c)",
        "update public.keyed  (a=1 b=2 c=d)",
        "update public.keyed (a=1 b=2) (a=3 b=2 c=d)",
        "delete public.keyed (a=3 b=2)",
        "truncate public.t, public.f false false",
    ]
    .map(str::to_owned)
    .to_vec()
}

// trap C-18, C-20, C-26, C-39
#[test]
fn every_plugin_tells_the_same_changes() {
    let source = Source::new("decode_changes", SCHEMA);
    source.database.psql(CHANGES).unwrap();
    for (plugin, options) in [
        (Plugin::Pgoutput, ["proto_version", "1"].as_slice()),
        (Plugin::Pgoutput, &["proto_version", "1", "messages", "true"]),
        (Plugin::Wal2json, &["format-version", "2"]),
        (Plugin::TestDecoding, &[]),
    ] {
        let words = words(&source.events(plugin, options));
        assert_eq!(words, expected(), "{} {options:?}", plugin.name());
    }
    // Format 1 is told nothing of truncations.
    let mut expected = expected();
    expected.pop();
    let words = words(&source.events(Plugin::Wal2json, &["format-version", "1"]));
    assert_eq!(words, expected, "wal2json 1");
}

// trap C-16
#[test]
fn options_of_truncate_arrive_where_the_plugin_tells_them() {
    let source = Source::new("decode_truncate", SCHEMA);
    source.database.psql("truncate t restart identity cascade").unwrap();
    let events = |plugin, options| words(&source.events(plugin, options));
    let told = ["truncate public.t, public.f true true"];
    assert_eq!(events(Plugin::Pgoutput, &["proto_version", "1"]), told);
    assert_eq!(events(Plugin::TestDecoding, &[]), told);
    let lost = ["truncate public.t, public.f false false"];
    assert_eq!(events(Plugin::Wal2json, &["format-version", "2"]), lost);
}

// trap C-23
#[test]
fn nulls_of_a_full_old_row_arrive_where_the_plugin_tells_them() {
    let source = Source::new("decode_nulls", SCHEMA);
    let sql = "insert into \"Odd \"\"S\"\" x\" values (1, null); delete from \"Odd \"\"S\"\" x\"";
    source.database.psql(sql).unwrap();
    let delete = |plugin, options| words(&source.events(plugin, options)).pop().unwrap();
    let told = "delete public.Odd \"S\" x (a=1 b=null)";
    assert_eq!(delete(Plugin::Pgoutput, ["proto_version", "1"].as_slice()), told);
    assert_eq!(delete(Plugin::Wal2json, &["format-version", "2"]), told);
    let lost = "delete public.Odd \"S\" x (a=1)";
    assert_eq!(delete(Plugin::Wal2json, &["format-version", "1"]), lost);
    assert_eq!(delete(Plugin::TestDecoding, &[]), lost);
}

// trap C-28, C-33, C-42
#[test]
fn changed_definitions_arrive_before_their_rows() {
    let source = Source::new("decode_definitions", SCHEMA);
    source
        .database
        .psql(
            "insert into keyed values (1, 1, 'a'); alter table keyed add d int;
             insert into keyed values (2, 2, 'b', 3); alter table keyed rename c to e;
             insert into keyed values (3, 3, 'c', 4); alter table keyed rename to renamed;
             alter table renamed drop column e; insert into renamed values (4, 4, 5);
             alter table renamed replica identity full; delete from renamed where a = 4",
        )
        .unwrap();
    for (plugin, options) in [
        (Plugin::Pgoutput, ["proto_version", "1"].as_slice()),
        (Plugin::Wal2json, &["format-version", "2"]),
        (Plugin::TestDecoding, &[]),
    ] {
        let words = words(&source.events(plugin, options));
        assert_eq!(
            words,
            [
                "insert public.keyed (a=1 b=1 c=a)",
                "insert public.keyed (a=2 b=2 c=b d=3)",
                "insert public.keyed (a=3 b=3 e=c d=4)",
                "insert public.renamed (a=4 b=4 d=5)",
                "delete public.renamed (a=4 b=4 d=5)",
            ],
            "{}",
            plugin.name()
        );
    }
}

// trap C-14
#[test]
fn a_prepared_transaction_arrives_whole_at_its_commit_and_never_when_rolled_back() {
    let source = Source::new("decode_prepared", SCHEMA);
    source
        .database
        .psql(
            "begin; insert into f values (1, null); prepare transaction 'kept';
             begin; insert into f values (2, null); prepare transaction 'dropped';
             insert into f values (3, null);
             commit prepared 'kept'; rollback prepared 'dropped'",
        )
        .unwrap();
    for (plugin, options) in [
        (Plugin::Pgoutput, ["proto_version", "1"].as_slice()),
        (Plugin::Pgoutput, &["proto_version", "3"]),
        (Plugin::Wal2json, &["format-version", "2"]),
        (Plugin::TestDecoding, &[]),
    ] {
        let words = words(&source.events(plugin, options));
        let expected = ["insert public.f (id=3 t=null)", "insert public.f (id=1 t=null)"];
        assert_eq!(words, expected, "{} {options:?}", plugin.name());
    }
}

// trap C-52
#[test]
fn a_row_filter_makes_inserts_and_deletes_of_updates_that_cross_it() {
    let source = Source::publishing(
        "decode_filter",
        "create table r (id int primary key, kept int, hidden int)",
        "table r (id, kept) where (id > 10)",
    );
    source
        .database
        .psql(
            "insert into r values (1, 1, 1), (11, 1, 1);
             update r set id = 12 where id = 1;
             update r set id = 2 where id = 11;
             update r set kept = 5 where id = 12;
             delete from r",
        )
        .unwrap();
    assert_eq!(
        words(&source.events(Plugin::Pgoutput, &["proto_version", "1"])),
        [
            "insert public.r (id=11 kept=1)",
            "insert public.r (id=12 kept=1)",
            "delete public.r (id=11)",
            "update public.r  (id=12 kept=5)",
            "delete public.r (id=12)",
        ]
    );
}

// trap C-31
#[test]
fn generated_columns_come_from_the_text_plugins_only() {
    let source = Source::new(
        "decode_generated",
        "create table g (a int primary key, twice int generated always as (a * 2) stored)",
    );
    source.database.psql("insert into g values (1)").unwrap();
    let insert = |plugin, options| words(&source.events(plugin, options)).pop().unwrap();
    assert_eq!(
        insert(Plugin::Pgoutput, ["proto_version", "1"].as_slice()),
        "insert public.g (a=1)"
    );
    let with = "insert public.g (a=1 twice=2)";
    assert_eq!(insert(Plugin::Wal2json, &["format-version", "2"]), with);
    assert_eq!(insert(Plugin::TestDecoding, &[]), with);
}
