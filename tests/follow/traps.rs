//! What happens to the two databases while changes are followed: types that grow, partitions that go,
//! backends that hold on, networks that are far.

use std::time::Duration;

use pgcopydb::connect::conninfo::{ConnInfo, Environment};
use pgcopydb::follow::change::{Begin, ChangeEvent, Commit};
use proto::lsn::Lsn;
use proto::time::PgTimestamp;
use testbed::chaos::{Direction, Proxy};

use crate::source::until;
use crate::stream::Stream;

// trap C-34
#[tokio::test]
async fn a_new_label_of_an_enum_stops_at_its_commit_and_goes_on_once_the_target_has_it() {
    let mut stream = Stream::new(
        "label",
        "create type mood as enum ('sad', 'ok'); create table t (id int primary key, m mood)",
    );
    stream.write(
        "insert into t values (1, 'ok'); alter type mood add value 'happy';
         insert into t values (2, 'happy'); insert into t values (3, 'sad')",
    );
    let events = stream.events();
    let error = stream.apply(events.clone()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("invalid input value for enum public.mood: \"happy\""), "{text}");
    assert!(text.contains("insert into public.t"), "{text}");
    assert_eq!(stream.value("select string_agg(id::text, ',') from t"), "1", "nothing is skipped");
    stream.target.psql("alter type mood add value 'happy'").unwrap();
    stream.apply(events).await.unwrap();
    stream.assert_same();
}

// trap C-36
#[tokio::test]
async fn partitions_that_are_detached_or_dropped_with_their_rows_do_not_stop_the_stream() {
    let mut stream = Stream::new(
        "detach",
        "create table p (id int primary key, v text) partition by range (id);
         create table p1 partition of p for values from (0) to (10);
         create table p2 partition of p for values from (10) to (20);
         create table p3 partition of p for values from (20) to (30)",
    );
    stream.write(
        "insert into p select g, 'v' from generate_series(0, 29) g;
         alter table p detach partition p1; insert into p1 values (100, 'beyond its old bounds');
         update p1 set v = 'still followed' where id = 1;
         drop table p2; update p set v = 'x' where id = 25; delete from p where id = 26",
    );
    let events = stream.events();
    // The detached table has no place for such a row while it is a partition here.
    let error = stream.apply(events.clone()).await.unwrap_err().to_string();
    assert!(error.contains("violates partition constraint"), "{error}");
    stream.target.psql("alter table p detach partition p1").unwrap();
    stream.apply(events).await.unwrap();
    stream.target.psql("drop table p2").unwrap();
    stream.assert_same();
}

// trap C-43
#[tokio::test]
async fn a_way_back_tells_what_we_applied_from_what_the_target_wrote_itself() {
    let mut stream = Stream::new("loop", "create table t (id int primary key, v text)");
    let slot = format!("{}_back", stream.target.name());
    stream
        .target
        .psql(&format!(
            "create publication back for table t;
             select pg_create_logical_replication_slot('{slot}', 'pgoutput')"
        ))
        .unwrap();
    stream.write("insert into t values (1, 'forward'); update t set v = 'again'");
    stream.follow().await;
    stream.assert_same();
    stream.target.psql("insert into t values (2, 'written here')").unwrap();
    // Inserts and updates among the messages.
    let changes = |origin: &str| {
        stream.value(&format!(
            "select count(*) from pg_logical_slot_peek_binary_changes('{slot}', null, null,
               'proto_version', '4', 'publication_names', 'back', 'origin', '{origin}')
             where get_byte(data, 0) in (ascii('I'), ascii('U'))"
        ))
    };
    // The two changes of the source are one row of net effect.
    assert_eq!((changes("any"), changes("none")), ("2".to_owned(), "1".to_owned()));
    stream.target.psql(&format!("select pg_drop_replication_slot('{slot}')")).unwrap();
}

// trap C-45
#[tokio::test]
async fn thousands_of_different_statements_in_one_session_are_never_mistaken_for_one_another() {
    const TABLES: u32 = 140;
    let mut stream = Stream::new(
        "names",
        &format!(
            "do $$ begin for n in 1..{TABLES} loop execute format('create table t_%s
             (id int primary key, a int, b int, c int, d int, e int)', n); end loop; end $$"
        ),
    );
    // Each row gets another set of its columns changed: more statements than a session keeps.
    stream.write(&format!(
        "do $$ declare sets text; begin for n in 1..{TABLES} loop
           execute format('insert into t_%s select g, 0, 0, 0, 0, 0 from generate_series(1, 31) g', n);
         end loop; end $$;
         do $$ declare sets text; begin for n in 1..{TABLES} loop for id in 1..31 loop
           select string_agg(format('%s = %s', chr(97 + bit), n * 100 + id), ', ') into sets
             from generate_series(0, 4) bit where id & (1 << bit) <> 0;
           execute format('update t_%s set %s where id = %s', n, sets, id);
         end loop; end loop; end $$;
         do $$ begin for n in 1..{TABLES} loop
           execute format('delete from t_%s where id = 7', n);
         end loop; end $$"
    ));
    let progress = stream.follow().await;
    assert_eq!(progress.batches_repeated, 0);
    stream.assert_same();
}

