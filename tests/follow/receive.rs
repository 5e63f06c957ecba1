//! Receiving: what arrives, in which order, what is confirmed, where it ends.

use pgcopydb::config::{Confirm, Plugin};
use pgcopydb::follow::receive::ReceiveEnd;
use pgcopydb::follow::store::BATCH_BYTES;
use pgcopydb::local::state::SentinelHandle;
use proto::lsn::Lsn;
use testbed::chaos::{Direction, Proxy};
use testbed::{Major, shared};

use super::source::{Receiving, Source, Transaction, own_cluster, until};

/// A table with a key.
const TABLE: &str = "create table t(id int primary key, v text)";

/// The changes of transactions, without their positions.
fn changes(transactions: &[Transaction]) -> Vec<Vec<&str>> {
    transactions
        .iter()
        .map(|transaction| transaction.changes.iter().map(String::as_str).collect())
        .collect()
}

/// `insert t(…)` for a range of keys with one value.
fn inserts(ids: impl IntoIterator<Item = u32>, value: &str) -> Vec<String> {
    ids.into_iter().map(|id| format!("insert t({id},{value})")).collect()
}

// trap C-1
#[tokio::test]
async fn overlapping_transactions_come_whole_and_in_commit_order() {
    for plugin in [Plugin::Pgoutput, Plugin::TestDecoding, Plugin::Wal2json] {
        let mut source = Source::new("overlap", TABLE);
        source.plugin = plugin;
        source.setup().await;
        let mut first = source.db.session().unwrap();
        let mut second = source.db.session().unwrap();
        first.run("begin; insert into t values (1, 'first')").unwrap();
        second.run("begin; insert into t values (2, 'second')").unwrap();
        first.run("insert into t values (3, 'first')").unwrap();
        second.run("commit").unwrap();
        first.run("commit").unwrap();
        let stored = source.receive_all().await;
        assert_eq!(
            changes(&stored),
            [vec!["insert t(2,second)"], vec!["insert t(1,first)", "insert t(3,first)"]]
        );
    }
}

// trap C-6
#[tokio::test]
async fn an_end_position_inside_a_transaction_leaves_it_out_and_the_next_run_brings_it_whole() {
    let source = Source::new("inside", TABLE);
    source.setup().await;
    source.commit("insert into t values (1, 'a')");
    let mut session = source.db.session().unwrap();
    session.run("begin; insert into t values (2, 'b')").unwrap();
    let inside = source.lsn();
    session.run("insert into t values (3, 'b'); commit").unwrap();
    source.commit("insert into t values (4, 'c')");
    assert_eq!(source.receive_to(inside).await.unwrap(), ReceiveEnd::EndposReached(inside));
    assert_eq!(source.changes().await, inserts([1], "a"));
    let stored = source.receive_all().await;
    assert_eq!(
        changes(&stored),
        [vec!["insert t(1,a)"], vec!["insert t(2,b)", "insert t(3,b)"], vec!["insert t(4,c)"]]
    );
}

// trap C-7
#[tokio::test]
async fn an_end_position_is_inclusive_and_one_in_the_past_or_on_an_idle_source_ends_at_once() {
    let source = Source::new("inclusive", TABLE);
    source.setup().await;
    source.commit("insert into t values (1, 'a')");
    source.commit("insert into t values (2, 'a')");
    source.commit("insert into t values (3, 'a')");
    let all = source.receive_all().await;
    let ends: Vec<Lsn> = all.iter().map(|transaction| transaction.end).collect();
    // Again from the beginning, with a fresh slot, up to exactly the end of the second one.
    let exact = Source::new("exact", TABLE);
    exact.setup().await;
    exact.commit("insert into t values (1, 'a')");
    exact.commit("insert into t values (2, 'a')");
    let end = {
        // The end of a commit record is known once the transaction was received.
        let probe = exact.receive_all().await;
        probe[1].end
    };
    exact.commit("insert into t values (3, 'a')");
    assert_eq!(exact.receive_to(end).await.unwrap(), ReceiveEnd::EndposReached(end));
    assert_eq!(exact.changes().await, inserts([1, 2], "a"));
    // In the past.
    assert_eq!(source.receive_to(ends[0]).await.unwrap(), ReceiveEnd::EndposReached(ends[0]));
    assert_eq!(source.changes().await.len(), 3);
    // Now, with nothing happening.
    let now = source.lsn();
    assert_eq!(source.receive_to(now).await.unwrap(), ReceiveEnd::EndposReached(now));
}

