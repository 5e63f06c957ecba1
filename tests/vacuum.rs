//! VACUUM and ANALYZE on real servers.

#[path = "support/sessions.rs"]
mod sessions;

use pgcopydb::base::ident::QualifiedName;
use pgcopydb::job::vacuum::{self, VacuumJob, VacuumWork};
use testbed::{Major, TestDatabase, shared};

fn job(work: VacuumWork, names: &[&str]) -> VacuumJob {
    VacuumJob {
        tables: names.iter().map(|name| QualifiedName::new("public", *name)).collect(),
        work,
        mark: Some("insert into public.marks values ('done')".into()),
    }
}

const TABLES: &str = "
    create table marks (name text);
    create table a (id int); insert into a select generate_series(1, 1000);
    create table \"B b\" (id int); insert into \"B b\" select generate_series(1, 500);
    create table p (id int) partition by range (id);
    create table p1 partition of p for values from (0) to (10000);
    insert into p select generate_series(1, 700);";

#[tokio::test]
async fn statistics_are_there_afterwards() {
    for major in Major::ALL {
        let database = TestDatabase::create(shared(major), "analyze").unwrap();
        database.psql(TABLES).unwrap();
        let mut session = sessions::target(&database).await;
        // As a part of a table is loaded: committed without waiting for the disk.
        session
            .execute("insert into public.p select 0 from generate_series(1, 300)")
            .await
            .unwrap();
        let findings =
            vacuum::run(&mut session, &job(VacuumWork::Analyze, &["a", "B b"])).await.unwrap();
        assert!(findings.is_empty(), "{major}: {findings:?}");
        let findings =
            vacuum::run(&mut session, &job(VacuumWork::VacuumAnalyze, &["p1"])).await.unwrap();
        assert!(findings.is_empty(), "{major}: {findings:?}");
        let findings =
            vacuum::run(&mut session, &job(VacuumWork::AnalyzeParents, &["p"])).await.unwrap();
        assert!(findings.is_empty(), "{major}: {findings:?}");
        let rows =
            "select string_agg(relname || ' ' || reltuples, ', ' order by relname collate \"C\")
                      from pg_class where relname in ('a', 'B b', 'p', 'p1')";
        assert_eq!(database.psql(rows).unwrap(), "B b 500, a 1000, p 1000, p1 1000", "{major}");
        let inherited = "select count(*) from pg_stats where tablename = 'p' and inherited";
        assert_eq!(database.psql(inherited).unwrap(), "1", "{major}");
        let visible = "select relallvisible = relpages from pg_class where relname = 'p1'";
        assert_eq!(database.psql(visible).unwrap(), "t", "{major}: VACUUM set the map");
        assert_eq!(database.psql("select count(*) from marks").unwrap(), "3", "{major}");
    }
}

#[tokio::test]
async fn a_table_that_cannot_be_analyzed_is_a_finding_and_the_others_are_done() {
    let database = TestDatabase::create(shared(Major::V18), "gone").unwrap();
    database.psql(TABLES).unwrap();
    let mut session = sessions::target(&database).await;
    let findings =
        vacuum::run(&mut session, &job(VacuumWork::Analyze, &["a", "gone", "B b"])).await.unwrap();
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].object, "public.gone");
    assert!(findings[0].reason.contains("42P01"), "{}", findings[0].reason);
    let rows = "select sum(reltuples) from pg_class where relname in ('a', 'B b')";
    assert_eq!(database.psql(rows).unwrap(), "1500");
}
