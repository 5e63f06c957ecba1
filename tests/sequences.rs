//! Sequence values on real servers.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

#[path = "support/sessions.rs"]
mod sessions;

use pgcopydb::base::ident::QualifiedName;
use pgcopydb::base::summary::Severity;
use pgcopydb::connect::client::Session;
use pgcopydb::job::sequence::{self, SequenceReport, SequenceSet, SequenceValue};
use testbed::{Major, TestDatabase, shared};

fn to(name: &str, last_value: i64, is_called: bool) -> SequenceSet {
    SequenceSet {
        name: QualifiedName::new("public", name),
        value: Some(SequenceValue { last_value, is_called }),
    }
}

async fn set(session: &mut Session, sets: &[SequenceSet]) -> SequenceReport {
    sequence::set(session, sets, None).await.unwrap()
}

fn stands(database: &TestDatabase<'_>, name: &str) -> String {
    database.psql(&format!("select last_value, is_called from \"{name}\"")).unwrap()
}

// trap D-28
#[tokio::test]
async fn every_kind_of_sequence_ends_where_it_should() {
    for major in Major::ALL {
        let database = TestDatabase::create(shared(major), "kinds").unwrap();
        database
            .psql(
                "create sequence plain; create sequence \"Mixed Case\"; create sequence unused;
                 create sequence small as smallint; create sequence top as bigint;
                 create sequence down increment -3 minvalue -100 maxvalue -1;
                 create sequence round minvalue 1 maxvalue 10 cycle;
                 create unlogged sequence forgetful; create sequence cached cache 50;
                 create table t (id int generated always as identity, s serial, x bigserial);",
            )
            .unwrap();
        let sets = [
            to("plain", 17, true),
            to("Mixed Case", 18, false),
            to("unused", 1, false),
            to("small", 32_767, true),
            to("top", i64::MAX, true),
            to("down", -100, true),
            to("round", 10, true),
            to("forgetful", 5, true),
            to("cached", 51, true),
            to("t_id_seq", 7, true),
            to("t_s_seq", 8, true),
            to("t_x_seq", 1, true),
        ];
        let mut session = sessions::target(&database).await;
        let report = set(&mut session, &sets).await;
        assert_eq!(report, SequenceReport { set: 12, findings: vec![] }, "{major}");
        for sequence in &sets {
            let value = sequence.value.unwrap();
            let called = if value.is_called { "t" } else { "f" };
            assert_eq!(
                stands(&database, &sequence.name.name),
                format!("{}|{called}", value.last_value),
                "{major}: {}",
                sequence.name
            );
        }
        // What comes next is what would have come next on the source.
        assert_eq!(database.psql("select nextval('plain')").unwrap(), "18", "{major}");
        assert_eq!(database.psql("select nextval('\"Mixed Case\"')").unwrap(), "18", "{major}");
        assert_eq!(database.psql("select nextval('round')").unwrap(), "1", "{major}");
        for full in ["small", "top", "down"] {
            let error = database.psql(&format!("select nextval('{full}')")).unwrap_err();
            assert!(error.to_string().contains("reached m"), "{major}: {full}: {error}");
        }
    }
}

// trap X-24
#[tokio::test]
async fn a_sequence_that_is_ahead_stays_and_is_reported() {
    for major in Major::ALL {
        let database = TestDatabase::create(shared(major), "ahead").unwrap();
        database
            .psql(
                "create sequence up; select setval('up', 100);
                 create sequence down increment -1 minvalue -1000; select setval('down', -100);
                 create sequence round maxvalue 10 cycle; select setval('round', 9);
                 create sequence fresh start 500;",
            )
            .unwrap();
        let mut session = sessions::target(&database).await;
        let sets =
            [to("up", 99, true), to("down", -99, true), to("round", 2, true), to("fresh", 3, true)];
        let report = set(&mut session, &sets).await;
        assert_eq!(report.set, 2, "{major}");
        let ahead: Vec<&str> = report.findings.iter().map(|f| f.object.as_str()).collect();
        assert_eq!(ahead, ["sequence public.up", "sequence public.down"], "{major}");
        assert!(report.findings.iter().all(|finding| finding.severity == Severity::Warning));
        assert_eq!(stands(&database, "up"), "100|t", "{major}");
        assert_eq!(stands(&database, "down"), "-100|t", "{major}");
        assert_eq!(stands(&database, "round"), "2|t", "{major}");
        assert_eq!(stands(&database, "fresh"), "3|t", "{major}");
    }
}

// trap D-28
#[tokio::test]
async fn what_cannot_be_set_is_named_and_nothing_is_marked_done() {
    let database = TestDatabase::create(shared(Major::V18), "unset").unwrap();
    let role = format!("seq_{}", database.name());
    database
        .psql(&format!(
            "create sequence good; create sequence narrow maxvalue 10; create sequence secret;
             create table marks (name text); create role {role} login password 'x';
             grant all on sequence good, narrow to {role}; grant all on marks to {role};"
        ))
        .unwrap();
    let sets = [
        to("good", 4, true),
        to("narrow", 11, true),
        to("secret", 5, true),
        to("missing", 5, true),
        SequenceSet { name: QualifiedName::new("public", "unread"), value: None },
    ];
    let mut session = sessions::target_at(&database.uri_as(&role, "x")).await;
    let mark = "insert into public.marks values ('done')";
    let report = sequence::set(&mut session, &sets, Some(mark)).await.unwrap();
    assert_eq!(report.set, 1);
    let named: Vec<(&str, Severity)> =
        report.findings.iter().map(|f| (f.object.as_str(), f.severity)).collect();
    assert_eq!(
        named,
        [
            ("sequence public.unread", Severity::Error),
            ("sequence public.secret", Severity::Error),
            ("sequence public.missing", Severity::Error),
            ("sequence public.narrow", Severity::Error),
        ]
    );
    assert!(report.findings[0].reason.contains("on the source"), "{:?}", report.findings[0]);
    assert!(report.findings[3].reason.contains("22003"), "{:?}", report.findings[3]);
    assert_eq!(database.psql("select count(*) from marks").unwrap(), "0");
    let report = sequence::set(&mut session, &sets[..1], Some(mark)).await.unwrap();
    assert_eq!(report, SequenceReport { set: 1, findings: vec![] });
    assert_eq!(database.psql("select count(*) from marks").unwrap(), "1");
    drop(session);
    database.psql(&format!("drop owned by {role}; drop role {role}")).unwrap();
}

#[tokio::test]
async fn more_sequences_than_fit_one_statement_are_all_set() {
    let database = TestDatabase::create(shared(Major::V18), "many").unwrap();
    database
        .psql(
            "do $$ begin for n in 1..1203 loop
               execute format('create sequence s%s', n); end loop; end $$",
        )
        .unwrap();
    let sets: Vec<SequenceSet> = (1..=1203).map(|n| to(&format!("s{n}"), n + 1, true)).collect();
    let mut session = sessions::target(&database).await;
    let report = set(&mut session, &sets).await;
    assert_eq!(report, SequenceReport { set: 1203, findings: vec![] });
    for n in [1, 500, 501, 1203] {
        assert_eq!(stands(&database, &format!("s{n}")), format!("{}|t", n + 1));
    }
}
