//! `clone --all-databases --follow`: each database has its slot, all have one end.

use testbed::Pgcopydb;
use testbed::compare::Comparison;
use testbed::process::{Running, Signal, wait_until};

use super::support::{DATABASE, DEADLINE, Pair, end};

/// What every database holds.
const TABLE: &str = "
    create table t (id bigserial primary key, v text);
    insert into t (v) select 'v' || g from generate_series(1, 1000) g;
    create table mark (id int primary key);
    select lo_from_bytea(0, convert_to(current_database(), 'UTF8'))";

/// What an application does to it.
const APPLICATION: &str = r"
\set n random(1, 1000)
begin;
insert into t (v) values ('n' || random()::text);
update t set v = 'u' || random()::text where id = :n;
delete from t where id = 1000 + :n;
end;
";

/// The databases, one with a name that is no identifier; nobody writes to the last.
const DATABASES: [&str; 3] = [DATABASE, "Second \"one\"", "idle"];

/// What a server says of its databases.
const ATTRIBUTES: &str = "
    select d.datname, pg_get_userbyid(d.datdba), pg_encoding_to_char(d.encoding), d.datcollate,
           d.datconnlimit, (select string_agg(a::text, ' ' order by a::text) from unnest(d.datacl) a),
           shobj_description(d.oid, 'pg_database')
      from pg_database d where d.datname not like 'template%' order by d.datname";

impl Pair {
    /// Starts the run over all databases.
    fn follow_all(&self) -> Running {
        self.program(&["clone", "--all-databases", "--follow"]).spawn().unwrap()
    }

    /// Inserts a mark into every database, and waits until it is on the target.
    fn mark(&self, number: u32) {
        for database in DATABASES {
            self.source.psql(database, &format!("insert into mark values ({number})")).unwrap();
        }
        for database in DATABASES {
            let sql = format!("select count(*) from mark where id = {number}");
            wait_until("a mark", DEADLINE, || {
                // Database and table may not be there yet.
                Ok(self.target.psql(database, &sql).is_ok_and(|count| count.trim() == "1"))
            })
            .unwrap();
        }
    }

    /// Runs a command that knows only this work directory and the source; what it printed.
    fn sentinel(&self, words: &str) -> String {
        let source = self.source.uri(DATABASE);
        let mut program = Pgcopydb::new().unwrap().args(words.split(' '));
        if words.contains("--current") {
            program = program.args(["--source", &source]);
        }
        let output = program.arg("--dir").arg(self.work()).run().unwrap();
        output.success().unwrap().stdout.trim().to_owned()
    }

    /// One value of each server: slots and origins, publications of all databases.
    fn left_of_all(&self) -> Vec<String> {
        let mut left = vec![
            self.source_value("select count(*) from pg_replication_slots"),
            self.target_value("select count(*) from pg_replication_origin"),
        ];
        for database in DATABASES {
            for server in [&self.source, &self.target] {
                let sql = "select count(*) from pg_publication";
                left.push(server.psql(database, sql).unwrap().trim().to_owned());
            }
            let sql = "select count(*) from pg_namespace where nspname = 'pgcopydb'";
            left.push(self.target.psql(database, sql).unwrap().trim().to_owned());
        }
        left
    }
}

// trap X-1
#[test]
fn all_databases_are_followed_to_one_end_also_after_a_kill() {
    let pair = Pair::with(TABLE);
    for sql in [
        "create role boss login; create role reader",
        "create database \"Second \"\"one\"\"\" owner boss template template0 encoding 'LATIN1' locale 'C' \
         connection limit 7",
        "create database idle",
        "comment on database idle is 'it''s'; revoke all on database idle from public; \
         grant connect on database idle to reader with grant option",
    ] {
        for statement in sql.split("; ") {
            pair.source.psql("postgres", statement).unwrap();
        }
    }
    for database in &DATABASES[1..] {
        pair.source.psql(database, TABLE).unwrap();
    }
    let script = pair.file("second.sql", APPLICATION);
    let script = script.to_string_lossy().into_owned();
    let load = ["-n", "-c", "2", "-R", "100", "-T", "3600", "-f", &script];
    let writers = [DATABASES[0], DATABASES[1]].map(|database| {
        Running::spawn(pair.source.pgbench_command(&load).arg(database), None).unwrap()
    });

    let first = pair.follow_all();
    pair.mark(1);
    first.signal(Signal::Kill).unwrap();
    first.wait(DEADLINE).unwrap();
    let second = pair.follow_all();
    pair.mark(2);
    // A pause and its end reach every database.
    pair.sentinel("stream sentinel set prefetch");
    for writer in writers {
        end(writer);
    }
    pair.sentinel("stream sentinel set apply");
    let endpos = pair.sentinel("stream sentinel set endpos --current");
    let output = second.wait(DEADLINE).unwrap().success().unwrap();
    let shown = pair.sentinel("stream sentinel get --endpos");
    assert_eq!(shown, endpos);
    let replayed = pair.sentinel("stream sentinel get --replay-lsn");
    let reached = format!("select '{replayed}'::pg_lsn >= '{endpos}'::pg_lsn");
    assert_eq!(pair.source_value(&reached), "t", "{replayed} {endpos}");

    let left = pair.left_of_all();
    assert_eq!(left[..2], ["4", "4"], "postgres is a database like the others: {left:?}");
    pair.sentinel("stream prune");
    pair.program(&["stream", "cleanup"]).run().unwrap().success().unwrap();
    assert!(pair.left_of_all().iter().all(|count| count == "0"), "{:?}", pair.left_of_all());
    pair.program(&["stream", "cleanup"]).run().unwrap().success().unwrap();
    for database in DATABASES {
        let ends = (pair.source.uri(database), pair.target.uri(database));
        let comparison = Comparison::new(&ends.0, &ends.1).exclude_schema("pgcopydb");
        comparison.run().unwrap().assert_same();
    }
    assert_eq!(
        pair.target.psql("postgres", ATTRIBUTES).unwrap(),
        pair.source.psql("postgres", ATTRIBUTES).unwrap()
    );
    assert!(output.stdout.contains("idle | "), "one summary of all: {output}");
    pair.program(&["compare", "data", "--all-databases"]).run().unwrap().success().unwrap();
}

#[test]
fn a_base_name_without_room_for_the_databases_own_is_refused() {
    let long = "n".repeat(43);
    for option in ["--slot-name", "--origin"] {
        let output = Pgcopydb::new()
            .unwrap()
            .args(["clone", "--all-databases", "--follow", option, &long])
            .ends("postgres://localhost:1/a", "postgres://localhost:1/b")
            .run()
            .unwrap()
            .exit_code(1)
            .unwrap();
        assert!(output.stderr.contains(option), "{output}");
    }
}