// trap C-7
#[tokio::test]
async fn an_end_position_set_while_running_ends_the_stream() {
    for is_ahead in [true, false] {
        let source = Source::new("running", TABLE);
        source.setup().await;
        let sentinel = SentinelHandle::start(&source.state_db()).unwrap();
        let running = Receiving::start(source.open_with(sentinel.clone()).await.unwrap());
        let positions = running.positions.clone();
        let first = source.commit("insert into t values (1, 'a')");
        until("the first transaction is durable", || positions.borrow().durable >= first).await;
        let endpos = if is_ahead {
            let mut session = source.db.session().unwrap();
            session.run("begin; insert into t values (2, 'a')").unwrap();
            let endpos = source.lsn();
            // Heard before the commit is written.
            sentinel.set_endpos(Some(endpos)).await.unwrap();
            session.run("commit").unwrap();
            endpos
        } else {
            let endpos = source.lsn();
            source.sentinel().set_endpos(Some(endpos)).unwrap();
            endpos
        };
        assert_eq!(running.ended().await.unwrap(), ReceiveEnd::EndposReached(endpos));
        assert_eq!(source.changes().await, inserts([1], "a"));
    }
}

// trap C-8
#[tokio::test]
async fn an_idle_database_keeps_no_log_of_its_busy_neighbours() {
    let source = Source::new("idle", TABLE);
    source.setup().await;
    let neighbour = Source::new("busy", TABLE);
    let running = source.receiving().await;
    let end = neighbour
        .commit("insert into t select i, repeat('x', 1000) from generate_series(1, 5000) i");
    until("what only the neighbour wrote is confirmed", || source.confirmed() >= end).await;
    running.stop().await;
    assert_eq!(source.changes().await, Vec::<String>::new());
    // And nothing that comes then is missed.
    source.commit("insert into t values (1, 'a')");
    assert_eq!(changes(&source.receive_all().await), [vec!["insert t(1,a)"]]);
}

// trap C-9
#[tokio::test]
async fn transactions_of_tables_that_are_left_out_move_the_position_and_cost_nothing() {
    let source = Source::new(
        "empty",
        "create table t(id int primary key, v text); create table other(id int)",
    );
    source.setup_for(&["t"]).await;
    let loops =
        "do $$ begin for i in 1..3000 loop insert into other values (i); commit; end loop; end $$";
    source.db.psql(loops).unwrap();
    source.commit("insert into t values (1, 'a')");
    let end = source.lsn();
    source.receive_to(end).await.unwrap();
    // Version 15 sends no empty transactions; what is sent is the one row.
    assert_eq!(source.changes().await, inserts([1], "a"));
    assert!(source.confirmed() >= source.row().flush_lsn);
    assert_eq!(source.row().flush_lsn, source.confirmed());
}

/// A source that streams transactions in progress: those above 64 kB.
fn streaming(name: &str) -> Source {
    let source = Source::new(name, TABLE);
    source.db.psql("alter database current set logical_decoding_work_mem = '64kB'").ok();
    source
        .db
        .psql(&format!(
            "alter database {} set logical_decoding_work_mem = '64kB'",
            source.db.name()
        ))
        .unwrap();
    source
}

