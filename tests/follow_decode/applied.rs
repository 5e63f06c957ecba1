//! The same stream applied through every plugin ends in the same rows as the source has.

use std::time::Duration;

use pgcopydb::base::error::Result;
use pgcopydb::config::{FollowConfig, Plugin};
use pgcopydb::connect::conninfo::{ConnInfo, Environment};
use pgcopydb::follow::apply::{Applier, Scope};
use pgcopydb::follow::change::ChangeEvent;
use testbed::compare::Comparison;
use testbed::{TestDatabase, target};

use crate::stream::Source;

/// Longest time that applying may take.
const DEADLINE: Duration = Duration::from_secs(120);

/// Settings for a target.
fn config(source: &Source, target: &TestDatabase<'_>, plugin: Plugin) -> FollowConfig {
    let info = |uri: &str| ConnInfo::parse(uri, &Environment::empty()).unwrap();
    FollowConfig {
        source: info(&source.database.uri()),
        target: info(&target.uri()),
        directory: std::env::temp_dir(),
        plugin,
        slot_name: source.database.name().to_owned(),
        publication: None,
        // Origins belong to the whole server.
        origin: target.name().to_owned(),
        endpos: None,
        create_slot: true,
        wal2json_numeric_as_string: false,
        replay_no_op_updates: false,
        filters: None,
        disk_bytes_max: None,
        segment_bytes: 1 << 24,
        ignore_missing_rows: false,
        confirm: pgcopydb::config::Confirm::Durable,
        target_read_only: false,
    }
}

/// Applies events to the end and gives the position back.
fn apply(config: &FollowConfig, target: &TestDatabase<'_>, events: Vec<ChangeEvent>) {
    let work = async {
        let mut applier = Applier::open(config, Scope::all()).await?;
        for event in events {
            applier.apply(event).await?;
        }
        applier.close().await
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bounded = async { tokio::time::timeout(DEADLINE, Box::pin(work)).await.unwrap() };
    let outcome: Result<_> = runtime.block_on(bounded);
    outcome.unwrap_or_else(|error| panic!("{}: {error}", config.plugin.name()));
    drop(runtime);
    let free = format!("select pg_replication_origin_drop('{}')", config.origin);
    let dropped = || Ok(target.psql(&free).is_ok());
    // A role that may not use origins has made none.
    let exists = "select count(*) from pg_replication_origin";
    if target.psql(exists).unwrap() != "0" {
        let _ = testbed::process::wait_until("the origin is free", DEADLINE, dropped);
    }
}

const SCHEMA: &str = r#"
    create table t (id int primary key, v text, n numeric, b bytea, j json, f bool);
    create table big (id int primary key, a text, b text);
    alter table big alter column a set storage external;
    create table "Odd ""S"" x" (a int, b text, j json);
    alter table "Odd ""S"" x" replica identity full;
    create table keyed (a int not null, b int not null, c text);
    create unique index keyed_key on keyed (b, a);
    alter table keyed replica identity using index keyed_key;
    create table pair (a int, b int, primary key (a, b));
    create table full_keyed (id int primary key, j json);
    alter table full_keyed replica identity full;
    create table f (id int primary key, t int references t (id));
"#;

const CHANGES: &str = r#"
    insert into t select g, 'v ''' || g, g / 7.0, decode('00ff', 'hex'), '{"a": 1}', g % 2 = 0
      from generate_series(1, 50) g;
    update t set v = null where id < 10;
    update t set v = 'again' where id = 3;
    update t set id = id + 100 where id between 20 and 30;
    update t set id = 51 where id = 1;
    update t set n = -n, f = not f;
    delete from t where id % 5 = 0;
    insert into big select g, repeat('x', 5000), 'y' from generate_series(1, 5) g;
    update big set b = 'z';
    update big set id = id + 10 where id > 3;
    update big set id = id + 10, b = 'w' where id = 1;
    delete from big where id = 2;
    insert into "Odd ""S"" x" select 1, 'same', '{}' from generate_series(1, 4);
    update "Odd ""S"" x" set b = 'other' where ctid = '(0,1)';
    delete from "Odd ""S"" x" where ctid = '(0,2)';
    insert into "Odd ""S"" x" values (2, null, null), (2, 'x', null);
    delete from "Odd ""S"" x" where a = 2 and b is null;
    insert into keyed select g, -g, 'c' from generate_series(1, 10) g;
    update keyed set c = 'd';
    update keyed set a = a + 20 where a > 5;
    delete from keyed where a = 1;
    insert into pair select g, g from generate_series(1, 5) g;
    update pair set b = b + 1 where a > 2;
    delete from pair where a = 1;
    insert into full_keyed select g, '{"k": 2}' from generate_series(1, 5) g;
    update full_keyed set j = '[]' where id = 2;
    update full_keyed set id = 12 where id = 3;
    delete from full_keyed where id = 4;
    insert into f values (1, 3);
    begin; truncate f; insert into f values (2, 3); commit;
"#;

#[test]
fn every_plugin_leads_to_the_rows_of_the_source() {
    for (plugin, options) in [
        (Plugin::Pgoutput, ["proto_version", "1"].as_slice()),
        (Plugin::Pgoutput, &["proto_version", "1", "binary", "true"]),
        (Plugin::Wal2json, &["format-version", "2"]),
        (Plugin::TestDecoding, &[]),
    ] {
        let source = Source::new("decode_applied", SCHEMA);
        let target = TestDatabase::create(target(), "decode_applied_tgt").unwrap();
        target.psql(SCHEMA).unwrap();
        source.database.psql(CHANGES).unwrap();
        let config = config(&source, &target, plugin);
        apply(&config, &target, source.events(plugin, options));
        let comparison = Comparison::new(&source.database.uri(), &target.uri());
        let (rows, differences) = comparison.exclude_schema("pgcopydb").rows().unwrap();
        assert!(differences.is_empty(), "{} {options:?}: {differences:#?}", plugin.name());
        assert!(rows.len() >= 7, "{rows:?}");
    }
}
