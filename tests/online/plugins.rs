//! Every output plugin through the whole program: the type matrix, tables of all replica identities, many
//! tables, written to during and after the copy.

use testbed::compare::Comparison;
use testbed::process::wait_until;

use super::support::{DATABASE, DEADLINE, Pair};

/// Tables of all replica identities, and many small ones.
const TABLES: &str = "
    create table keyed (id int primary key, v text, big text);
    alter table keyed alter big set storage external;
    create table pair (a int, b text, v int, primary key (b, a));
    create table whole (a int, v text, j json); alter table whole replica identity full;
    create table by_index (id int not null, v text); create unique index by_index_id on by_index (id);
    alter table by_index replica identity using index by_index_id;
    create table nothing (id int primary key, v text); alter table nothing replica identity nothing;
    create table bare (at timestamptz, v text);
    create table part (id int primary key, v text) partition by range (id);
    create table part_low partition of part for values from (minvalue) to (1000);
    create table part_high partition of part for values from (1000) to (maxvalue);
    do $$ begin for n in 1..40 loop
      execute format('create table many_%s (id int primary key, v text)', n);
    end loop; end $$;
    insert into keyed select g, 'v' || g, repeat('x', 4000) from generate_series(1, 500) g;
    insert into pair select g, 'b' || g % 7, g from generate_series(1, 500) g;
    insert into whole select g % 20, 'same', '{}' from generate_series(1, 200) g;
    insert into by_index select g, 'v' from generate_series(1, 200) g;
    insert into part select g * 10, 'v' from generate_series(1, 90) g;";

/// What the application does to them, from a key on that nobody has.
fn changes(from: u32) -> String {
    format!(
        "insert into keyed select g, 'n' || g, repeat('y', 4000) from generate_series({from}, {from} + 50) g;
         update keyed set v = v || '!' where id % 3 = 0;
         update keyed set id = id + 100000 where id = {from} + 1;
         delete from keyed where id % 11 = 0;
         insert into pair select g, 'new', g from generate_series({from}, {from} + 50) g;
         update pair set v = -v where a % 2 = 0; update pair set b = 'moved' where a = {from} + 3;
         delete from pair where a % 13 = 0;
         insert into whole select {from}, 'same', null from generate_series(1, 5);
         update whole set v = 'one' where ctid = (select min(ctid) from whole where a = {from});
         delete from whole where ctid = (select max(ctid) from whole where a = {from});
         insert into by_index values ({from}, 'i'); update by_index set v = 'u' where id < 20;
         update by_index set id = id + 100000 where id = {from}; delete from by_index where id = 21;
         insert into nothing values ({from}, 'n'); insert into bare values (now(), 'b');
         insert into part values ({from}, 'p'), ({from} + 5000, 'p');
         update part set id = id + 20000 where id = {from}; delete from part where id = 50;
         begin; insert into keyed values ({from} + 900, 'rolled back', ''); rollback;
         begin; insert into keyed values ({from} + 901, 'kept', ''); savepoint s;
         insert into keyed values ({from} + 902, 'rolled back', ''); rollback to s; commit;
         truncate many_1, many_2;
         do $$ begin for n in 1..40 loop
           execute format('insert into many_%s values ({from}, %L)', n, n);
           execute format('update many_%s set v = v || 1', n);
         end loop; end $$;"
    )
}