// trap C-57 C-29
#[tokio::test]
async fn rows_that_somebody_wrote_on_the_target_are_noticed() {
    for (theirs, stops_with) in [
        ("insert into t values (10, 'theirs')", "duplicate key"),
        ("delete from t where id = 1", "touched 0 rows, expected 1"),
    ] {
        let mut stream = Stream::new("theirs", "create table t (id int primary key, v text)");
        stream.write("insert into t values (1, 'a'), (2, 'a')");
        stream.follow().await;
        stream.target.psql(theirs).unwrap();
        stream.write("update t set v = 'b' where id = 1; insert into t values (10, 'ours')");
        let events = stream.events();
        let error = stream.apply(events).await.unwrap_err().to_string();
        assert!(error.contains(stops_with), "{theirs}: {error}");
    }
}

// trap C-58
#[tokio::test]
async fn clocks_that_jump_do_not_change_the_order() {
    let stream = Stream::new("clock", "select 1");
    let mut applier = stream.open().await;
    for number in 1..=50_u32 {
        // Backwards, with a leap of a century in between.
        let micros = -i64::from(number) * 1_000_000 + i64::from(number % 2) * 3_155_760_000_000_000;
        let commit_time = Some(PgTimestamp(micros));
        let begin = Begin { xid: number, commit_lsn: None, commit_time };
        applier.apply(ChangeEvent::Begin(begin)).await.unwrap();
        let end_lsn = Lsn(u64::from(number) * 64);
        applier.apply(ChangeEvent::Commit(Commit { end_lsn, commit_time })).await.unwrap();
    }
    assert_eq!(applier.close().await.unwrap(), Lsn(50 * 64));
    assert_eq!(stream.origin(), Lsn(50 * 64));
}

// trap X-22
#[tokio::test]
async fn an_origin_that_a_backend_still_holds_is_waited_for() {
    let mut stream = Stream::new("held", "create table t (id int primary key)");
    stream.write("insert into t values (1)");
    stream.follow().await;
    stream.write("insert into t values (2)");
    let events = stream.events();
    // What a crash leaves: a backend that does not know yet that its client is gone.
    let mut left = stream.target.session().unwrap();
    let name = stream.config.origin.clone();
    left.run(&format!("select pg_replication_origin_session_setup('{name}')")).unwrap();
    let refusals = || {
        let log = stream.target.log_errors();
        log.iter().filter(|line| line.contains("is already active for PID")).count()
    };
    let before = refusals();
    let release = async {
        until("it was refused", || refusals() > before).await;
        drop(left);
    };
    let (progress, ()) = tokio::join!(stream.apply(events), release);
    assert_eq!(progress.unwrap().transactions, 1);
    stream.assert_same();
}

// trap X-17
#[tokio::test]
async fn a_target_far_away_is_kept_in_step_all_the_same() {
    let mut stream = Stream::new("far", "create table t (id int primary key, n int)");
    let transactions: String = (0..1500)
        .map(|number| match number {
            0..500 => format!("insert into t values ({number}, 0);"),
            _ => format!("update t set n = n + 1 where id = {};", number % 500),
        })
        .collect();
    stream.write(&transactions);
    let events = stream.events();
    let proxy = Proxy::in_front_of(stream.target.cluster()).unwrap();
    stream.config.target =
        ConnInfo::parse(&proxy.uri(stream.target.name()), &Environment::empty()).unwrap();
    let delay = Duration::from_millis(75);
    proxy.delay(Direction::ToServer, delay);
    proxy.delay(Direction::ToClient, delay);
    let began = std::time::Instant::now();
    let progress = stream.apply(events).await.unwrap();
    assert_eq!(progress.transactions, 1500);
    // One round trip for each of them alone would take longer than all of it may.
    let one_by_one = delay * 2 * 1500;
    assert!(began.elapsed() < one_by_one / 3, "{:?} of {one_by_one:?}", began.elapsed());
    stream.assert_same();
}
