//! What every session pins holds against roles and databases with hostile defaults.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

#[path = "support/sessions.rs"]
mod sessions;

use pgcopydb::base::error::Side;
use pgcopydb::connect::client::Session;
use pgcopydb::connect::client::settings::{self, Maintenance, SessionRole};
use testbed::{Major, TestDatabase, shared};

/// Defaults that each would break a migration, with what must hold instead.
const HOSTILE: &[(&str, &str, &str)] = &[
    ("DateStyle", "German", "ISO, MDY"),
    ("IntervalStyle", "sql_standard", "postgres"),
    ("TimeZone", "America/St_Johns", "UTC"),
    ("extra_float_digits", "-15", "3"),
    ("bytea_output", "escape", "hex"),
    ("array_nulls", "off", "on"),
    ("xmloption", "document", "content"),
    ("standard_conforming_strings", "off", "on"),
    ("quote_all_identifiers", "on", "off"),
    ("transform_null_equals", "on", "off"),
    ("row_security", "on", "off"),
    ("search_path", "nowhere, public", ""),
    ("synchronize_seqscans", "on", "off"),
    ("statement_timeout", "60s", "0"),
    ("lock_timeout", "1", "0"),
    ("idle_in_transaction_session_timeout", "60s", "0"),
    ("idle_session_timeout", "60s", "0"),
    ("vacuum_cost_delay", "100", "0"),
    ("default_transaction_read_only", "on", "off"),
    ("default_transaction_isolation", "serializable", "read committed"),
    ("default_transaction_deferrable", "on", "off"),
    ("client_min_messages", "error", "warning"),
    ("client_encoding", "LATIN1", "UTF8"),
];

/// What must hold on a target beside that.
const HOSTILE_TARGET: &[(&str, &str, &str)] = &[
    ("synchronous_commit", "on", "off"),
    ("check_function_bodies", "on", "off"),
    ("default_tablespace", "pg_default", ""),
];

/// A role whose defaults are all hostile, and a database that it may connect to.
fn hostile_role(database: &TestDatabase<'_>, words: &str) -> String {
    let role = format!("hostile_{}", database.name());
    let mut sql = format!("create role {role} login password 'x' {words};");
    for (name, value, _) in HOSTILE.iter().chain(HOSTILE_TARGET) {
        let value = if value.contains(',') { (*value).to_owned() } else { format!("'{value}'") };
        sql.push_str(&format!("alter role {role} set {name} = {value};"));
    }
    database.psql(&sql).unwrap();
    role
}

async fn setting(session: &mut Session, name: &str) -> String {
    let rows = session.query("select pg_catalog.current_setting($1)", &[Some(name)]).await.unwrap();
    rows.rows[0].text(0).unwrap().to_owned()
}

// trap P-9 V-9 V-10 V-11 V-12 V-13
#[tokio::test]
async fn hostile_defaults_of_a_role_reach_no_session() {
    for major in Major::ALL {
        let database = TestDatabase::create(shared(major), "settings").unwrap();
        let role = hostile_role(&database, "");
        let uri = database.uri_as(&role, "x");

        let mut source = sessions::bare(Side::Source, &uri).await;
        assert_eq!(setting(&mut source, "DateStyle").await, "German, DMY", "{major}");
        let pinned = settings::pin(&mut source, SessionRole::Source).await.unwrap();
        assert!(pinned.skipped.is_empty(), "{major}: {pinned:?}");
        for (name, _, expected) in HOSTILE {
            assert_eq!(setting(&mut source, name).await, *expected, "{major}: source {name}");
        }

        let mut target = sessions::bare(Side::Target, &uri).await;
        settings::pin(&mut target, SessionRole::TargetWriter).await.unwrap();
        for (name, _, expected) in HOSTILE.iter().chain(HOSTILE_TARGET) {
            assert_eq!(setting(&mut target, name).await, *expected, "{major}: target {name}");
        }
        drop((source, target));
        database.psql(&format!("drop owned by {role}; drop role {role}")).unwrap();
    }
}

