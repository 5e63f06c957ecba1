//! Facts about servers, targets, and errors that name what to change.

use pgcopydb::base::ident::QualifiedName;
use pgcopydb::catalog::fetch::{self, SizeSource};
use pgcopydb::catalog::model::TableKind;
use testbed::{Major, TestDatabase, shared};

use crate::{connect, on_every_version, read, read_after, snapshot};

#[tokio::test]
async fn facts_are_the_servers() {
    for (major, database) in on_every_version("facts") {
        let catalog = read_after(&database, "select lo_create(0), lo_create(0)").await;
        let server = catalog.server;
        assert_eq!(server.major(), major.number());
        let ask = |sql: &str| database.psql(sql).unwrap();
        assert_eq!(server.version.to_string(), ask("show server_version_num"));
        assert_eq!(server.version_text, ask("show server_version"));
        assert_eq!(
            server.system_identifier.to_string(),
            ask("select system_identifier from pg_control_system()")
        );
        assert_eq!(server.database, database.name());
        let oid = ask("select oid from pg_database where datname = current_database()");
        assert_eq!(server.database_oid.to_string(), oid);
        assert_eq!(server.encoding, "UTF8");
        assert_eq!(server.collate, "C.UTF-8");
        assert_eq!(server.block_size, 8192);
        assert!(!server.standby);
        assert_eq!(server.role, "postgres");
        assert!(server.superuser && server.bypass_rls && server.may_create && server.replication);
        // The testbed allows 100, the server keeps 3 for superusers.
        assert_eq!(server.connections_max, 97);
        assert!(server.integer_datetimes);
        assert_eq!(server.parallel_maintenance_workers, 2);
        assert_eq!(server.worker_processes, 8);
        assert_eq!(server.maintenance_work_mem, 64 << 20);
        assert_eq!(server.shared_buffers, 128 << 20);
        assert_eq!(server.max_wal_size, 4 << 30);
        assert_eq!(server.wal_level, "logical");
        assert_eq!(server.old_snapshot_threshold, None);
        assert_eq!(server.statement_timeout, "0");
        assert_eq!(catalog.large_objects, 2);
    }
}

#[tokio::test]
async fn an_ordinary_role_sees_its_own_limits() {
    for (_, database) in on_every_version("limits") {
        let role = format!("plain_{}", database.name());
        database
            .psql(&format!(
                "create role {role} login connection limit 7;
                 alter role {role} set statement_timeout = '5min';
                 revoke execute on function pg_control_system() from public;"
            ))
            .unwrap();
        let mut session = snapshot(&database.uri_as(&role, "")).await;
        let server = fetch::server(&mut session).await.unwrap();
        assert!(!server.superuser && !server.bypass_rls && !server.replication);
        assert!(!server.may_create);
        assert_eq!(server.connections_max, 7);
        assert_eq!(server.system_identifier, 0);
        assert_eq!(server.statement_timeout, "5min");
        // Not being allowed to know the identifier has not cost the transaction.
        fetch::source(&mut session, SizeSource::Files).await.unwrap();
        drop(session);
        database.psql(&format!("drop role {role}")).unwrap();
    }
}

#[tokio::test]
async fn what_exists_on_a_target_is_listed() {
    for (_, database) in on_every_version("target") {
        database
            .psql(
                "create schema s; create table s.t (id serial primary key); create view v as select 1;
                 create materialized view m as select 1; create table p (a int) partition by list (a);
                 create table member (a int); alter extension plpgsql add table member;
                 create schema pgcopydb; create table pgcopydb.ledger (a int);",
            )
            .unwrap();
        let mut session = connect(&database.uri()).await;
        let facts = fetch::target(&mut session).await.unwrap();
        assert_eq!(facts.schemas, ["pgcopydb", "public", "s"]);
        assert_eq!(
            facts.relations,
            [
                (QualifiedName::new("public", "m"), TableKind::MaterializedView),
                (QualifiedName::new("public", "p"), TableKind::Partitioned),
                (QualifiedName::new("public", "v"), TableKind::View),
                (QualifiedName::new("s", "t"), TableKind::Ordinary),
                (QualifiedName::new("s", "t_id_seq"), TableKind::Sequence),
            ]
        );
        assert_eq!(facts.extensions, [("plpgsql".to_owned(), "1.0".to_owned())]);
        assert!(facts.available_extensions.contains(&("plpgsql".to_owned(), "1.0".to_owned())));
        assert!(facts.tablespaces.contains(&"pg_default".to_owned()));
        assert!(facts.roles.contains(&"postgres".to_owned()));
        assert_eq!(facts.server.database, database.name());
    }
}

