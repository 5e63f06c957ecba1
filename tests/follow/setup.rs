//! Set-up and clean-up: what is made on the source, that it harms nobody, and that it goes away again.

use pgcopydb::base::summary::Severity;
use pgcopydb::config::Plugin;
use pgcopydb::follow::setup::{self, CleanupSettings, SetupSettings};
use testbed::{ClusterOptions, Major, shared};

use super::source::{Source, info, own_cluster, within};

/// What is to be cleaned up after a source.
fn cleanup_of(source: &Source) -> CleanupSettings {
    CleanupSettings {
        source: info(&source.db.uri()),
        target: None,
        slot_name: source.db.name().to_owned(),
        origin: source.db.name().to_owned(),
        publication: None,
    }
}

/// Slots and publications of the database.
fn left(source: &Source) -> String {
    source.value(
        "select (select count(*) from pg_replication_slots where database = current_database())
             || ' ' || (select count(*) from pg_publication)",
    )
}

/// Every kind of table that there is.
const ZOO: &str = "
    create schema \"odd \"\"name\";
    create table \"odd \"\"name\".\"t,.* \"(\"id \"\"\" int primary key);
    create table keyed(id int primary key, v text);
    create table keyless(id int, v text);
    create table nothing(id int primary key); alter table nothing replica identity nothing;
    create table whole(id int, v text); alter table whole replica identity full;
    create table by_index(id int not null unique, v text);
    alter table by_index replica identity using index by_index_id_key;
    create table deferred(id int primary key deferrable);
    create unlogged table fast(id int primary key);
    create materialized view seen as select 1 as x;
    create view looking as select 1 as x;
    create foreign data wrapper w; create server s foreign data wrapper w;
    create foreign table far(id int) server s;
    create table parent(id int primary key); create table child() inherits (parent);
    create table p(id int, v text) partition by range (id);
    create table p1 partition of p for values from (0) to (10);
    create table p2 partition of p for values from (10) to (20);
    alter table p1 add primary key (id);
    create table q(id int primary key, v text) partition by range (id);
    create table q1 partition of q for values from (0) to (10);
    create table gen(id int, twice int generated always as (id * 2) stored);
    alter table gen replica identity full;
";

// trap C-27
#[tokio::test]
async fn no_statement_of_the_application_fails_because_of_us() {
    for major in [Major::V15, Major::V16, Major::V18] {
        let source = Source::on(shared(major), "harmless", ZOO);
        if major == Major::V18 {
            source
                .db
                .psql(
                    "create table vgen(id int, twice int generated always as (id * 2) virtual);
                alter table vgen replica identity full",
                )
                .unwrap();
        }
        let ready = source.setup().await;
        let tables = source.value(
            "select string_agg(c.oid::regclass::text, E'\\n') from pg_class c
             join pg_namespace n on n.oid = relnamespace
             where relkind in ('r', 'p') and nspname !~ '^(pg_|information_schema)'",
        );
        for table in tables.lines() {
            let has_v = !source
                .value(&format!(
                    "select 1 from pg_attribute where attrelid = '{}'::regclass and attname = 'v'",
                    table.replace('\'', "''")
                ))
                .is_empty();
            let column = source.value(&format!(
                "select quote_ident(attname) from pg_attribute where attrelid = '{}'::regclass and attnum = 1",
                table.replace('\'', "''")
            ));
            // Inside the bounds of the second partition.
            let value = if table == "p2" { 15 } else { 5 };
            source.db.psql(&format!("insert into {table}({column}) values ({value})")).unwrap();
            let set = if has_v { "v = 'x'".to_owned() } else { format!("{column} = {value} + 1") };
            source.db.psql(&format!("update {table} set {set}")).unwrap();
            source.db.psql(&format!("delete from {table}")).unwrap();
        }
        let named: Vec<&str> = ready
            .findings
            .iter()
            .filter(|finding| finding.severity == Severity::Warning)
            .map(|finding| finding.object.as_str())
            .collect();
        for expected in
            ["public.keyless", "public.nothing", "public.deferred", "public.p2", "public.child"]
        {
            assert!(named.contains(&expected), "{expected} of {named:?} on {major:?}");
        }
        assert!(!named.contains(&"public.keyed") && !named.contains(&"public.whole"), "{named:?}");
        // And the stream decodes: the publications do not contradict each other.
        let changes = {
            source.receive_all().await;
            source.changes().await
        };
        assert!(changes.iter().any(|change| change == "insert keyless(5,null)"), "{changes:?}");
        assert!(!changes.iter().any(|change| change.starts_with("update keyless")), "{changes:?}");
        assert!(changes.iter().any(|change| change == "update keyed(5,x)"), "{changes:?}");
        assert!(changes.iter().any(|change| change.starts_with("insert t,.* (5)")), "{changes:?}");
        assert!(!changes.iter().any(|change| change.contains(" fast")), "{changes:?}");
    }
}

