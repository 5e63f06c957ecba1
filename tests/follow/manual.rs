//! Following by hand: `snapshot --follow`, `stream setup`, `prefetch`, `receive`, `sentinel`, `catchup`,
//! `prune`, `cleanup`, each its own process.

use std::time::Duration;

use testbed::process::{Output, Running, Signal, wait_until};

use super::commands::Run;

/// Longest wait for anything.
const DEADLINE: Duration = Duration::from_secs(120);

/// Rows of some size: thousands of them fill several files of the smallest size.
const TABLE: &str = "create table t (id int primary key, v text);
    insert into t values (1, 'copied')";

impl Run {
    /// Runs a command between both ends and demands success.
    fn ok(&self, words: &[&str]) -> Output {
        self.between(words).run().unwrap().success().unwrap()
    }

    /// Asks for one value of the sentinel.
    fn sentinel(&self, selector: &str) -> String {
        self.in_directory(&["stream", "sentinel", "get", selector])
    }

    /// Runs a command that knows the work directory only; what it printed.
    fn in_directory(&self, words: &[&str]) -> String {
        let dir = self.dir.path().join("work");
        let program = testbed::Pgcopydb::new().unwrap().args(words).arg("--dir").arg(dir);
        program.run().unwrap().success().unwrap().stdout.trim().to_owned()
    }

    /// Makes slot and snapshot with a plugin, and copies under the snapshot.
    fn copy_by_hand(&self, plugin: &str) {
        let words = ["snapshot", "--follow", "--plugin", plugin];
        let holder: Running =
            self.program(&words).args(["--source", &self.source.uri()]).spawn().unwrap();
        let file = self.dir.path().join("work/snapshot");
        wait_until("the snapshot", DEADLINE, || Ok(file.exists())).unwrap();
        let id = std::fs::read_to_string(&file).unwrap();
        let dir = self.dir.path().join("work");
        let bindir = testbed::Installation::find(testbed::Major::V18).unwrap().bindir;
        testbed::Pgcopydb::new()
            .unwrap()
            .clone_args(&self.source, &self.target, &dir)
            .env("PG_CONFIG", bindir.join("pg_config"))
            .run()
            .unwrap()
            .success()
            .unwrap();
        holder.signal(Signal::Term).unwrap();
        assert_eq!(holder.wait(DEADLINE).unwrap().success().unwrap().stdout, id);
    }

    /// What is left of the migration on both servers: slots, publications, origins.
    fn left(&self) -> [String; 3] {
        let name = self.source.name();
        let slots = format!("select count(*) from pg_replication_slots where slot_name = '{name}'");
        let origins = format!("select count(*) from pg_replication_origin where roname = '{name}'");
        let value = |text: String| text.trim().to_owned();
        [
            value(self.source.psql(&slots).unwrap()),
            value(self.source.psql("select count(*) from pg_publication").unwrap()),
            value(self.target.psql(&origins).unwrap()),
        ]
    }
}

