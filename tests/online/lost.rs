//! The work directory is lost: what the target knows is continued, what was received and is nowhere else is
//! named.

use testbed::chaos::{Direction, Proxy};
use testbed::process::{Output, Running, Signal, wait_until};
use testbed::{Pgcopydb, StopMode};

use super::support::{DATABASE, DEADLINE, Pair, end};

/// Tables that are copied at once, and one that takes its time behind a slow line.
const TABLES: &str = "
    create table quick (id int primary key, v text);
    create table account (id int primary key, balance int not null);
    create table entry (id bigserial primary key, account int, delta int);
    create table slow (id int primary key, v text);
    alter table slow alter v set storage external;
    insert into quick select g, 'v' from generate_series(1, 1000) g;
    insert into account select g, 0 from generate_series(1, 1000) g;
    insert into slow select g, repeat(md5(g::text), 100) from generate_series(1, 4000) g";

/// Each transaction leaves the sum of all balances equal to the sum of all entries.
const APPLICATION: &str = r"
\set a random(1, 1000)
\set d random(-100, 100)
begin;
update account set balance = balance + :d where id = :a;
insert into entry (account, delta) values (:a, :d);
end;
";

/// Where the rows of a table lie, and which transaction wrote each.
const PLACES: &str =
    "select md5(string_agg(ctid::text || xmin::text, ',' order by ctid)) from quick";

/// What to confirm only what the target has.
const APPLIED: [&str; 2] = ["--confirm", "applied"];

impl Pair {
    /// Removes the work directory.
    fn lose_directory(&self) {
        std::fs::remove_dir_all(self.work()).unwrap();
    }

    /// The program with its source behind a proxy.
    fn behind(&self, proxy: &Proxy, words: &[&str]) -> Pgcopydb {
        let (source, target) = (proxy.uri(DATABASE), self.target.uri(DATABASE));
        let program = Pgcopydb::new().unwrap().args(words).ends(&source, &target);
        program.arg("--dir").arg(self.work()).env("PG_CONFIG", self.pg_config()).deadline(DEADLINE)
    }

    /// Kills a run.
    fn kill(running: Running) {
        let _ = running.signal(Signal::Kill);
        running.wait(DEADLINE).unwrap();
    }

    /// Ends a migration and demands that nothing was lost.
    fn assert_ends_well(&self, words: &[&str]) -> Output {
        let output = self.program(words).run().unwrap().success().unwrap();
        self.program(&["stream", "cleanup"]).run().unwrap().success().unwrap();
        self.assert_same();
        output
    }
}

// trap X-11
#[test]
fn a_copy_that_lost_its_directory_goes_on_with_what_is_not_copied_and_misses_no_change() {
    let pair = Pair::with(TABLES);
    let proxy = Proxy::in_front_of(&pair.source).unwrap();
    proxy.rate(Direction::ToClient, Some(300_000));
    let clone = [&["clone", "--follow"][..], &APPLIED].concat();
    let first = pair.behind(&proxy, &clone).spawn().unwrap();
    let oid = pair.source_value("select 'quick'::regclass::oid");
    let copied = format!("select count(*) from pgcopydb.part where relation = {oid}");
    pair.wait_for_target("the first copied table", &copied, "1");
    pair.source_value(
        "update account set balance = 1 where id = 1; insert into entry values (0, 1, 1)",
    );
    Pair::kill(first);
    let places = pair.target_value(PLACES);
    // Half a copy is no target for changes.
    let refused = pair.program(&["follow"]).run().unwrap().exit_code(1).unwrap();
    assert!(refused.stderr.contains("is not complete"), "{refused}");
    pair.lose_directory();
    proxy.rate(Direction::ToClient, None);
    let position = pair.source_end();
    let second = [&clone[..], &["--endpos", &position]].concat();
    let output = pair.behind(&proxy, &second).run().unwrap().success().unwrap();
    assert!(output.stderr.contains("the work directory is new"), "{output}");
    assert_eq!(pair.target_value(PLACES), places, "a finished table was touched");
    assert_eq!(pair.target_value("select count(*) from pg_publication"), "0");
    // Complete, and lost once more: the copy is not made again.
    pair.source_value(
        "update account set balance = 2 where id = 2; insert into entry values (-1, 2, 2)",
    );
    pair.lose_directory();
    let position = pair.source_end();
    let third = [&clone[..], &["--endpos", &position]].concat();
    let output = pair.assert_ends_well(&third);
    assert!(output.stderr.contains("the copy on the target is complete"), "{output}");
}

