//! Autovacuum on the table that is being loaded: seen at work there, while a part of the load is held.

use std::time::Duration;

use testbed::compare::Comparison;
use testbed::process::{Running, wait_until};
use testbed::{Cluster, ClusterOptions, Installation, Major, Session};

use crate::support::{Pair, program_in};

/// How long anything may take here.
const DEADLINE: Duration = Duration::from_secs(120);

/// The key of the row that cannot arrive before the test says so; one part of the load has it.
const HELD_ROW: u32 = 9_999;

/// A load in parts of which one is held.
struct HeldLoad {
    target: Cluster,
    pair: Pair,
    /// Has the lock that the held row waits for.
    holder: Session,
    running: Running,
}

impl HeldLoad {
    /// Starts a clone of a table with these storage parameters and waits until the held row is reached.
    fn start(name: &str, parameters: &str, settings: &[(&str, &str)]) -> Self {
        let eager = [
            ("autovacuum", "on"),
            ("autovacuum_naptime", "1s"),
            ("deadlock_timeout", "100ms"),
            ("log_lock_waits", "on"),
            ("log_autovacuum_min_duration", "0"),
        ];
        let mut options = ClusterOptions::default();
        for (setting, value) in eager.iter().chain(settings) {
            options = options.setting(setting, value);
        }
        let target = Cluster::start(&Installation::find(Major::V18).unwrap(), options).unwrap();
        target.create_database("app").unwrap();
        let pair = Pair::with(
            name,
            &format!(
                "create function wait_for_test(int) returns bool language plpgsql as
                   'begin
                      if $1 = {HELD_ROW} then perform pg_advisory_xact_lock_shared(4712); end if;
                      return true;
                    end';
                 create domain waiting as int check (wait_for_test(value));
                 create table loaded (id int primary key, held waiting, t text) with ({parameters});
                 insert into loaded select g, g, repeat('x', 300) from generate_series(1, 20000) g;
                 create index on loaded (t)"
            ),
        );
        let mut holder = Session::open(&target, "app").unwrap();
        holder.run("select pg_advisory_lock(4712)").unwrap();
        let directory = pair.dir.path().join("work");
        let program = program_in(&pair.source.uri(), &target.uri("app"), &directory);
        let program = program.args(["--jobs", "4", "--split-tables-larger-than", "500kB"]);
        let running = program.deadline(4 * DEADLINE).spawn().unwrap();
        let load = Self { target, pair, holder, running };
        load.wait(
            "the held row",
            "select count(*) > 0 from pg_locks where locktype = 'advisory' and not granted",
        );
        load
    }

    /// Waits until a question is true on the target.
    fn wait(&self, what: &str, question: &str) {
        wait_until(what, DEADLINE, || Ok(self.value(question) == "t")).unwrap();
    }

    /// One value of the target.
    fn value(&self, sql: &str) -> String {
        self.target.psql("app", sql).unwrap()
    }

    /// Lets the held row go.
    fn release(&mut self) {
        self.holder.run("select pg_advisory_unlock(4712)").unwrap();
    }

    /// Waits for the end of the clone; demands that both sides are the same, storage parameters included.
    fn assert_complete(self) {
        self.running.wait(DEADLINE).unwrap().success().unwrap();
        let (source, target) = (self.pair.source.uri(), self.target.uri("app"));
        Comparison::new(&source, &target).run().unwrap().assert_same();
        let parameters = "select string_agg(relname || reloptions::text, ' ' order by relname) \
                          from pg_class where reloptions is not null and relname ~ '^loaded'";
        let on_target = self.target.psql("app", parameters).unwrap();
        assert_eq!(on_target, self.pair.source_value(parameters));
    }
}

/// Settings under which every insert is a reason to vacuum.
const AFTER_EVERY_INSERT: [(&str, &str); 5] = [
    ("autovacuum_vacuum_threshold", "1"),
    ("autovacuum_vacuum_insert_threshold", "1"),
    ("autovacuum_vacuum_insert_scale_factor", "0"),
    ("autovacuum_analyze_threshold", "1"),
    ("autovacuum_vacuum_cost_delay", "0"),
];

/// Storage parameters with which a vacuum takes 0.4 seconds per page: minutes for what is loaded here.
const SLOW: &str = "autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1";

// trap X-20
#[test]
fn a_table_that_autovacuum_visits_while_it_is_loaded_arrives_whole() {
    let mut load = HeldLoad::start("visited", "fillfactor = 90", &AFTER_EVERY_INSERT);
    load.wait(
        "an autovacuum that has ended",
        "select autovacuum_count > 0 from pg_stat_user_tables where relname = 'loaded'",
    );
    load.release();
    load.assert_complete();
}

// trap X-20
#[test]
fn an_autovacuum_in_the_way_of_an_index_is_cancelled_by_the_server() {
    let mut load = HeldLoad::start("in_the_way", SLOW, &AFTER_EVERY_INSERT);
    load.wait(
        "an autovacuum at work",
        "select count(*) > 0 from pg_stat_progress_vacuum p join pg_class c on c.oid = p.relid
          where c.relname = 'loaded'",
    );
    load.release();
    // The error's context, in the line below it, names the table.
    wait_until("the autovacuum to give way", DEADLINE, || {
        let log = load.target.log();
        let mut lines = log.lines();
        Ok(lines.any(|line| line.contains("canceling autovacuum task"))
            && lines.next().is_some_and(|line| line.contains("public.loaded")))
    })
    .unwrap();
    load.assert_complete();
}

// trap X-20
#[test]
fn an_autovacuum_against_wraparound_is_waited_for() {
    // Nothing but the age of a table is a reason to vacuum.
    let never = "1000000000";
    let settings = [
        ("autovacuum_freeze_max_age", "100000"),
        ("autovacuum_vacuum_threshold", never),
        ("autovacuum_vacuum_insert_threshold", "-1"),
        ("autovacuum_analyze_threshold", never),
    ];
    let mut load = HeldLoad::start("wraparound", SLOW, &settings);
    load.value(
        "do $$ begin
           for i in 1..110000 loop perform pg_current_xact_id(); commit; end loop;
         end $$",
    );
    let at_work = "select count(*) > 0 from pg_stat_activity
                    where backend_type = 'autovacuum worker'
                      and query ~ 'VACUUM.* public.loaded .*to prevent wraparound'";
    load.wait("an autovacuum against wraparound", at_work);
    load.release();
    // The server checks who is in the way after deadlock_timeout, before it writes this line.
    wait_until("a step that waits for the table", DEADLINE, || {
        let log = load.target.log();
        Ok(log
            .lines()
            .any(|line| line.contains("still waiting for") && line.contains("on relation")))
    })
    .unwrap();
    assert_eq!(load.value(at_work), "t");
    assert!(load.running.is_running().unwrap());
    // It would take minutes: ended by hand, as often as it comes back between two steps.
    wait_until("the end of the clone", DEADLINE, || {
        load.value(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity
              where backend_type = 'autovacuum worker'",
        );
        Ok(!load.running.is_running()?)
    })
    .unwrap();
    load.assert_complete();
}