// trap P-6
#[tokio::test]
async fn whether_the_replication_role_can_be_set_is_tried() {
    for (major, database) in on_every_version("replication_role") {
        let role = format!("apply_{}", database.name());
        database.psql(&format!("create role {role} login")).unwrap();
        let mut session = connect(&database.uri()).await;
        assert!(fetch::target(&mut session).await.unwrap().may_set_replication_role);
        let rows = session.query("show session_replication_role", &[]).await.unwrap();
        assert_eq!(rows.rows[0].text(0).unwrap(), "origin");

        let mut session = connect(&database.uri_as(&role, "")).await;
        assert!(!fetch::target(&mut session).await.unwrap().may_set_replication_role);
        database
            .psql(&format!("grant set on parameter session_replication_role to {role}"))
            .unwrap_or_else(|error| panic!("{major}: {error}"));
        assert!(fetch::target(&mut session).await.unwrap().may_set_replication_role);
        drop(session);
        database.psql(&format!("drop owned by {role}; drop role {role}")).unwrap();
    }
}

// trap X-15
#[tokio::test]
async fn a_statement_timeout_names_the_setting_and_the_role() {
    for (_, database) in on_every_version("timeout") {
        database.psql("create table t (a int)").unwrap();
        let mut other = connect(&database.uri()).await;
        other.execute("begin; lock table t in access exclusive mode").await.unwrap();
        // The size functions wait for the lock until the timeout ends them.
        let mut session = snapshot(&database.uri()).await;
        session.execute("set statement_timeout = '200ms'").await.unwrap();
        let error = fetch::source(&mut session, SizeSource::Files).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("source: read catalog with table_sizes.sql: ERROR 57014"),
            "{text}"
        );
        let hint = error.detail_lines().join("\n");
        assert!(hint.contains("alter role \"postgres\" set statement_timeout = 0"), "{hint}");
    }
}

#[tokio::test]
async fn estimated_sizes_are_read_beside_an_exclusive_lock() {
    let database = TestDatabase::create(shared(Major::V15), "no_lock").unwrap();
    database.psql("create table t (a int)").unwrap();
    let mut other = connect(&database.uri()).await;
    other.execute("begin; lock table t in access exclusive mode").await.unwrap();
    let mut session = snapshot(&database.uri()).await;
    session.execute("set lock_timeout = '1ms'").await.unwrap();
    let catalog = fetch::source(&mut session, SizeSource::Estimate).await;
    assert_eq!(catalog.unwrap().tables.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_request_gets_no_hint_about_timeouts() {
    let database = TestDatabase::create(shared(Major::V15), "cancelled").unwrap();
    database.psql("create table t (a int)").unwrap();
    let mut other = connect(&database.uri()).await;
    other.execute("begin; lock table t in access exclusive mode").await.unwrap();
    let mut session = snapshot(&database.uri()).await;
    let waiting = format!(
        "select count(pg_cancel_backend(pid)) from pg_stat_activity
         where pid = {} and wait_event_type = 'Lock'",
        session.process_id()
    );
    let reading =
        tokio::spawn(
            async move { fetch::source(&mut session, SizeSource::Files).await.unwrap_err() },
        );
    testbed::process::wait_until("the query to wait", std::time::Duration::from_secs(60), || {
        Ok(database.psql(&waiting)? == "1")
    })
    .unwrap();
    let error = reading.await.unwrap();
    assert!(error.to_string().contains("57014"), "{error}");
    assert!(error.detail_lines().is_empty(), "{:?}", error.detail_lines());
}

#[tokio::test]
async fn a_catalog_survives_json() {
    let database = TestDatabase::create(shared(Major::V18), "json").unwrap();
    database
        .psql("create table t (id serial primary key, m int4multirange); create index on t (m)")
        .unwrap();
    let catalog = read(&database.uri()).await;
    let json = serde_json::to_string(&catalog).unwrap();
    let again: pgcopydb::catalog::model::SourceCatalog = serde_json::from_str(&json).unwrap();
    assert_eq!(again.tables, catalog.tables);
    assert_eq!(again.types, catalog.types);
    assert_eq!(again.indexes, catalog.indexes);
}
