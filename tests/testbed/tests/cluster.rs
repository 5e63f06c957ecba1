//! Clusters start, restart, vanish.

use std::path::Path;
use std::time::Duration;

use testbed::process::wait_until;
use testbed::{Cluster, ClusterOptions, Installation, Major, StopMode, TestDatabase};

/// A cluster of one test's own.
fn own(major: Major, options: ClusterOptions) -> Cluster {
    let installation = Installation::find(major).expect("programs of this version");
    Cluster::start(&installation, options).expect("a cluster")
}

#[test]
fn every_major_version_starts_and_answers() {
    for major in Major::ALL {
        let cluster = testbed::shared(major);
        let version = cluster.psql("postgres", "show server_version_num").unwrap();
        assert_eq!(version, cluster.installation().version_num.to_string());
        assert_eq!(cluster.psql("postgres", "show wal_level").unwrap(), "logical");
    }
}

#[test]
fn dropped_cluster_leaves_neither_files_nor_server() {
    let cluster = own(Major::V15, ClusterOptions::default());
    let (dir, pid) = (cluster.socket_dir().to_owned(), cluster.pid().unwrap());
    assert!(dir.exists());
    drop(cluster);
    assert!(!dir.exists(), "{} is still there", dir.display());
    // Whoever reaps orphans may take a moment after the process has ended.
    let gone = || Ok(state_of(pid).is_none_or(|state| state == "Z"));
    wait_until("the server to end", Duration::from_secs(30), gone).unwrap();
}

/// State of a process out of `/proc/PID/stat`, `None` when it is gone.
fn state_of(pid: u32) -> Option<String> {
    let stat =
        std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    Some(stat.rsplit(") ").next()?.split(' ').next()?.to_owned())
}

#[test]
fn crashed_server_recovers_on_its_old_port() {
    let cluster = own(Major::V15, ClusterOptions::default());
    cluster.psql("postgres", "create table t as select 42 as answer").unwrap();
    let port = cluster.port();
    cluster.stop_immediate().unwrap();
    assert!(cluster.psql("postgres", "select 1").is_err());
    cluster.start_again().unwrap();
    assert_eq!(cluster.port(), port);
    assert_eq!(cluster.psql("postgres", "select answer from t").unwrap(), "42");
    assert!(cluster.log().contains("database system was not properly shut down"));
    cluster.restart(StopMode::Fast).unwrap();
    assert_eq!(cluster.psql("postgres", "select answer from t").unwrap(), "42");
}

#[test]
fn changed_setting_is_seen_by_new_sessions() {
    let cluster = own(Major::V15, ClusterOptions::default().setting("work_mem", "7MB"));
    assert_eq!(cluster.psql("postgres", "show work_mem").unwrap(), "7MB");
    cluster.set("work_mem", "9MB").unwrap();
    assert_eq!(cluster.psql("postgres", "show work_mem").unwrap(), "9MB");
    cluster.reset("work_mem").unwrap();
    assert_eq!(cluster.psql("postgres", "show work_mem").unwrap(), "7MB");
}

#[test]
fn scram_cluster_refuses_wrong_password_and_takes_the_right_one() {
    let cluster = own(Major::V15, ClusterOptions::default().scram("it's a secret"));
    let psql = |uri: &str| {
        let mut command = cluster.installation().command("psql");
        command.args(["-XAtc", "select 1", uri]);
        testbed::process::run(&mut command, None, Duration::from_secs(60)).unwrap()
    };
    let right = psql(&cluster.uri_as("postgres", "it's a secret", "postgres"));
    assert_eq!(right.stdout.trim(), "1");
    let wrong = psql(&cluster.uri_as("postgres", "wrong", "postgres"));
    assert!(wrong.stderr.contains("password authentication failed"), "{wrong}");
}

#[test]
fn tls_cluster_proves_itself_and_takes_client_certificates() {
    let options = ClusterOptions::default().tls().hba("hostssl all all 127.0.0.1/32 cert");
    let cluster = own(Major::V15, options);
    let files = cluster.tls().unwrap();
    let uri = format!(
        "host=localhost hostaddr=127.0.0.1 port={} user=postgres dbname=postgres \
         sslmode=verify-full sslrootcert={} sslcert={} sslkey={}",
        cluster.port(),
        files.ca_cert.display(),
        files.client_cert.display(),
        files.client_key.display()
    );
    let mut command = cluster.installation().command("psql");
    command.args(["-XAtc", "select ssl from pg_stat_ssl where pid = pg_backend_pid()", &uri]);
    let output = testbed::process::run_ok(&mut command, None).unwrap();
    assert_eq!(output.stdout.trim(), "t");
    let mut command = cluster.installation().command("psql");
    let other = uri
        .replace(&files.ca_cert.display().to_string(), &files.other_ca_cert.display().to_string());
    command.args(["-XAtc", "select 1", &other]);
    let refused = testbed::process::run(&mut command, None, Duration::from_secs(60)).unwrap();
    assert!(refused.stderr.contains("certificate verify failed"), "{refused}");
}

#[test]
fn standby_replays_its_primary() {
    let primary = own(Major::V15, ClusterOptions::default());
    let standby = Cluster::standby_of(&primary).unwrap();
    primary.psql("postgres", "create table t as select 1 as a").unwrap();
    standby.wait_replayed(&primary).unwrap();
    assert_eq!(standby.psql("postgres", "select a from t").unwrap(), "1");
    assert_eq!(standby.psql("postgres", "select pg_is_in_recovery()").unwrap(), "t");
}

#[test]
fn test_database_goes_away_with_its_sessions_and_slots() {
    let cluster = testbed::source();
    let database = TestDatabase::create(cluster, "going").unwrap();
    let name = database.name().to_owned();
    for plugin in ["pgoutput", "test_decoding", "wal2json"] {
        let slot = format!("going_{plugin}_{}", std::process::id());
        let sql = format!("select pg_create_logical_replication_slot('{slot}', '{plugin}')");
        database.psql(&sql).unwrap();
    }
    drop(database);
    let left = format!("select count(*) from pg_database where datname = '{name}'");
    assert_eq!(cluster.psql("postgres", &left).unwrap(), "0");
}

#[test]
fn socket_and_tcp_strings_reach_odd_database_names() {
    let cluster = testbed::source();
    let database = TestDatabase::create(cluster, "odd näme/%&?").unwrap();
    for uri in [database.uri(), database.socket_uri()] {
        let mut command = cluster.installation().command("psql");
        command.args(["-XAtc", "select current_database()", &uri]);
        let output = testbed::process::run_ok(&mut command, None).unwrap();
        assert_eq!(output.stdout.trim(), database.name());
    }
}