// trap C-11
// trap C-12
#[tokio::test]
async fn of_a_streamed_transaction_only_what_was_not_rolled_back_is_stored() {
    let source = streaming("subxacts");
    source.setup().await;
    let rows = |from: u32, to: u32| {
        format!("insert into t select i, repeat('x', 200) from generate_series({from}, {to}) i")
    };
    source.commit(&format!(
        "{a}; savepoint one; {b}; savepoint two; {c}; rollback to two; {d}; rollback to one; {e};
         savepoint three; {f}; release three; savepoint four; {g}; rollback to four",
        a = rows(1, 1000),
        b = rows(1001, 2000),
        c = rows(2001, 3000),
        d = rows(2001, 2500),
        e = rows(1001, 1500),
        f = rows(1501, 3000),
        g = rows(3001, 4000),
    ));
    // plpgsql's exception blocks are subtransactions too.
    source
        .db
        .psql(
            "do $$ begin for i in 5001..7000 loop begin
             insert into t values (i, repeat('y', 100));
             if i % 3 = 0 then raise exception 'no'; end if;
         exception when others then null; end; end loop; end $$",
        )
        .unwrap();
    let stored = source.receive_all().await;
    assert_eq!(stored.len(), 2);
    let spools = std::fs::read_dir(source.cdc()).unwrap().flatten();
    let spools =
        spools.filter(|entry| entry.path().extension().is_some_and(|e| e == "spool")).count();
    assert_eq!(spools, 2, "both were streamed");
    let expected: Vec<String> = source
        .value("select string_agg(format('insert t(%s,%s)', id, v), E'\\n' order by id) from t")
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(source.changes().await, expected);
}

// trap C-13
#[tokio::test]
async fn streamed_transactions_that_interleave_are_put_apart() {
    let source = streaming("interleave");
    source.setup().await;
    let mut sessions =
        [source.db.session().unwrap(), source.db.session().unwrap(), source.db.session().unwrap()];
    for session in &mut sessions {
        session.run("begin").unwrap();
    }
    for round in 0..8_u32 {
        for (index, session) in (0_u32..).zip(&mut sessions) {
            let from = index * 10_000 + round * 500;
            session
                .run(&format!(
                    "insert into t select i, repeat('x', 100) from generate_series({from}, {}) i",
                    from + 499
                ))
                .unwrap();
        }
        source.commit(&format!("insert into t values ({}, 'small')", 90_000 + round));
    }
    sessions[2].run("commit").unwrap();
    sessions[1].run("rollback").unwrap();
    sessions[0].run("commit").unwrap();
    let stored = source.receive_all().await;
    let shape: Vec<usize> = stored.iter().map(|transaction| transaction.changes.len()).collect();
    assert_eq!(shape, [1, 1, 1, 1, 1, 1, 1, 1, 4000, 4000]);
    let x = "x".repeat(100);
    assert_eq!(stored[8].changes, inserts(20_000..24_000, &x));
    assert_eq!(stored[9].changes, inserts(0..4000, &x));
    let open = std::fs::read_dir(source.cdc()).unwrap().flatten();
    assert!(open.into_iter().all(|entry| entry.path().extension().is_none_or(|e| e != "open")));
}

// trap C-14
#[tokio::test]
async fn a_prepared_transaction_comes_at_its_commit_and_never_when_it_is_rolled_back() {
    let cluster = own_cluster(
        Major::V15,
        testbed::ClusterOptions::default().setting("max_prepared_transactions", "10"),
    );
    let source = Source::on(cluster, "prepared", TABLE);
    source.setup().await;
    source.db.psql("begin; insert into t values (1, 'yes'); prepare transaction 'yes'").unwrap();
    source.db.psql("begin; insert into t values (2, 'no'); prepare transaction 'no'").unwrap();
    source.commit("insert into t values (3, 'plain')");
    assert_eq!(changes(&source.receive_all().await), [vec!["insert t(3,plain)"]]);
    source.db.psql("commit prepared 'yes'").unwrap();
    source.db.psql("rollback prepared 'no'").unwrap();
    let stored = source.receive_all().await;
    assert_eq!(changes(&stored), [vec!["insert t(3,plain)"], vec!["insert t(1,yes)"]]);
    drop(source);
    cluster.stop_immediate().unwrap();
}