// trap C-35
#[tokio::test]
async fn a_partition_made_later_is_in_the_stream() {
    let source = Source::new("later", "create table q(id int primary key, v text) partition by range (id);
        create table q1 partition of q for values from (0) to (10);
        create table p(id int) partition by range (id); create table p1 partition of p for values from (0) to (10)");
    source.setup().await;
    source
        .db
        .psql(
            "create table q2 partition of q for values from (10) to (20);
        create table p2 partition of p for values from (10) to (20)",
        )
        .unwrap();
    source.commit("insert into q values (1, 'a'), (11, 'b'); update q set v = 'c' where id = 11");
    source.commit("insert into p values (1), (11)");
    source.commit("truncate q1");
    source.receive_all().await;
    assert_eq!(
        source.changes().await,
        [
            "insert q1(1,a)",
            "insert q2(11,b)",
            "update q2(11,c)",
            "insert p1(1)",
            "insert p2(11)",
            "truncate q1"
        ]
    );
}

#[tokio::test]
async fn only_what_is_followed_is_published_and_nothing_is_still_valid() {
    let source = Source::new(
        "some",
        "create table a(id int primary key); create table b(id int primary key)",
    );
    source.setup_for(&["a"]).await;
    source.commit("insert into b values (1); insert into a values (1)");
    source.receive_all().await;
    assert_eq!(source.changes().await, ["insert a(1)"]);
    let none = Source::new("none", "create table a(id int primary key)");
    none.setup_for(&[]).await;
    none.commit("insert into a values (1)");
    none.receive_all().await;
    assert_eq!(none.changes().await, Vec::<String>::new());
}

#[tokio::test]
async fn thousands_of_tables_are_published() {
    let source = Source::new("many", "");
    source.db.psql("do $$ begin for i in 1..1200 loop execute format('create table t%s(id int primary key)', i);
        if i % 400 = 0 then commit; end if; end loop; end $$").unwrap();
    source.setup().await;
    assert_eq!(source.value("select count(*) from pg_publication_rel"), "1200");
}

// trap X-21
#[tokio::test]
async fn setup_continues_and_cleanup_leaves_nothing_both_as_often_as_you_like() {
    let source = Source::new("again", "create table a(id int primary key); create table b(id int)");
    let first = source.setup().await;
    let snapshot = &first.holder.as_ref().unwrap().snapshot;
    source.db.psql(&format!("begin isolation level repeatable read; set transaction snapshot '{snapshot}'; select 1; commit")).unwrap();
    let record = first.record.clone();
    drop(first);
    let again = source.setup().await;
    assert_eq!(again.record, record);
    assert!(again.holder.is_none());
    assert_eq!(left(&source), "1 2");
    let dropped = within(setup::cleanup(&cleanup_of(&source))).await.unwrap();
    assert_eq!(dropped.len(), 3, "{dropped:?}");
    assert_eq!(left(&source), "0 0");
    assert_eq!(within(setup::cleanup(&cleanup_of(&source))).await.unwrap(), Vec::<String>::new());
    setup::forget(&source.state_db(), &source.dir.path().join("snapshot")).unwrap();
    assert!(source.setup().await.holder.is_some(), "and it can begin anew");
}

// trap X-21
#[tokio::test]
async fn what_a_crash_left_in_the_making_is_taken_over() {
    let source = Source::new(
        "crash",
        "create table a(id int primary key); create table b(id int primary key)",
    );
    // Recorded, publication begun, slot made, and then the process was killed.
    let mut record = {
        let made = source.setup().await;
        made.record.clone()
    };
    record.consistent_point = proto::lsn::Lsn::INVALID;
    source.sentinel().set_slot(&record).unwrap();
    source.db.psql(&format!("alter publication {} drop table b", source.db.name())).unwrap();
    let ready = source.setup().await;
    assert!(ready.holder.is_some(), "a new slot with a new snapshot");
    assert_eq!(source.value("select count(*) from pg_publication_rel"), "2");
    assert_eq!(left(&source), "1 1");
}

#[tokio::test]
async fn slots_and_publications_of_others_are_refused_and_stay() {
    let source = Source::new("others", "create table a(id int primary key)");
    let name = source.db.name();
    source
        .db
        .psql(&format!("select pg_create_logical_replication_slot('{name}', 'test_decoding')"))
        .unwrap();
    let error = within(setup::create_slot(&source.settings())).await.unwrap_err();
    assert!(error.to_string().contains("uses plugin test_decoding"), "{error}");
    source
        .db
        .psql(&format!(
            "select pg_drop_replication_slot('{name}');
        select pg_create_logical_replication_slot('{name}', 'pgoutput')"
        ))
        .unwrap();
    let error = within(setup::create_slot(&source.settings())).await.unwrap_err();
    assert!(error.to_string().contains("was not made in this work directory"), "{error}");
    source
        .db
        .psql(&format!("select pg_drop_replication_slot('{name}'); create publication {name}"))
        .unwrap();
    let error = within(setup::create_slot(&source.settings())).await.unwrap_err();
    assert!(error.to_string().contains("was not made by pgcopydb"), "{error}");
    let other = Source::new("another", "create table a(id int primary key)");
    let settings = SetupSettings { slot_name: name.to_owned(), ..other.settings() };
    source
        .db
        .psql(&format!("select pg_create_logical_replication_slot('{name}', 'pgoutput')"))
        .unwrap();
    let error = within(setup::create_slot(&settings)).await.unwrap_err();
    assert!(error.to_string().contains("belongs to database"), "{error}");
    // Nor are they cleaned up.
    let settings = CleanupSettings { slot_name: name.to_owned(), ..cleanup_of(&other) };
    assert!(within(setup::cleanup(&settings)).await.is_err());
    assert_eq!(left(&source), "1 1");
}

// trap C-53
#[tokio::test]
async fn a_role_that_lacks_everything_is_told_everything_at_once() {
    let source = Source::new("poor", "create table a(id int primary key)");
    let role = format!("{}_role", source.db.name());
    source.db.psql(&format!("create role {role} login; grant select on a to {role}; grant usage on schema public to {role}")).unwrap();
    let settings =
        SetupSettings { source: info(&source.db.uri_as(&role, "x")), ..source.settings() };
    let error = within(setup::create_slot(&settings)).await.unwrap_err();
    assert!(error.to_string().contains("3 things are missing"), "{error}");
    assert_eq!(left(&source), "0 0");
    source.db.psql(&format!("drop owned by {role}; drop role {role}")).unwrap();
}

#[tokio::test]
async fn a_server_that_does_not_log_logically_is_named_with_the_statement() {
    let options = ClusterOptions::default().setting("wal_level", "replica");
    let cluster = own_cluster(Major::V15, options);
    let source = Source::on(cluster, "physical", "create table a(id int primary key)");
    let error = within(setup::create_slot(&source.settings())).await.unwrap_err();
    assert!(error.to_string().contains("wal_level"), "{error}");
    assert!(error.detail_lines().join(" ").contains("ALTER SYSTEM SET wal_level"), "{error:?}");
    drop(source);
    cluster.stop_immediate().unwrap();
}

// trap C-54
#[tokio::test]
async fn a_plugin_that_cannot_be_loaded_is_found_before_anything_is_made() {
    // The wheel's server has no wal2json.
    let mut source = Source::on(shared(Major::V18), "plugin", "create table a(id int primary key)");
    source.plugin = Plugin::Wal2json;
    let error = within(setup::create_slot(&source.settings())).await.unwrap_err();
    assert!(error.to_string().contains("plugin wal2json"), "{error}");
    assert_eq!(left(&source), "0 0");
}

// trap S-22
#[tokio::test]
async fn a_slot_waits_for_an_open_transaction_and_comes_when_it_ends() {
    let source = Source::new("waiting", "create table a(id int primary key)");
    let mut session = source.db.session().unwrap();
    session.run("begin; insert into a values (1)").unwrap();
    let settings = source.settings();
    let making = tokio::spawn(async move { setup::create_slot(&settings).await });
    super::source::until("the slot is in the making", || {
        source
            .value("select count(*) from pg_replication_slots where database = current_database()")
            == "1"
    })
    .await;
    assert!(!making.is_finished());
    session.run("commit").unwrap();
    assert!(within(making).await.unwrap().unwrap().holder.is_some());
}

// trap X-4
#[tokio::test]
async fn standbys_may_keep_a_copy_of_the_slot_where_the_version_knows_it() {
    let source = Source::on(shared(Major::V18), "failover", ZOO);
    source.setup().await;
    let sql = "select failover from pg_replication_slots where slot_name = current_database()";
    assert_eq!(source.value(sql), "t");
    // One that somebody made without stays as it is and is used.
    let other = Source::on(shared(Major::V18), "without", ZOO);
    other.setup().await;
    let name = other.db.name();
    let sql = format!("select pg_drop_replication_slot('{name}')");
    other.db.psql(&sql).unwrap();
    let sql = format!("select pg_create_logical_replication_slot('{name}', 'pgoutput')");
    other.db.psql(&sql).unwrap();
    assert!(other.setup().await.holder.is_none());
    assert_eq!(
        other.value(
            "select failover from pg_replication_slots where slot_name = current_database()"
        ),
        "f"
    );
}