// trap P-9
#[tokio::test]
async fn a_timeout_of_one_millisecond_does_not_end_the_first_statement() {
    for major in Major::ALL {
        let database = TestDatabase::create(shared(major), "timeouts").unwrap();
        let role = format!("hasty_{}", database.name());
        database
            .psql(&format!(
                "create role {role} superuser login password 'x'; \
                 alter role {role} set statement_timeout = 1; \
                 alter role {role} set lock_timeout = 1"
            ))
            .unwrap();
        if major == Major::V18 {
            database.psql(&format!("alter role {role} set transaction_timeout = 5")).unwrap();
        }
        let mut session = sessions::bare(Side::Source, &database.uri_as(&role, "x")).await;
        settings::pin(&mut session, SessionRole::Source).await.unwrap();
        session.execute("select pg_catalog.pg_sleep(0.05)").await.unwrap();
        assert_eq!(setting(&mut session, "statement_timeout").await, "0");
        if major == Major::V18 {
            assert_eq!(setting(&mut session, "transaction_timeout").await, "0");
        }
        drop(session);
        database.psql(&format!("drop role {role}")).unwrap();
    }
}

#[tokio::test]
async fn triggers_stay_silent_where_the_role_may_say_so() {
    for major in Major::ALL {
        let database = TestDatabase::create(shared(major), "replica").unwrap();
        let role = format!("plain_{}", database.name());
        database.psql(&format!("create role {role} login password 'x'")).unwrap();
        let uri = database.uri_as(&role, "x");

        let mut superuser = sessions::bare(Side::Target, &database.uri()).await;
        let pinned = settings::pin(&mut superuser, SessionRole::TargetWriter).await.unwrap();
        assert!(pinned.replica && pinned.skipped.is_empty(), "{major}: {pinned:?}");
        assert_eq!(setting(&mut superuser, "session_replication_role").await, "replica");

        let mut plain = sessions::bare(Side::Target, &uri).await;
        let pinned = settings::pin(&mut plain, SessionRole::TargetWriter).await.unwrap();
        assert!(!pinned.replica, "{major}");
        assert_eq!(pinned.skipped, ["session_replication_role"], "{major}");
        assert_eq!(setting(&mut plain, "session_replication_role").await, "origin");
        assert_eq!(setting(&mut plain, "DateStyle").await, "ISO, MDY", "the others are pinned");

        database
            .psql(&format!("grant set on parameter session_replication_role to {role}"))
            .unwrap();
        let mut granted = sessions::bare(Side::Target, &uri).await;
        let pinned = settings::pin(&mut granted, SessionRole::TargetWriter).await.unwrap();
        assert!(pinned.replica, "{major}: {pinned:?}");
        drop((plain, granted));
        database
            .psql(&format!(
                "revoke set on parameter session_replication_role from {role}; drop role {role}"
            ))
            .unwrap();
    }
}

#[tokio::test]
async fn index_sessions_get_their_memory_and_helpers() {
    let database = TestDatabase::create(shared(Major::V18), "maintenance").unwrap();
    let mut session = sessions::bare(Side::Target, &database.uri()).await;
    let maintenance = Maintenance { work_mem_kb: 300 * 1024, parallel_workers: 3 };
    settings::pin(&mut session, SessionRole::TargetIndexer(maintenance)).await.unwrap();
    assert_eq!(setting(&mut session, "maintenance_work_mem").await, "300MB");
    assert_eq!(setting(&mut session, "max_parallel_maintenance_workers").await, "3");
}

#[tokio::test]
async fn an_sql_ascii_database_hands_out_its_bytes_unconverted() {
    let words = "template template0 encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C'";
    for major in Major::ALL {
        let database = TestDatabase::create_with(shared(major), "bytes", words).unwrap();
        let mut session = sessions::source(&database).await;
        assert_eq!(setting(&mut session, "client_encoding").await, "SQL_ASCII", "{major}");
        let rows = session.query("select pg_catalog.chr(233)", &[]).await.unwrap();
        assert_eq!(rows.rows[0].bytes(0), Some(&[0xe9][..]), "{major}");
    }
}