// trap C-39
#[tokio::test]
async fn messages_of_other_tools_are_passed_over() {
    for plugin in [Plugin::Pgoutput, Plugin::TestDecoding, Plugin::Wal2json] {
        let mut source = Source::new("messages", TABLE);
        source.plugin = plugin;
        source.setup().await;
        source.db.psql("select pg_logical_emit_message(false, 'debezium', 'outside')").unwrap();
        source.commit(
            "insert into t values (1, 'a'); select pg_logical_emit_message(true, 'x', 'inside')",
        );
        let end = source.commit("select pg_logical_emit_message(true, 'x', 'alone')");
        assert_eq!(
            source.receive_all().await.iter().flat_map(|t| &t.changes).count(),
            1,
            "{plugin:?}"
        );
        assert!(source.confirmed() >= end || source.row().flush_lsn < end);
    }
}

// trap X-13
#[tokio::test]
async fn a_terminated_walsender_is_replaced_and_nothing_is_missed_or_doubled() {
    let source = Source::new("terminated", TABLE);
    source.setup().await;
    let running = source.receiving().await;
    let progress = running.progress.clone();
    for round in 1..=3_u64 {
        source.commit(&format!("insert into t values ({round}, 'a')"));
        until("the stream runs", || {
            progress.borrow().connections >= round && source.is_streaming()
        })
        .await;
        source.db.psql(
            "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = current_database()",
        ).unwrap();
        until("it was replaced", || progress.borrow().connections > round).await;
    }
    source.sentinel().set_endpos(Some(source.lsn())).unwrap();
    running.ended().await.unwrap();
    assert_eq!(source.changes().await, inserts(1..=3, "a"));
}

// trap X-18
#[tokio::test]
async fn a_connection_cut_anywhere_loses_and_doubles_nothing() {
    let mut source = Source::new("cut", TABLE);
    source.setup().await;
    let proxy = Proxy::in_front_of(source.db.cluster()).unwrap();
    source.uri = Some(proxy.uri(source.db.name()));
    let mut expected = Vec::new();
    for round in 0..40_u32 {
        source.commit(&format!(
            "insert into t select i, repeat('x', 50) from generate_series({}, {}) i",
            round * 100,
            round * 100 + 99
        ));
        expected.extend(inserts(round * 100..round * 100 + 100, &"x".repeat(50)));
    }
    let end = source.lsn();
    source.sentinel().set_endpos(Some(end)).unwrap();
    // Each connection lives a little longer than the one before.
    let receiver = source.open().await.unwrap();
    proxy.cut_each_after(Direction::ToClient, Some(30_000));
    let running = Receiving::start(receiver);
    let progress = running.progress.clone();
    until("several connections were cut", || progress.borrow().connections >= 6).await;
    proxy.cut_each_after(Direction::ToClient, None);
    assert_eq!(running.ended().await.unwrap(), ReceiveEnd::EndposReached(end));
    assert_eq!(source.changes().await, expected);
}

// trap X-19
#[tokio::test]
async fn a_full_store_holds_the_source_back_until_changes_are_applied() {
    let mut source = Source::new("full", TABLE);
    source.store.disk_bytes_max = Some(300_000);
    source.store.segment_bytes = 100_000;
    source.setup().await;
    for round in 0..80_u32 {
        source.commit(&format!(
            "insert into t select i, repeat('x', 100) from generate_series({}, {}) i",
            round * 500,
            round * 500 + 499
        ));
    }
    let end = source.lsn();
    let receiver = source.open().await.unwrap();
    source.sentinel().set_endpos(Some(end)).unwrap();
    let mut running = Receiving::start(receiver);
    let (positions, progress) = (running.positions.clone(), running.progress.clone());
    let mut waits = 0;
    let mut seen: Vec<Transaction> = Vec::new();
    let mut applied = Lsn::INVALID;
    while !running.is_finished() {
        let held = *positions.borrow();
        if progress.borrow().waits_for_room && held.durable > applied {
            waits += 1;
            // The limit, and what was on its way to the disk when it was noticed.
            assert!(held.disk_bytes < 300_000 + 10 * BATCH_BYTES as u64, "{held:?}");
            assert!(source.confirmed() <= held.durable);
            let after = seen.last().map_or(Lsn::INVALID, |last| last.end);
            seen.extend(source.stored_so_far(after).await.0);
            // Applied: it may go.
            applied = held.durable;
            source.sentinel().set_replayed(applied).unwrap();
        }
        running.changed().await;
    }
    assert_eq!(running.ended().await.unwrap(), ReceiveEnd::EndposReached(end));
    assert!(waits >= 2, "{waits}");
    seen.extend(source.stored(seen.last().unwrap().end).await);
    let all: Vec<String> = seen.into_iter().flat_map(|transaction| transaction.changes).collect();
    assert_eq!(all, inserts(0..40_000, &"x".repeat(100)));
}

