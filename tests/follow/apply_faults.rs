//! Faults while changes are applied: lost connections, crashes of the target, deadlocks.

use pgcopydb::base::error::Result;
use pgcopydb::connect::conninfo::{ConnInfo, Environment};
use pgcopydb::follow::apply::Applier;
use pgcopydb::follow::change::ChangeEvent;
use testbed::chaos::{Direction, Proxy};
use testbed::{ClusterOptions, Major, TestDatabase};

use crate::source::{own_cluster, until};
use crate::stream::{Stream, bounded};

/// A counter that shows a transaction applied twice or never, and rows that must come once.
const DDL: &str = "create table counter (id int primary key, n int);
                   create table log (id serial, n int)";

fn info(uri: &str) -> ConnInfo {
    ConnInfo::parse(uri, &Environment::empty()).unwrap()
}

/// Transactions that depend on each other.
fn workload(transactions: u32) -> String {
    let mut sql = String::from("insert into counter select g, 0 from generate_series(1, 20) g;");
    for number in 0..transactions {
        sql.push_str(&format!(
            "begin; update counter set n = n + 1 where id = {}; insert into log (n) values ({number}); commit;",
            number % 20 + 1
        ));
    }
    sql
}

#[tokio::test]
async fn a_connection_lost_at_any_byte_loses_and_repeats_nothing() {
    let mut stream = Stream::new("cut", DDL);
    stream.write(&workload(300));
    let events = stream.events();
    let proxy = Proxy::in_front_of(stream.target.cluster()).unwrap();
    stream.config.target = info(&proxy.uri(stream.target.name()));
    let mut failures = 0;
    for round in 0_u64.. {
        // Each connection ends a little later than the last one's.
        let bytes = (round < 60).then_some(2_000 + round * 700);
        let direction = if round % 2 == 0 { Direction::ToServer } else { Direction::ToClient };
        proxy.cut_each_after(direction, bytes);
        match in_small_batches(&stream, &events).await {
            Ok(_) => break,
            Err(error) => {
                failures += 1;
                assert!(round < 60, "{error}");
                assert!(error.class().is_retryable(), "{error}");
            }
        }
        proxy.cut_each_after(Direction::ToServer, None);
        proxy.cut_each_after(Direction::ToClient, None);
    }
    assert!(failures > 3, "{failures}");
    stream.assert_same();
}

/// Applies events with many commits on the target.
async fn in_small_batches(stream: &Stream, events: &[ChangeEvent]) -> Result<()> {
    bounded(async {
        let mut applier = Applier::open(&stream.config, stream.scope.clone()).await?;
        for (number, event) in events.iter().enumerate() {
            applier.apply(event.clone()).await?;
            if number % 10 == 0 {
                applier.flush().await?;
            }
        }
        applier.close().await.map(drop)
    })
    .await
}

// trap X-2
#[tokio::test]
async fn a_crash_of_the_target_takes_nothing_back_that_was_called_applied() {
    let cluster = own_cluster(Major::V18, ClusterOptions::default());
    let mut stream = Stream::new("crash", DDL);
    let target = TestDatabase::create(cluster, "crash").unwrap();
    target.psql(DDL).unwrap();
    stream.config.target = info(&target.uri());
    stream.target = target;
    stream.write(&workload(400));
    let events = stream.events();
    let ends = events.len();
    for round in 1..=4 {
        let mut applier = stream.open().await;
        let progress = applier.progress();
        bounded(async {
            for event in events.iter().take(ends * round / 5).cloned() {
                applier.apply(event).await.unwrap();
            }
            applier.flush().await.unwrap();
            // Some rounds wait until it is applied, some crash in the middle.
            if round % 2 == 0 {
                applier.settle().await.unwrap();
            }
        })
        .await;
        let applied = progress.borrow().applied;
        cluster.stop_immediate().unwrap();
        drop(applier);
        cluster.start_again().unwrap();
        let after = stream.origin();
        assert!(after >= applied, "{after} after the crash, {applied} before");
    }
    stream.apply(events).await.unwrap();
    stream.assert_same();
    drop(stream);
    cluster.stop_immediate().unwrap();
}

// trap C-56
#[tokio::test]
async fn a_deadlock_on_the_target_repeats_the_batch() {
    let mut stream = Stream::new("deadlock", DDL);
    stream.write("insert into counter select g, 0 from generate_series(1, 2) g");
    stream.follow().await;
    stream.write("begin; update counter set n = 1 where id = 1; update counter set n = 1 where id = 2; commit");
    let events = stream.events();
    let mut other = stream.target.session().unwrap();
    other.run("begin; update counter set n = n where id = 2").unwrap();
    let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    let blocked = async {
        until("it waits for the lock", || stream.value(waiting) == "1").await;
        other.begin("update counter set n = n where id = 1").unwrap();
        tokio::task::spawn_blocking(move || {
            other.finish().unwrap();
            other.run("commit").unwrap();
        })
        .await
        .unwrap();
    };
    let (progress, ()) = tokio::join!(stream.apply(events), blocked);
    assert_eq!(progress.unwrap().transactions, 1);
    stream.assert_same();
    assert!(stream.target.log_errors().iter().any(|line| line.contains("deadlock detected")));
}