#[test]
fn the_stream_by_hand_ends_like_follow_and_leaves_nothing() {
    let run = Run::new("byhand", TABLE);
    run.copy_by_hand("test_decoding");
    run.source.psql("insert into t values (2, 'two')").unwrap();
    let first = run.position();
    let first = first.trim();
    run.ok(&["stream", "setup", "--endpos", first]);
    assert_eq!(run.sentinel("--apply"), "disabled");
    assert_eq!(run.sentinel("--endpos"), first);
    run.ok(&["stream", "prefetch"]);
    assert_eq!(run.rows(&run.target).trim(), "1:copied", "nothing is applied yet");

    // The six lines, the six values and the JSON say the same.
    let lines = run.in_directory(&["stream", "sentinel", "get"]);
    assert_eq!(run.sentinel("--transform-lsn"), lines);
    let json = run.in_directory(&["stream", "sentinel", "get", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    for (line, selector) in lines.lines().zip([
        "--startpos",
        "--endpos",
        "--apply",
        "--write-lsn",
        "--flush-lsn",
        "--replay-lsn",
    ]) {
        let (name, value) = line.split_once(' ').unwrap();
        assert_eq!(name.replace('_', "-"), selector[2..]);
        assert_eq!(value.trim(), run.sentinel(selector));
        match name {
            "apply" => assert_eq!(json[name], false),
            _ => assert_eq!(json[name], value.trim()),
        }
    }
    let reached = |lsn: &str| {
        run.source.psql(&format!("select '{lsn}'::pg_lsn >= '{first}'")).unwrap().trim() == "t"
    };
    assert!(reached(&run.sentinel("--flush-lsn")), "{lines}");

    run.in_directory(&["stream", "sentinel", "set", "apply"]);
    assert_eq!(run.sentinel("--apply"), "enabled");
    run.ok(&["stream", "catchup"]);
    assert_eq!(run.rows(&run.target), run.rows(&run.source));
    assert!(reached(&run.sentinel("--replay-lsn")));

    // Further, to where the source is now; the plugin's own text is printed as it arrives.
    run.source.psql("insert into t values (3, 'three')").unwrap();
    let dir = run.dir.path().join("work");
    let second = testbed::Pgcopydb::new()
        .unwrap()
        .args(["stream", "sentinel", "set", "endpos", "--current", "--source", &run.source.uri()])
        .arg("--dir")
        .arg(&dir)
        .run()
        .unwrap()
        .success()
        .unwrap()
        .stdout;
    assert_eq!(run.sentinel("--endpos"), second.trim());
    let printed = run.ok(&["stream", "receive", "--to-stdout"]).stdout;
    let row = "table public.t: INSERT: id[integer]:3 v[text]:'three'";
    assert!(printed.lines().any(|line| line == row), "{printed}");
    run.ok(&["stream", "catchup"]);
    assert_eq!(run.rows(&run.target), run.rows(&run.source));

    assert_eq!(run.left(), ["1", "0", "1"]);
    run.ok(&["stream", "cleanup"]);
    assert_eq!(run.left(), ["0", "0", "0"]);
    assert!(dir.join("cdc").is_dir(), "received changes stay");
}

/// Copies by hand, then writes so many transactions of some 100 kB; returns where they end.
fn copy_and_write(run: &Run, transactions: u32) -> String {
    run.copy_by_hand("pgoutput");
    run.source
        .psql(&format!(
            "do $$ begin for i in 1..{transactions} loop
               insert into t select i * 1000 + g, repeat(md5(g::text), 8)
                 from generate_series(1, 400) g; commit; end loop; end $$"
        ))
        .unwrap();
    run.position()
}

#[test]
fn files_of_the_smallest_size_are_pruned_once_they_are_applied() {
    let run = Run::new("pruned", TABLE);
    let end = copy_and_write(&run, 40);
    run.ok(&["stream", "setup", "--endpos", end.trim()]);
    run.ok(&["stream", "prefetch", "--max-replaydb-size", "1MB"]);
    let segments = || {
        let files = std::fs::read_dir(run.dir.path().join("work/cdc")).unwrap();
        files.filter(|file| file.as_ref().unwrap().metadata().unwrap().len() > 1000).count()
    };
    let before = segments();
    assert!(before >= 3, "more than 4 MB of rows in files of 1 MB: {before}");
    // Nothing is applied: nothing may go.
    run.in_directory(&["stream", "prune"]);
    assert_eq!(segments(), before);
    run.in_directory(&["stream", "sentinel", "set", "apply"]);
    run.ok(&["stream", "catchup"]);
    run.in_directory(&["stream", "prune", "--dry-run"]);
    assert_eq!(segments(), before);
    run.in_directory(&["stream", "prune"]);
    assert!(segments() <= 1, "{} of {before}", segments());
    assert_eq!(run.rows(&run.target), run.rows(&run.source));
    assert_eq!(run.left(), ["1", "1", "1"]);
    run.ok(&["stream", "cleanup"]);
    assert_eq!(run.left(), ["0", "0", "0"]);
}

#[test]
fn a_full_store_waits_for_apply_and_loses_nothing() {
    let run = Run::new("fullstore", TABLE);
    let end = copy_and_write(&run, 60);
    run.ok(&["stream", "setup", "--endpos", end.trim()]);
    let limits = ["--max-replaydb-size", "1MB", "--max-changes-size", "2MB"];
    let receiving = run.between(&["stream", "prefetch"]).args(limits).spawn().unwrap();
    let bytes = || -> u64 {
        let files = std::fs::read_dir(run.dir.path().join("work/cdc"));
        let files = files.into_iter().flatten().filter_map(|file| file.ok()?.metadata().ok());
        files.map(|file| file.len()).sum()
    };
    wait_until("a full store", DEADLINE, || Ok(bytes() >= 2 << 20)).unwrap();
    // Only now may anything be applied, which makes room for the rest.
    run.in_directory(&["stream", "sentinel", "set", "apply"]);
    let applying = run.between(&["stream", "catchup"]).spawn().unwrap();
    let received = receiving.wait(DEADLINE).unwrap().success().unwrap();
    assert!(received.stderr.contains("the disk limit for received changes"), "{received}");
    applying.wait(DEADLINE).unwrap().success().unwrap();
    assert_eq!(run.rows(&run.target), run.rows(&run.source));
    run.ok(&["stream", "cleanup"]);
}

// trap P-14
#[test]
fn a_stalled_apply_does_not_keep_the_source_waiting_for_feedback() {
    // The long form leaves even a loaded machine the time to send three words within it.
    let seconds: u64 = if testbed::slow_tests() { 9 } else { 3 };
    let run = Run::new("stalled", TABLE);
    let database = run.source.name();
    run.source
        .psql(&format!("alter database {database} set wal_sender_timeout = '{seconds}s'"))
        .unwrap();
    let first = run.position();
    run.ok(&["clone", "--follow", "--endpos", first.trim()]);
    let mut holder = run.target.session().unwrap();
    holder.run("begin").unwrap();
    holder.run("lock table t in access exclusive mode").unwrap();
    run.source.psql("insert into t values (2, 'two')").unwrap();
    let end = run.position();
    let running = run.between(&["follow", "--endpos", end.trim()]).spawn().unwrap();
    let waiting =
        "select count(*) > 0 from pg_locks where not granted and relation = 't'::regclass";
    wait_until("apply to wait for the lock", DEADLINE, || {
        Ok(run.target.psql(waiting)?.trim() == "t")
    })
    .unwrap();
    let begun = std::time::Instant::now();
    let stalled = Duration::from_secs(seconds * 3 / 2);
    wait_until("longer than the timeout", DEADLINE, || Ok(begun.elapsed() > stalled)).unwrap();
    holder.run("commit").unwrap();
    let output = running.wait(DEADLINE).unwrap().success().unwrap();
    assert_eq!(run.rows(&run.target), run.rows(&run.source));
    if testbed::slow_tests() {
        assert!(!output.stderr.contains("connection lost"), "{output}");
        let log = run.source.cluster().log();
        assert!(!log.contains("due to replication timeout"), "{log}");
    }
}

// trap X-11
#[test]
fn with_confirm_applied_prefetch_confirms_what_catchup_has_applied() {
    let run = Run::new("confirmed", TABLE);
    run.copy_by_hand("pgoutput");
    run.ok(&["stream", "setup"]);
    let name = run.source.name();
    let sql =
        format!("select confirmed_flush_lsn from pg_replication_slots where slot_name = '{name}'");
    let confirmed = || run.source.psql(&sql).unwrap().trim().to_owned();
    let prefetch = |endpos: &str| {
        run.ok(&["stream", "prefetch", "--confirm", "applied", "--endpos", endpos.trim()]);
    };
    let begin = confirmed();
    run.source.psql("insert into t values (2, 'two')").unwrap();
    prefetch(&run.position());
    assert_eq!(confirmed(), begin, "received, not applied");
    run.in_directory(&["stream", "sentinel", "set", "apply"]);
    run.ok(&["stream", "catchup", "--confirm", "applied"]);
    assert_eq!(run.rows(&run.target), run.rows(&run.source));
    assert_eq!(confirmed(), begin, "nobody is there to tell the source");
    run.source.psql("insert into t values (3, 'three')").unwrap();
    prefetch(&run.position());
    assert_eq!(confirmed(), run.sentinel("--replay-lsn"));
    assert_ne!(confirmed(), begin);
    run.ok(&["stream", "cleanup"]);
}