// trap X-4
#[tokio::test]
async fn a_slot_that_is_gone_made_anew_or_of_another_kind_is_refused() {
    let source = Source::new("gone", TABLE);
    source.setup().await;
    source.commit("insert into t values (1, 'a')");
    source.receive_all().await;
    let slot = source.db.name();
    source.db.psql(&format!("select pg_drop_replication_slot('{slot}')")).unwrap();
    let error = source.open().await.unwrap_err();
    assert!(error.to_string().contains("does not exist"), "{error}");
    source
        .db
        .psql(&format!("select pg_create_logical_replication_slot('{slot}', 'test_decoding')"))
        .unwrap();
    let error = source.open().await.unwrap_err();
    assert!(error.to_string().contains("uses plugin test_decoding, expected pgoutput"), "{error}");
    source.db.psql(&format!("select pg_drop_replication_slot('{slot}')")).unwrap();
    source.commit("insert into t values (2, 'lost')");
    source
        .db
        .psql(&format!("select pg_create_logical_replication_slot('{slot}', 'pgoutput')"))
        .unwrap();
    let error = source.open().await.unwrap_err();
    assert!(error.to_string().contains("what lies between is lost"), "{error}");
}

// trap X-11
#[tokio::test]
async fn a_lost_work_directory_is_noticed_instead_of_skipping_what_was_in_it() {
    let source = Source::new("lostdir", TABLE);
    source.setup().await;
    source.commit("insert into t values (1, 'a')");
    source.receive_all().await;
    std::fs::remove_dir_all(source.cdc()).unwrap();
    let error = source.open().await.unwrap_err();
    assert!(error.to_string().contains("what lies between is lost"), "{error}");
}

// trap X-4
#[tokio::test]
async fn a_server_with_another_system_identifier_is_refused() {
    let source = Source::new("identifier", TABLE);
    source.setup().await;
    let mut record = source.record();
    record.system_identifier ^= 1;
    source.sentinel().set_slot(&record).unwrap();
    let error = source.open().await.unwrap_err();
    assert!(error.to_string().contains("system identifier"), "{error}");
    assert!(!source.cdc().exists(), "nothing was begun");
}

#[tokio::test]
async fn a_second_reader_of_the_slot_is_named() {
    let source = Source::new("second", TABLE);
    source.setup().await;
    let running = source.receiving().await;
    until("the first streams", || source.is_streaming()).await;
    let intruder = source.db.session().unwrap();
    let error = {
        let sql = format!(
            "select count(*) from pg_logical_slot_peek_binary_changes('{}', null, null, 'proto_version', '1', 'publication_names', 'x')",
            source.db.name()
        );
        let mut intruder = intruder;
        intruder.run(&sql).unwrap_err().to_string()
    };
    assert!(error.contains("is active for PID"), "{error}");
    running.stop().await;
}