/// Writes every value of the type matrix again under other keys, changes and removes some; `kept`
/// is a condition on the rows, called `x`.
fn types_again(kept: &str) -> String {
    format!(
        "do $do$ declare t record; cols text; begin
           for t in select c.oid, c.relname, bool_or(a.attidentity = 'a') as always
             from pg_class c join pg_attribute a on a.attrelid = c.oid
             where c.relnamespace = 'types'::regnamespace and c.relkind = 'r'
             group by 1, 2 having bool_or(a.attname = 'id')
           loop
             select string_agg(', ' || quote_ident(attname), '' order by attnum) into cols
               from pg_attribute where attrelid = t.oid and attnum > 0 and not attisdropped
               and attgenerated = '' and attname <> 'id';
             execute format('insert into types.%I (id%s) overriding system value
               select id + 10000%s from types.%I x where {kept}', t.relname, cols, cols, t.relname);
             execute format('delete from types.%I x where id > 10000 and id %% 3 = 0', t.relname);
             continue when t.always;
             execute format('update types.%I x set id = id + 10000
               where id > 10000 and id %% 2 = 0', t.relname);
           end loop; end $do$;"
    )
}

/// Migrates online with a plugin while the application writes, and compares everything.
fn equal_rows(plugin: &str, kept: &str) {
    let pair = Pair::with(TABLES);
    testbed::fixtures::types(&pair.source, DATABASE).unwrap();
    let running = pair.program(&["clone", "--follow", "--plugin", plugin]).spawn().unwrap();
    // As soon as the slot is there, every change counts.
    wait_until("the slot", DEADLINE, || {
        let sql = "select count(*) from pg_replication_slots where confirmed_flush_lsn is not null";
        Ok(pair.source_value(sql) == "1")
    })
    .unwrap();
    pair.source_value(&changes(2000));
    pair.wait_for_target("the copy", "select count(*) from many_40 where id = 2000", "1");
    pair.source_value(&changes(3000));
    pair.source_value(&types_again(kept));
    let set = ["stream", "sentinel", "set", "endpos", "--current"];
    pair.on_source(&set).run().unwrap().success().unwrap();
    let output = running.wait(DEADLINE).unwrap().success().unwrap();
    assert!(output.stderr.contains("the end position is reached"), "{}", output.stderr);
    let warned = output.stderr.contains("sends NaN and Infinity as null");
    assert_eq!(warned, plugin == "wal2json", "{}", output.stderr);
    // Only pgoutput tells the replica identity always.
    let slow = output.stderr.contains("replica identity full and no index on the target");
    assert!(slow || plugin != "pgoutput", "{}", output.stderr);
    assert!(output.stderr.contains("public.bare"), "no replica identity: {}", output.stderr);
    pair.program(&["stream", "cleanup"]).run().unwrap().success().unwrap();
    pair.assert_same();
}

// trap C-48 C-25 C-26 C-23 C-20 C-37
#[test]
fn pgoutput_leads_to_the_rows_of_the_source() {
    equal_rows("pgoutput", "true");
}

// trap C-48 C-26 C-23 C-20 C-37
#[test]
fn test_decoding_leads_to_the_rows_of_the_source() {
    equal_rows("test_decoding", "true");
}

// trap C-48 C-26 C-23 C-20 C-37 C-54
#[test]
fn wal2json_leads_to_the_rows_of_the_source_where_json_has_words_for_them() {
    equal_rows("wal2json", r"x::text !~ ''(NaN|Infinity)''");
}

// trap C-48 X-29
#[test]
fn values_that_wal2json_destroys_are_named_at_the_end_and_fail_the_run() {
    let pair = Pair::with(
        "create table t (id int primary key, lost real, kept numeric, empty double precision)",
    );
    let begin = pair.source_end();
    let plugin = ["--plugin", "wal2json"];
    let first = ["clone", "--follow", "--endpos", &begin];
    pair.program(&first).args(plugin).run().unwrap().success().unwrap();
    pair.source_value("insert into t values (1, 'NaN', 1, null), (2, 2, null, null)");
    let end = pair.source_end();
    for attempt in ["first", "once more"] {
        let again = pair.program(&["follow", "--endpos", &end]).args(plugin).run().unwrap();
        let text = again.clone().exit_code(7).unwrap().stderr;
        assert!(text.contains("public.t.lost"), "{attempt}: {text}");
        assert!(text.contains("holds 1 values NaN or Infinity on the source"), "{attempt}: {text}");
        assert!(!text.contains("t.kept\"") && !text.contains("t.empty\""), "{attempt}: {text}");
    }
    // Put right by hand, it is no news any more.
    pair.target_value("update t set lost = 'NaN' where id = 1");
    pair.program(&["follow", "--endpos", &end]).args(plugin).run().unwrap().success().unwrap();
    let comparison = Comparison::new(&pair.source.uri(DATABASE), &pair.target.uri(DATABASE));
    let (_, differences) = comparison.exclude_schema("pgcopydb").rows().unwrap();
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn of_tables_that_the_filters_leave_out_wal2json_sends_nothing() {
    let pair = Pair::with("create table kept (id int primary key); create table left_out (id int)");
    let filters = pair.file("filters.ini", "[exclude-table]\npublic.left_out\n");
    let filters = filters.to_string_lossy().into_owned();
    let options = ["--plugin", "wal2json", "--filters", &filters];
    let begin = pair.source_end();
    let first = ["clone", "--follow", "--endpos", &begin];
    pair.program(&first).args(options).run().unwrap().success().unwrap();
    pair.source_value("insert into left_out values (7654321); insert into kept values (1234567)");
    let end = pair.source_end();
    let receive = ["stream", "receive", "--to-stdout", "--endpos", &end];
    let output = pair.program(&receive).args(options).run().unwrap().success().unwrap();
    assert!(output.stdout.contains("1234567"), "{}", output.stdout);
    assert!(!output.stdout.contains("7654321"), "{}", output.stdout);
}
