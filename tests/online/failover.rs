//! The source fails over to a standby that keeps a copy of the slot, from version 17 on.

use tempfile::TempDir;
use testbed::compare::Comparison;
use testbed::process::wait_until;
use testbed::{Cluster, ClusterOptions, Installation, Major, Pgcopydb, StopMode};

use super::support::{DATABASE, DEADLINE};

/// A primary and its standby, which keeps copies of the primary's slots.
fn with_standby(installation: &Installation) -> (Cluster, Cluster) {
    let primary = Cluster::start(installation, ClusterOptions::default()).unwrap();
    primary.psql("postgres", "select pg_create_physical_replication_slot('standby')").unwrap();
    let standby = Cluster::standby_of(&primary).unwrap();
    let primary_conninfo =
        format!("host=127.0.0.1 port={} user=postgres dbname=postgres", primary.port());
    for (name, value) in [
        ("primary_slot_name", "standby"),
        ("hot_standby_feedback", "on"),
        ("primary_conninfo", &primary_conninfo),
        ("sync_replication_slots", "on"),
    ] {
        standby.set(name, value).unwrap();
    }
    // Nothing is sent to us that the standby does not have.
    primary.set("synchronized_standby_slots", "standby").unwrap();
    (primary, standby)
}

// trap X-4
#[test]
fn following_goes_on_at_a_promoted_standby_that_has_the_slot() {
    if !testbed::slow_tests() {
        return;
    }
    let installation = Installation::find(Major::V18).unwrap();
    let (primary, standby) = with_standby(&installation);
    let target = Cluster::start(&installation, ClusterOptions::default()).unwrap();
    primary.create_database(DATABASE).unwrap();
    target.create_database(DATABASE).unwrap();
    primary
        .psql(DATABASE, "create table t (id int primary key); insert into t values (1)")
        .unwrap();
    let dir = TempDir::new().unwrap();
    let source = format!(
        "postgresql://postgres@127.0.0.1:{},127.0.0.1:{}/{DATABASE}?target_session_attrs=read-write",
        primary.port(),
        standby.port()
    );
    let program = |words: &[&str]| {
        Pgcopydb::new()
            .unwrap()
            .args(words)
            .ends(&source, &target.uri(DATABASE))
            .arg("--dir")
            .arg(dir.path().join("work"))
            .env("PGCOPYDB_LOG_FILENAME", dir.path().join("log"))
            .env("PG_CONFIG", installation.bindir.join("pg_config"))
            .deadline(DEADLINE)
    };
    let mut running = program(&["clone", "--follow"]).spawn().unwrap();
    let mut arrives = |cluster: &Cluster, id: u32| {
        cluster.psql(DATABASE, &format!("insert into t values ({id})")).unwrap();
        wait_until("a change", DEADLINE, || {
            let log = std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
            assert!(running.is_running()?, "it ended by itself: {log}");
            let count = target.psql(DATABASE, &format!("select count(*) from t where id = {id}"));
            Ok(count.is_ok_and(|count| count == "1"))
        })
        .unwrap();
    };
    arrives(&primary, 2);
    wait_until("the standby's copy of the slot", DEADLINE, || {
        // The copy is made when the slot moves on.
        primary.psql(DATABASE, "select txid_current(); select pg_log_standby_snapshot()")?;
        let sql = "select count(*) from pg_replication_slots
                   where slot_name = 'pgcopydb' and synced and not temporary";
        Ok(standby.psql("postgres", sql)? == "1")
    })
    .unwrap();
    arrives(&primary, 3);
    standby.wait_replayed(&primary).unwrap();
    primary.stop(StopMode::Immediate).unwrap();
    standby.psql("postgres", "select pg_promote()").unwrap();
    arrives(&standby, 4);
    let set = ["stream", "sentinel", "set", "endpos", "--current", "--source", &source, "--dir"];
    let set = Pgcopydb::new().unwrap().args(set).arg(dir.path().join("work"));
    set.run().unwrap().success().unwrap();
    let output = running.wait(DEADLINE).unwrap().success().unwrap();
    assert!(output.stderr.contains("promoted"), "{output}");
    program(&["stream", "cleanup"]).run().unwrap().success().unwrap();
    Comparison::new(&standby.uri(DATABASE), &target.uri(DATABASE)).run().unwrap().assert_same();
}
