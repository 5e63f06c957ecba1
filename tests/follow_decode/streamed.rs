//! Transactions streamed while they run give the same changes as those sent at commit.

use pgcopydb::config::Plugin;
use pgcopydb::follow::change::{Change, ChangeEvent, Commit, Relation, Value};
use testbed::session::Session;
use testbed::source as cluster;

use crate::stream::Source;

/// Events without what a streamed transaction does not tell in advance, and without the identity of
/// relations.
#[derive(Debug, PartialEq)]
enum Seen {
    Begin(u32),
    Insert(Relation, Vec<Value>),
    Other(String),
    Commit(Commit),
}

fn seen(events: Vec<ChangeEvent>) -> Vec<Seen> {
    let one = |event| match event {
        ChangeEvent::Begin(begin) => Seen::Begin(begin.xid),
        ChangeEvent::Change(Change::Insert { relation, new }) => {
            Seen::Insert(Relation::clone(&relation), new)
        }
        ChangeEvent::Commit(commit) => Seen::Commit(commit),
        other => Seen::Other(format!("{other:?}")),
    };
    // Empty transactions (DDL of tables only) are told in one way and not in the other.
    let mut out: Vec<Seen> = Vec::new();
    for event in events.into_iter().map(one) {
        if matches!(event, Seen::Commit(_)) && matches!(out.last(), Some(Seen::Begin(_))) {
            out.pop();
            continue;
        }
        out.push(event);
    }
    out
}

/// Both ways give the same.
fn assert_same(source: &Source) -> crate::stream::Counts {
    let plain = seen(source.events(Plugin::Pgoutput, &["proto_version", "1"]));
    let (streamed, counts) = source.streamed_events(&["proto_version", "2", "streaming", "on"]);
    let streamed = seen(streamed);
    assert_eq!(streamed.len(), plain.len());
    for (streamed, plain) in streamed.iter().zip(&plain) {
        assert_eq!(streamed, plain);
    }
    counts
}

// trap C-11, C-12
#[test]
fn rows_of_rolled_back_subtransactions_are_absent() {
    let source = Source::new("decode_subxacts", "create table t (id int primary key, v text)");
    source
        .database
        .psql(
            "begin;
             insert into t select g, repeat('a', 100) from generate_series(1, 1500) g;
             savepoint one;
             insert into t select g, repeat('b', 100) from generate_series(2001, 3500) g;
             savepoint two;
             insert into t select g, repeat('c', 100) from generate_series(4001, 5500) g;
             release savepoint two;
             rollback to savepoint one;
             insert into t select g, repeat('d', 100) from generate_series(2001, 3500) g;
             savepoint three;
             alter table t add more int;
             insert into t select g, 'e', g from generate_series(6001, 7500) g;
             rollback to savepoint three;
             insert into t select g, repeat('f', 100) from generate_series(8001, 9500) g;
             commit;
             begin;
             insert into t select g, repeat('g', 100) from generate_series(10001, 11500) g;
             rollback;
             insert into t values (0, 'last')",
        )
        .unwrap();
    let counts = assert_same(&source);
    assert!(counts.chunks > 3 && counts.aborts > 2, "{counts:?}");
}

// trap C-12
#[test]
fn blocks_with_exceptions_leave_committed_rows_only() {
    let source = Source::new("decode_blocks", "create table t (id int primary key, v text)");
    source
        .database
        .psql(
            "do $$ begin
               for i in 1..3000 loop
                 begin
                   insert into t values (i, repeat('x', 100));
                   if i % 3 = 0 then raise exception 'no'; end if;
                 exception when raise_exception then null;
                 end;
               end loop;
             end $$",
        )
        .unwrap();
    let counts = assert_same(&source);
    assert!(counts.chunks > 1, "{counts:?}");
    let events = source.events(Plugin::Pgoutput, &["proto_version", "1"]);
    let rows = events.iter().filter(|event| matches!(event, ChangeEvent::Change(_)));
    assert_eq!(rows.count(), 2000);
}

// trap C-13
#[test]
fn interleaved_transactions_are_told_apart() {
    let source = Source::new("decode_interleaved", "create table t (id int primary key, v text)");
    let open = || Session::open(cluster(), source.database.name()).unwrap();
    let (mut one, mut two) = (open(), open());
    one.run("begin").unwrap();
    two.run("begin").unwrap();
    for round in 0..4 {
        for (session, first) in [(&mut one, round * 1000), (&mut two, 100_000 + round * 1000)] {
            let sql = format!(
                "insert into t select g, repeat('x', 200) from generate_series({first}, {first} + 799) g"
            );
            session.run(&sql).unwrap();
        }
    }
    two.run("commit").unwrap();
    source.database.psql("insert into t values (-1, 'between')").unwrap();
    one.run("commit").unwrap();
    let counts = assert_same(&source);
    assert!(counts.transactions.len() == 2 && counts.chunks > 4, "{counts:?}");
}

#[test]
fn definitions_of_a_rolled_back_transaction_do_not_stay() {
    let source = Source::new("decode_poison", "create table t (id int primary key, v text)");
    source
        .database
        .psql(
            "insert into t values (0, 'first');
             begin;
             alter table t rename v to other;
             insert into t select g, repeat('a', 100) from generate_series(1, 2500) g;
             rollback;
             insert into t values (1, 'second');
             begin;
             alter table t add more int;
             insert into t select g, repeat('a', 100), g from generate_series(2, 2500) g;
             commit;
             insert into t values (-1, 'last', 3)",
        )
        .unwrap();
    let counts = assert_same(&source);
    assert!(counts.transactions.len() == 2 && counts.aborts == 1, "{counts:?}");
}