// trap X-6
#[tokio::test]
async fn an_invalidated_slot_is_an_error_that_says_what_to_do() {
    let cluster = own_cluster(
        Major::V15,
        testbed::ClusterOptions::default()
            .setting("max_slot_wal_keep_size", "1MB")
            .setting("max_wal_size", "32MB")
            .setting("min_wal_size", "32MB"),
    );
    let source = Source::on(cluster, "lost", TABLE);
    let ready = source.setup().await;
    assert!(ready.findings.iter().any(|finding| finding.object == "max_slot_wal_keep_size"));
    drop(ready);
    until("the slot is lost", || {
        source
            .db
            .psql("select pg_switch_wal(); create table x(); drop table x; checkpoint")
            .unwrap();
        source.value(
            "select wal_status from pg_replication_slots where slot_name = current_database()",
        ) == "lost"
    })
    .await;
    let error = source.open().await.unwrap_err();
    assert!(error.to_string().contains("was invalidated"), "{error}");
    assert!(error.detail_lines().join(" ").contains("stream cleanup"), "{error:?}");
    drop(source);
    cluster.stop_immediate().unwrap();
}

// trap X-3
#[tokio::test]
async fn a_source_that_restarts_is_waited_for() {
    let cluster = own_cluster(Major::V15, testbed::ClusterOptions::default());
    let source = Source::on(cluster, "restart", TABLE);
    source.setup().await;
    let running = source.receiving().await;
    let progress = running.progress.clone();
    for (round, mode) in [(1, testbed::StopMode::Fast), (2, testbed::StopMode::Immediate)] {
        source.commit(&format!("insert into t values ({round}, 'a')"));
        let before = progress.borrow().connections;
        until("it streams", || progress.borrow().transactions >= round).await;
        tokio::task::spawn_blocking(move || cluster.restart(mode)).await.unwrap().unwrap();
        until("it is back", || progress.borrow().connections > before).await;
    }
    source.sentinel().set_endpos(Some(source.lsn())).unwrap();
    running.ended().await.unwrap();
    assert_eq!(source.changes().await, inserts([1, 2], "a"));
    drop(source);
    cluster.stop_immediate().unwrap();
}

// trap X-11
#[tokio::test]
async fn with_confirm_applied_nothing_is_confirmed_that_is_not_applied() {
    let mut source = Source::new("confirm", TABLE);
    source.setup().await;
    source.confirm = Confirm::Applied;
    let begin = source.confirmed();
    let sentinel = SentinelHandle::start(&source.state_db()).unwrap();
    let running = Receiving::start(source.open_with(sentinel.clone()).await.unwrap());
    let positions = running.positions.clone();
    let first = source.commit("insert into t values (1, 'a')");
    until("the first transaction is durable", || positions.borrow().durable >= first).await;
    let second = source.commit("insert into t values (2, 'a')");
    until("the second transaction is durable", || positions.borrow().durable >= second).await;
    assert_eq!(source.confirmed(), begin);
    // What apply reports.
    sentinel.report_replayed(first);
    until("what is applied is confirmed", || source.confirmed() == first).await;
    running.stop().await;
    assert_eq!(source.confirmed(), first);
    // Without the store, what is not applied comes again.
    std::fs::remove_dir_all(source.cdc()).unwrap();
    assert_eq!(changes(&source.receive_all().await), [vec!["insert t(2,a)"]]);
}

// trap X-3
#[tokio::test]
async fn a_source_that_shuts_down_does_not_wait_until_changes_are_applied() {
    let cluster = own_cluster(Major::V15, testbed::ClusterOptions::default());
    let mut source = Source::on(cluster, "shutdown", TABLE);
    source.setup().await;
    source.confirm = Confirm::Applied;
    let begin = source.confirmed();
    let running = source.receiving().await;
    let progress = running.progress.clone();
    source.commit("insert into t values (1, 'a')");
    until("it streams", || progress.borrow().transactions >= 1).await;
    let before = progress.borrow().connections;
    // Fails where the server does not stop in time.
    let restart = move || cluster.restart(testbed::StopMode::Fast);
    tokio::task::spawn_blocking(restart).await.unwrap().unwrap();
    until("it is back", || progress.borrow().connections > before).await;
    assert_eq!(source.confirmed(), begin);
    source.sentinel().set_endpos(Some(source.lsn())).unwrap();
    running.ended().await.unwrap();
    assert_eq!(source.changes().await, inserts([1], "a"));
    drop(source);
    cluster.stop_immediate().unwrap();
}