// trap X-11 X-2
#[test]
fn with_confirm_applied_a_lost_directory_loses_nothing_at_any_moment() {
    let pair = Pair::with(TABLES);
    let application = pair.application(APPLICATION, "2", "200");
    let clone = [&["clone", "--follow"][..], &APPLIED].concat();
    let rounds: u64 = if testbed::slow_tests() { 40 } else { 4 };
    for round in 0..rounds {
        let mut running = pair.program(&clone).spawn().unwrap();
        let known = "select count(*) from pgcopydb.follow where slot is not null";
        pair.wait_for_target("what the target knows", known, "1");
        // Any moment will do.
        std::thread::sleep(std::time::Duration::from_millis(round * 700 % 2900));
        assert!(running.is_running().unwrap(), "round {round} ended by itself");
        Pair::kill(running);
        pair.lose_directory();
        if round % 2 == 1 {
            pair.target.restart(StopMode::Immediate).unwrap();
        }
        let confirmed = pair.confirmed();
        let held = pair.target_value("select position from pgcopydb.follow");
        let sql = format!("select '{confirmed}'::pg_lsn <= '{held}'::pg_lsn");
        assert_eq!(pair.source_value(&sql), "t", "round {round}: {confirmed} {held}");
    }
    end(application);
    let position = pair.source_end();
    pair.assert_ends_well(&[&clone[..], &["--endpos", &position]].concat());
    let sums = "select (select sum(balance) from account) = (select sum(delta) from entry)";
    assert_eq!(pair.target_value(sums), "t");
}

// trap X-11 C-8
#[test]
fn with_confirm_applied_an_idle_database_keeps_no_log_of_its_busy_neighbours() {
    let pair = Pair::with(TABLES);
    pair.source.create_database("neighbour").unwrap();
    let running = pair.program(&["clone", "--follow"]).args(APPLIED).spawn().unwrap();
    pair.source_value("insert into quick values (0, 'followed')");
    pair.wait_for_target("a change", "select count(*) from quick where id = 0", "1");
    pair.source.psql("neighbour", "create table t as select generate_series(1, 10000)").unwrap();
    let written = pair.source_end();
    wait_until("what only the neighbour wrote is confirmed", DEADLINE, || {
        // Read in this order, the target's position is never behind what is confirmed.
        let confirmed = pair.confirmed();
        let held = pair.target_value("select position from pgcopydb.follow");
        let behind = format!("select '{confirmed}'::pg_lsn <= '{held}'::pg_lsn");
        assert_eq!(pair.source_value(&behind), "t", "{confirmed} {held}");
        Ok(pair.source_value(&format!("select '{confirmed}'::pg_lsn >= '{written}'::pg_lsn"))
            == "t")
    })
    .unwrap();
    running.signal(Signal::Term).unwrap();
    running.wait(DEADLINE).unwrap().success().unwrap();
}

// trap X-11
#[test]
fn changes_that_were_lost_with_the_directory_are_refused_by_position_and_others_are_not() {
    let pair = Pair::with("create table t (id int primary key)");
    let begin = pair.source_end();
    pair.program(&["clone", "--follow", "--endpos", &begin]).run().unwrap().success().unwrap();
    // Nothing is confirmed that the target does not have: the slot sends it again.
    pair.source_value("insert into t values (1)");
    pair.lose_directory();
    let first = pair.source_end();
    let output = pair.program(&["follow", "--endpos", &first]).run().unwrap().success().unwrap();
    assert!(output.stderr.contains("the work directory is new"), "{output}");
    assert_eq!(pair.target_value("select string_agg(id::text, ',') from t"), "1");
    // Received, confirmed, not applied: gone.
    pair.source_value("insert into t values (2)");
    let second = pair.source_end();
    let prefetch = ["stream", "prefetch", "--endpos", &second];
    pair.on_source(&prefetch).run().unwrap().success().unwrap();
    let confirmed = pair.confirmed();
    let held = pair.target_value("select position from pgcopydb.follow");
    pair.lose_directory();
    for words in [&["follow", "--endpos", &second][..], &["clone", "--follow"], &["follow"]] {
        let output = pair.program(words).run().unwrap().exit_code(1).unwrap();
        for position in [&confirmed, &held] {
            assert!(output.stderr.contains(position.as_str()), "{position}: {output}");
        }
        assert!(output.stderr.contains("--restart"), "{output}");
        assert_eq!(pair.target_value("select string_agg(id::text, ',') from t"), "1");
        assert_eq!(pair.confirmed(), confirmed);
    }
}

// trap X-11 X-7
#[test]
fn another_origin_slot_or_source_does_not_take_over_what_the_target_knows() {
    let pair = Pair::with("create table t (id int primary key)");
    let begin = pair.source_end();
    pair.program(&["clone", "--follow", "--endpos", &begin]).run().unwrap().success().unwrap();
    pair.lose_directory();
    let other =
        pair.program(&["follow", "--slot-name", "other"]).run().unwrap().exit_code(1).unwrap();
    assert!(other.stderr.contains("belongs to slot \"pgcopydb\", not to \"other\""), "{other}");
    // A server of its own in place of the source.
    pair.target.create_database("elsewhere").unwrap();
    let (source, target) = (pair.target.uri("elsewhere"), pair.target.uri(DATABASE));
    let other = Pgcopydb::new().unwrap().arg("follow").ends(&source, &target);
    let other = other.arg("--dir").arg(pair.work()).run().unwrap().exit_code(1).unwrap();
    assert!(other.stderr.contains("belongs to database \"app\" of system"), "{other}");
    pair.lose_directory();
    // Options that shape the target must be those of the copy.
    let words = ["clone", "--follow", "--no-owner"];
    let other = pair.program(&words).run().unwrap().exit_code(1).unwrap();
    assert!(other.stderr.contains("none then, --no-owner now"), "{other}");
    assert_eq!(pair.source_value("select count(*) from pg_replication_slots"), "1");
}
