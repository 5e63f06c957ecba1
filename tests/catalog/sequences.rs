//! Sequences: who owns and uses them, and where they stand.

use pgcopydb::catalog::sequence_values::{SequenceValue, sequence_values};
use testbed::{Cluster, ClusterOptions, Installation, Major};

use crate::{connect, on_every_version, read, read_after, snapshot, table};

// trap T-8, D-29
#[tokio::test]
async fn owners_and_users_of_sequences() {
    for (_, database) in on_every_version("sequence_owner") {
        let catalog = read_after(
            &database,
            "create schema other; create sequence other.shared; create sequence lonely;
             create table serial (id serial);
             create table identity (id int generated always as identity);
             create table one (id int default nextval('other.shared'));
             create table two (id int default nextval('other.shared'),
                again int default nextval('other.shared'));
             create sequence adopted; alter sequence adopted owned by one.id;",
        )
        .await;
        let sequence = |name: &str| {
            catalog.sequences.iter().find(|sequence| sequence.name.name == name).unwrap()
        };
        let oid = |name| table(&catalog, name).oid;
        assert_eq!(sequence("lonely").owned_by, None);
        assert!(sequence("lonely").used_by.is_empty());
        assert_eq!(sequence("serial_id_seq").owned_by, Some(oid("serial")));
        assert_eq!(sequence("serial_id_seq").used_by, [oid("serial")]);
        assert_eq!(sequence("identity_id_seq").owned_by, Some(oid("identity")));
        assert_eq!(sequence("adopted").owned_by, Some(oid("one")));
        assert_eq!(sequence("shared").owned_by, None);
        assert_eq!(sequence("shared").used_by, [oid("one"), oid("two")]);
        assert_eq!(sequence("shared").name.schema, "other");
    }
}

// trap D-28
#[tokio::test]
async fn values_are_what_setval_needs() {
    for (_, database) in on_every_version("sequence_values") {
        let catalog = read_after(
            &database,
            "create sequence fresh; create sequence called; select nextval('called');
             create sequence placed; select setval('placed', 42, false);
             create sequence \"Full\" maxvalue 3 cycle; select setval('\"Full\"', 3);
             create sequence down increment -5 start -7; select nextval('down'), nextval('down');
             create sequence largest as bigint; select setval('largest', 9223372036854775807);",
        )
        .await;
        let mut session = connect(&database.uri()).await;
        let read = sequence_values(&mut session, &catalog.sequences).await.unwrap();
        assert!(read.unreadable.is_empty() && read.gone.is_empty());
        let expected = [
            ("fresh", 1, false),
            ("called", 1, true),
            ("placed", 42, false),
            ("Full", 3, true),
            ("down", -12, true),
            ("largest", i64::MAX, true),
        ];
        assert_eq!(read.values.len(), expected.len());
        for (name, last_value, is_called) in expected {
            let sequence = catalog.sequences.iter().find(|one| one.name.name == name).unwrap();
            let value = SequenceValue { oid: sequence.oid, last_value, is_called };
            assert!(read.values.contains(&value), "{name}: {:?}", read.values);
        }
    }
}

// trap D-28
#[tokio::test]
async fn unreadable_and_dropped_sequences_are_named() {
    for (_, database) in on_every_version("sequence_access") {
        let role = format!("reader_of_{}", database.name());
        database
            .psql(&format!(
                "create role {role} login; create schema closed;
                 create sequence granted; create sequence denied; create sequence gone;
                 create sequence closed.hidden;
                 grant select on all sequences in schema public, closed to {role};
                 revoke select on denied from {role};"
            ))
            .unwrap();
        let catalog = read(&database.uri()).await;
        let oid = |name: &str| {
            catalog.sequences.iter().find(|sequence| sequence.name.name == name).unwrap().oid
        };
        // Inside the old snapshot, which still sees the dropped one.
        let mut session = snapshot(&database.uri_as(&role, "")).await;
        database.psql("drop sequence gone").unwrap();
        let read = sequence_values(&mut session, &catalog.sequences).await.unwrap();
        let values: Vec<_> = read.values.iter().map(|value| value.oid).collect();
        assert_eq!(values, [oid("granted")]);
        let mut unreadable = read.unreadable.clone();
        unreadable.sort_unstable();
        let mut expected = vec![oid("denied"), oid("hidden")];
        expected.sort_unstable();
        assert_eq!(unreadable, expected);
        assert_eq!(read.gone, [oid("gone")]);
        drop(session);
        database.psql(&format!("drop owned by {role}; drop role {role}")).unwrap();
    }
}

#[tokio::test]
async fn more_sequences_than_one_statement_takes() {
    for (_, database) in on_every_version("sequence_many") {
        let catalog = read_after(
            &database,
            "do $$ begin for i in 1..1203 loop
                execute format('create sequence s%s start %s', i, i);
             end loop; end $$;",
        )
        .await;
        let mut session = connect(&database.uri()).await;
        let read = sequence_values(&mut session, &catalog.sequences).await.unwrap();
        let mut values: Vec<_> = read.values.iter().map(|value| value.last_value).collect();
        values.sort_unstable();
        assert_eq!(values, (1..=1203).collect::<Vec<i64>>());
    }
}

// trap S-21
#[tokio::test]
async fn a_standby_is_read_and_its_unlogged_sequences_are_not() {
    let installation = Installation::find(Major::V16).unwrap();
    let primary = Cluster::start(&installation, ClusterOptions::default()).unwrap();
    primary
        .psql(
            "postgres",
            "create table t (id serial primary key); insert into t default values;
             create unlogged table u (id serial primary key); insert into u values (1);",
        )
        .unwrap();
    let standby = Cluster::standby_of(&primary).unwrap();
    let catalog = read(&standby.uri("postgres")).await;
    assert!(catalog.server.standby);
    assert_eq!(catalog.tables.len(), 2);
    assert!(table(&catalog, "t").bytes > 0);
    let mut session = snapshot(&standby.uri("postgres")).await;
    let read = sequence_values(&mut session, &catalog.sequences).await.unwrap();
    let name =
        |oid| catalog.sequences.iter().find(|one| one.oid == oid).unwrap().name.name.as_str();
    let values: Vec<_> = read.values.iter().map(|value| name(value.oid)).collect();
    assert_eq!(values, ["t_id_seq"]);
    let unreadable: Vec<_> = read.unreadable.iter().map(|oid| name(*oid)).collect();
    assert_eq!(unreadable, ["u_id_seq"]);
}