// trap C-4
// trap C-5
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn copy_under_the_snapshot_and_stream_together_hold_each_row_once() {
    let source = Source::new("seam", TABLE);
    let writing = std::sync::atomic::AtomicBool::new(true);
    let mut sessions: Vec<_> = (0..4).map(|_| source.db.session().unwrap()).collect();
    let copied = std::thread::scope(|scope| {
        for (index, session) in (0_u32..).zip(&mut sessions) {
            let writing = &writing;
            scope.spawn(move || {
                let mut id = index * 1_000_000;
                while writing.load(std::sync::atomic::Ordering::Relaxed) {
                    // Open across other statements, so that some span the slot's making.
                    session.run(&format!("begin; insert into t values ({id}, 'a')")).unwrap();
                    session
                        .run(&format!("insert into t values ({}, 'a'); commit", id + 1))
                        .unwrap();
                    id += 2;
                }
            });
        }
        let copied = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let rows = || source.value("select count(*) from t").parse::<u64>().unwrap();
                until("rows were written before", || rows() >= 100).await;
                let ready = source.setup().await;
                let snapshot = &ready.holder.as_ref().unwrap().snapshot;
                let copied = source.value(&format!(
                    "begin isolation level repeatable read; set transaction snapshot '{snapshot}';
                 select string_agg(id::text, ',' order by id) from t; commit"
                ));
                let before = rows();
                until("rows were written behind", || rows() >= before + 100).await;
                copied
            })
        });
        writing.store(false, std::sync::atomic::Ordering::Relaxed);
        copied
    });
    let mut ids: Vec<u64> =
        copied.split(['\n', ',']).filter_map(|word| word.trim().parse().ok()).collect();
    let copied = ids.len();
    source.receive_all().await;
    let received = source.changes().await;
    assert!(copied > 0 && !received.is_empty(), "{copied} {}", received.len());
    ids.extend(received.iter().map(|change| {
        change.trim_start_matches("insert t(").split(',').next().unwrap().parse::<u64>().unwrap()
    }));
    ids.sort_unstable();
    let expected: Vec<u64> = source
        .value("select string_agg(id::text, ',' order by id) from t")
        .split(',')
        .map(|id| id.parse().unwrap())
        .collect();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn a_reader_begins_anywhere_and_knows_every_relation() {
    let mut source = Source::new(
        "anywhere",
        "create table t(id int primary key, v text); create table u(id int primary key)",
    );
    source.store.segment_bytes = 4096;
    source.setup().await;
    for round in 0..60 {
        source.db.psql(&format!("insert into t values ({round}, repeat('x', 300))")).unwrap();
        if round == 0 || round == 40 {
            source.db.psql(&format!("insert into u values ({round})")).unwrap();
        }
    }
    let all = source.receive_all().await;
    assert_eq!(all.len(), 62);
    assert!(std::fs::read_dir(source.cdc()).unwrap().count() > 4, "several segments");
    for (index, transaction) in all.iter().enumerate() {
        assert_eq!(source.stored(transaction.end).await, all[index + 1..], "after {index}");
    }
}

#[tokio::test]
async fn version_18_and_16_stream_as_15_does() {
    for major in [Major::V16, Major::V18] {
        let source = Source::on(shared(major), "versions", TABLE);
        source
            .db
            .psql(&format!(
                "alter database {} set logical_decoding_work_mem = '64kB'",
                source.db.name()
            ))
            .unwrap();
        source.setup().await;
        source.commit("insert into t select i, repeat('x', 100) from generate_series(0, 2999) i; savepoint s; insert into t values (9999, 'no'); rollback to s");
        source.commit("insert into t values (9000, 'a')");
        let stored = source.receive_all().await;
        assert_eq!(stored.len(), 2, "{major:?}");
        assert_eq!(stored[0].changes, inserts(0..3000, &"x".repeat(100)));
    }
}
