//! `--target-read-only`: whoever writes on the target while changes are followed is told.

use testbed::process::{Running, Signal};

use super::support::{DATABASE, DEADLINE, Pair};

/// A table, and a value of the database that the copy brings along.
const TABLE: &str = "create table t (id int primary key); insert into t values (1)";

/// The value of the database's own.
const VALUE: &str = "select coalesce((select string_agg(c, ',') from pg_db_role_setting s
      join pg_database d on d.oid = s.setdatabase, unnest(s.setconfig) c
     where d.datname = current_database() and s.setrole = 0
       and c like 'default_transaction_read_only%'), 'none')";

impl Pair {
    /// Follows behind the fence, until a change has arrived.
    fn fenced(&self, words: &[&str], id: u32) -> Running {
        let running = self.program(words).arg("--target-read-only").spawn().unwrap();
        self.wait_for_target("the fence", VALUE, "default_transaction_read_only=on");
        self.source_value(&format!("insert into t values ({id})"));
        self.wait_for_target("a change", &format!("select count(*) from t where id = {id}"), "1");
        running
    }

    /// Demands that a new session's write on the target is refused.
    fn assert_fenced(&self) {
        let refused = self.target.psql(DATABASE, "insert into t values (-1)").unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("cannot execute INSERT in a read-only transaction"), "{text}");
        // read_only_sql_transaction; a session that knows what it does may open it for itself.
        let own = "set default_transaction_read_only = off; insert into t values (-1); \
                   delete from t where id = -1";
        self.target.psql(DATABASE, own).unwrap();
    }
}

// trap C-57
#[test]
fn new_sessions_on_the_target_are_read_only_until_the_end_position_is_reached() {
    let pair = Pair::with(TABLE);
    let running = pair.fenced(&["clone", "--follow"], 2);
    pair.assert_fenced();
    let set = ["stream", "sentinel", "set", "endpos", "--current"];
    pair.on_source(&set).run().unwrap().success().unwrap();
    running.wait(DEADLINE).unwrap().success().unwrap();
    assert_eq!(pair.target_value(VALUE), "none");
    pair.target_value("insert into t values (3); delete from t where id = 3");
    pair.program(&["stream", "cleanup"]).run().unwrap().success().unwrap();
    pair.assert_same();
}

// trap C-57 X-1
#[test]
fn after_a_kill_cleanup_or_the_next_start_gives_back_the_value_that_was_there() {
    let before = "default_transaction_read_only=off";
    let own = format!("{TABLE}; alter database app set default_transaction_read_only = off");
    for ends_by_cleanup in [true, false] {
        let pair = Pair::with(&own);
        let running = pair.fenced(&["clone", "--follow"], 2);
        running.signal(Signal::Kill).unwrap();
        running.wait(DEADLINE).unwrap();
        pair.assert_fenced();
        if ends_by_cleanup {
            pair.program(&["stream", "cleanup"]).run().unwrap().success().unwrap();
        } else {
            // Once more behind it, and to the end without naming it.
            let again = pair.fenced(&["stream", "replay"], 3);
            again.signal(Signal::Kill).unwrap();
            again.wait(DEADLINE).unwrap();
            let position = pair.source_end();
            pair.program(&["follow", "--endpos", &position]).run().unwrap().success().unwrap();
        }
        assert_eq!(pair.target_value(VALUE), before);
        pair.target_value("insert into t values (4); delete from t where id = 4");
    }
}

// trap C-57
#[test]
fn a_value_that_somebody_sets_meanwhile_stays_and_a_role_that_may_not_is_refused_before() {
    let pair = Pair::with(TABLE);
    pair.target.psql(DATABASE, "create role limited login password 'secret'").unwrap();
    pair.target.psql(DATABASE, "grant create on database app to limited").unwrap();
    let target = pair.target.uri_as("limited", "secret", DATABASE);
    let words = ["clone", "--follow"];
    let refused = pair.program_to(&target, &words).env("PGCOPYDB_TARGET_READ_ONLY", "on");
    let refused = refused.run().unwrap();
    assert!(!refused.status.success());
    assert!(refused.stderr.contains("does not own database \"app\""), "{refused}");
    assert_eq!(pair.source_value("select count(*) from pg_replication_slots"), "0");
    let running = pair.fenced(&["clone", "--follow"], 2);
    let set = "set default_transaction_read_only = off; \
               alter database app set default_transaction_read_only = off";
    pair.target.psql(DATABASE, set).unwrap();
    let set = ["stream", "sentinel", "set", "endpos", "--current"];
    pair.on_source(&set).run().unwrap().success().unwrap();
    running.wait(DEADLINE).unwrap().success().unwrap();
    assert_eq!(pair.target_value(VALUE), "default_transaction_read_only=off");
}
