//! Changes as SQL text: what is printed does what the changes do, in psql and read back.

use pgcopydb::follow::apply::TextApplier;
use pgcopydb::follow::change::ChangeEvent;
use pgcopydb::follow::text::SqlPrinter;
use proto::lsn::Lsn;

use crate::stream::{Stream, bounded};

const DDL: &str = "
    create table t (id int generated always as identity primary key, v text, n numeric, j json);
    create table f (a int, b text, p point); alter table f replica identity full;
    create table \"Odd \"\"name\" (\"the key\" text primary key, \"select\" bytea)";

const WORK: &str = "
    insert into t (v, n, j) select E'it''s a \\\\ line\\nbreak\\r\\ttab ' || g, g / 7.0, '{\"a\": 1}' from generate_series(1, 30) g;
    update t set v = null where id = 3; update t set n = 'NaN' where id > 20; delete from t where id between 5 and 8;
    insert into f select 1, 'same', '(1,2)' from generate_series(1, 4); insert into f values (null, null, null);
    update f set b = 'x' where ctid in (select ctid from f where a = 1 limit 1); delete from f where a is null;
    delete from f where ctid in (select ctid from f where b = 'same' limit 1);
    insert into \"Odd \"\"name\" values ('k; -- {', '\\x00ff'); update \"Odd \"\"name\" set \"the key\" = '';
    truncate t restart identity; insert into t (v) values ('-- {\"lsn\":\"0/1\"}')";

/// The text of events.
fn print(events: &[ChangeEvent], endpos: Option<Lsn>) -> String {
    let mut out = Vec::new();
    let mut printer = SqlPrinter::new(&mut out, Lsn::INVALID, endpos, false);
    for event in events {
        printer.print(event).unwrap();
    }
    String::from_utf8(out).unwrap()
}

/// Applies text; returns how many transactions it was.
async fn read_back(stream: &Stream, text: &str) -> u64 {
    bounded(async {
        let mut applier = TextApplier::open(&stream.config).await.unwrap();
        for line in text.lines() {
            applier.line(line).await.unwrap();
        }
        let transactions = applier.transactions();
        applier.close().await.unwrap();
        transactions
    })
    .await
}

#[tokio::test]
async fn printed_changes_do_the_same_in_psql() {
    let mut stream = Stream::new("psql", DDL);
    stream.write(WORK);
    let text = print(&stream.events(), None);
    stream.target.psql(&format!("set session_replication_role = replica;\n{text}")).unwrap();
    stream.assert_same();
}

// trap C-30
#[tokio::test]
async fn printed_changes_are_read_back_once() {
    let mut stream = Stream::new("text", DDL);
    // Makes the position.
    stream.follow().await;
    stream.write(WORK);
    let events = stream.events();
    let text = print(&events, None);
    let transactions =
        events.iter().filter(|event| matches!(event, ChangeEvent::Commit(_))).count();
    assert_eq!(read_back(&stream, &text).await, transactions as u64);
    stream.assert_same();
    assert_eq!(read_back(&stream, &text).await, 0);
    stream.assert_same();
}

// trap C-6
#[tokio::test]
async fn the_end_cuts_the_text_between_transactions() {
    let mut stream = Stream::new("textend", "create table t (id int primary key)");
    stream.follow().await;
    stream.write("insert into t values (1); insert into t values (2); insert into t values (3)");
    let events = stream.events();
    let ends: Vec<Lsn> = events
        .iter()
        .filter_map(|event| match event {
            ChangeEvent::Commit(commit) => Some(commit.end_lsn),
            _ => None,
        })
        .collect();
    let inside = Lsn(ends[1].0 - 1);
    for (endpos, rows) in [(ends[1], 2), (inside, 1), (ends[0], 1), (Lsn(1), 0)] {
        let text = print(&events, Some(endpos));
        assert_eq!(text.matches("INSERT").count(), rows, "{endpos}");
        assert_eq!(text.matches("COMMIT").count(), rows, "{endpos}");
    }
    stream.config.endpos = Some(inside);
    assert_eq!(read_back(&stream, &print(&events, None)).await, 1);
    assert_eq!(stream.value("select count(*) from t"), "1");
}

#[tokio::test]
async fn text_of_earlier_versions_is_understood() {
    let stream = Stream::new("legacy", "create table t (id int primary key, v text)");
    stream.apply(Vec::new()).await.unwrap();
    let text = r#"BEGIN; -- {"xid":491,"lsn":"0/24E1B08","timestamp":"2022-06-27 14:42:21.795714+0200","commit_lsn":"0/24E20A8"}
PREPARE d33a643f AS INSERT INTO public.t ("id", "v") overriding system value VALUES ($1, $2), ($3, $4);
EXECUTE d33a643f["1", "it's ] \"quoted\"", "2", null];
COMMIT; -- {"xid":491,"lsn":"0/24E20A8","timestamp":"2022-06-27 14:42:21.795714+0200"}
KEEPALIVE; -- {"lsn":"0/24E3000","timestamp":"2022-06-27 14:42:21.795714+0200"}
SWITCH WAL; -- {"lsn":"0/3000000"}
"#;
    assert_eq!(read_back(&stream, text).await, 1);
    assert_eq!(stream.value("select id, v from t order by id"), "1|it's ] \"quoted\"\n2|");
    assert_eq!(stream.origin(), Lsn(0x24E_3000));
}
