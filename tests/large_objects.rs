//! Large objects copied between real servers.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

#[path = "support/sessions.rs"]
mod sessions;

use std::collections::BTreeSet;
use std::sync::Mutex;

use pgcopydb::base::counters::JobCounters;
use pgcopydb::base::summary::Severity;
use pgcopydb::job::large_object::{self, LargeObjectReport, Metadata, Share};
use testbed::compare::object_diff;
use testbed::{Major, TestDatabase, shared};

const ALL: Metadata = Metadata { owner: true, acl: true, comment: true };

/// Every pair of versions that a test goes through.
const PAIRS: [(Major, Major); 4] = [
    (Major::V15, Major::V18),
    (Major::V18, Major::V15),
    (Major::V16, Major::V16),
    (Major::V18, Major::V18),
];

/// Copies everything with some workers; the identities of windows that were marked come back.
async fn copy_with(
    source: &str,
    target: &str,
    shards: u32,
    metadata: Metadata,
    done: &BTreeSet<u32>,
) -> (Vec<LargeObjectReport>, BTreeSet<u32>) {
    let marked = Mutex::new(BTreeSet::new());
    let mut reports = Vec::new();
    for shard in 0..shards {
        let share = Share {
            shard,
            shards,
            snapshot: None,
            metadata,
            is_done: &|window| done.contains(&window),
            mark: &|window| {
                marked.lock().unwrap().insert(window);
                "select 1".to_owned()
            },
        };
        let mut from = sessions::source_at(source).await;
        let mut to = sessions::target_at(target).await;
        let counters = JobCounters::default();
        let report = large_object::copy_share(&mut from, &mut to, &share, &counters).await.unwrap();
        assert_eq!(counters.bytes(), report.bytes);
        assert_eq!(counters.rows(), report.objects);
        reports.push(report);
    }
    (reports, marked.into_inner().unwrap())
}

/// Copies everything with one worker that has nothing to report.
async fn copy(source: &TestDatabase<'_>, target: &TestDatabase<'_>) -> LargeObjectReport {
    let (mut reports, _) = copy_with(&source.uri(), &target.uri(), 1, ALL, &BTreeSet::new()).await;
    let report = reports.remove(0);
    assert!(report.findings.is_empty(), "{report:?}");
    report
}

/// What differs between the large objects of two databases, one line each.
fn differences(source: &TestDatabase<'_>, target: &TestDatabase<'_>) -> Vec<String> {
    let differences = object_diff(&source.uri(), &target.uri()).unwrap();
    let lines = differences.into_iter().map(|difference| format!("{difference:?}"));
    lines.filter(|line| line.contains("large object")).collect()
}

fn assert_same(source: &TestDatabase<'_>, target: &TestDatabase<'_>, context: &str) {
    let differences = differences(source, target);
    assert!(differences.is_empty(), "{context}: {differences:#?}");
}

/// Two roles on both clusters, gone with the value.
struct Roles<'a> {
    databases: [&'a TestDatabase<'a>; 2],
    names: [String; 2],
}

impl<'a> Roles<'a> {
    fn create(source: &'a TestDatabase<'_>, target: &'a TestDatabase<'_>) -> Self {
        let names = ["bob", "Alice"].map(|name| format!("{name} {}", source.name()));
        for database in [source, target] {
            for name in &names {
                // Both databases may live in one cluster.
                database.psql(&format!("create role \"{name}\" login password 'x'")).ok();
            }
        }
        Self { databases: [source, target], names }
    }
}

impl Drop for Roles<'_> {
    fn drop(&mut self) {
        for database in self.databases {
            for name in &self.names {
                database.psql(&format!("drop owned by \"{name}\"")).ok();
            }
        }
        for database in self.databases {
            for name in &self.names {
                database.psql(&format!("drop role \"{name}\"")).ok();
            }
        }
    }
}

/// Objects of every kind: content, identifier, owner, privileges, comment.
fn fill(source: &TestDatabase<'_>, roles: &Roles<'_>) {
    let [bob, alice] = &roles.names;
    source
        .psql(&format!(
            "
            -- Contents: empty, one byte, every byte value, around a page, around a chunk, many chunks.
            select lo_create(1000);
            select lo_from_bytea(1001, '\\x00');
            select lo_from_bytea(1002, (select string_agg(set_byte('\\x00', 0, b), '') from generate_series(0, 255) b));
            select lo_from_bytea(1003 + n, convert_to(repeat('x', 2047 + n), 'UTF8')) from generate_series(0, 2) n;
            select lo_from_bytea(1010 + n, convert_to(repeat('y', 1048575 + n), 'UTF8')) from generate_series(0, 2) n;
            select lo_from_bytea(1020, convert_to(string_agg(g::text, ','), 'UTF8')) from generate_series(1, 1500000) g;
            -- Holes: at the start, in the middle, at the end.
            select lo_create(1030); select lo_put(1030, 5000000, 'after the hole');
            select lo_from_bytea(1031, 'before'); select lo_put(1031, 9000000, 'after');
            do $$ begin perform lo_from_bytea(1032, 'short');
                  perform lo_truncate64(lo_open(1032, 131072), 3000000); end $$;
            -- Identifiers: lowest, highest, sparse.
            select lo_from_bytea(n, n::text::bytea) from unnest('{{1,2147483648,4294967295,70000,80000}}'::oid[]) n;
            select lo_from_bytea(200000 + n, md5(n::text)::bytea) from generate_series(1, 2500) n;
            -- Owners, privileges, comments.
            alter large object 1001 owner to \"{bob}\";
            grant select on large object 1002 to public;
            grant select, update on large object 1003 to \"{alice}\" with grant option;
            set role \"{alice}\"; grant select on large object 1003 to \"{bob}\"; reset role;
            revoke all on large object 1004 from postgres;
            alter large object 1005 owner to \"{bob}\"; grant update on large object 1005 to \"{alice}\";
            comment on large object 1001 is 'it''s a \\ comment';
            comment on large object 200007 is 'ünïcode';
            "
        ))
        .unwrap();
}

// trap V-4
#[tokio::test]
async fn every_kind_of_large_object_arrives_as_it_was() {
    for (from, to) in PAIRS {
        let source = TestDatabase::create(shared(from), "lo_source").unwrap();
        let target = TestDatabase::create(shared(to), "lo_target").unwrap();
        let roles = Roles::create(&source, &target);
        fill(&source, &roles);
        let report = copy(&source, &target).await;
        assert_same(&source, &target, &format!("{from} to {to}"));
        let expected = source
            .psql("select count(*), sum(lo_lseek64(lo_open(oid, 262144), 0, 2)) from pg_largeobject_metadata")
            .unwrap();
        assert_eq!(format!("{}|{}", report.objects, report.bytes), expected);

        // Once more onto what is there: nothing changes, nothing is added.
        copy(&source, &target).await;
        assert_same(&source, &target, &format!("{from} to {to} twice"));
    }
}

// trap V-4
#[tokio::test]
async fn what_pg_restore_created_already_ends_the_same() {
    for major in [Major::V15, Major::V16, Major::V18] {
        let source = TestDatabase::create(shared(major), "lo_dump").unwrap();
        let target = TestDatabase::create(shared(major), "lo_restored").unwrap();
        let roles = Roles::create(&source, &target);
        fill(&source, &roles);
        let dump = source
            .cluster()
            .pg_dump(source.name(), &["--section=pre-data", "--section=post-data"])
            .unwrap();
        target.psql(&dump).unwrap();
        let created = target.psql("select count(*) > 0 from pg_largeobject_metadata").unwrap();
        // From version 17 on pg_dump leaves them to the data section.
        assert_eq!(created, if major == Major::V18 { "f" } else { "t" }, "{major}");
        copy(&source, &target).await;
        assert_same(&source, &target, &major.to_string());
    }
}

// trap V-4
#[tokio::test]
async fn leftovers_of_an_interrupted_run_do_not_shine_through() {
    let source = TestDatabase::create(shared(Major::V15), "lo_short").unwrap();
    let target = TestDatabase::create(shared(Major::V18), "lo_long").unwrap();
    source
        .psql(
            "select lo_from_bytea(1, 'short'); select lo_create(2);
             select lo_create(3); select lo_put(3, 4000000, 'end')",
        )
        .unwrap();
    target
        .psql("select lo_from_bytea(n, convert_to(repeat('garbage', 1000000), 'UTF8')) from unnest('{1,2,3}'::oid[]) n")
        .unwrap();
    assert!(!differences(&source, &target).is_empty(), "the comparison sees contents");
    copy(&source, &target).await;
    assert_same(&source, &target, "after leftovers");
    let pages = "select count(*) from pg_largeobject";
    let pages: u32 = target.psql(pages).unwrap().parse().unwrap();
    assert!(pages < 600, "a hole of 4 MB takes {pages} pages of 2 kB");
}

#[tokio::test]
async fn workers_share_the_windows_and_a_later_run_skips_the_marked_ones() {
    let source = TestDatabase::create(shared(Major::V15), "lo_shared").unwrap();
    let target = TestDatabase::create(shared(Major::V18), "lo_shares").unwrap();
    source
        .psql("select count(lo_from_bytea(n, n::text::bytea)) from generate_series(1024, 6143) n")
        .unwrap();
    let nothing = BTreeSet::new();
    let (reports, marked) = copy_with(&source.uri(), &target.uri(), 3, ALL, &nothing).await;
    let objects: Vec<u64> = reports.iter().map(|report| report.objects).collect();
    assert_eq!(objects, [1024, 2048, 2048]);
    assert_eq!(marked, BTreeSet::from([1024, 2048, 3072, 4096, 5120]));
    assert_same(&source, &target, "three workers");

    // Another run with another number of workers: what is marked is not touched again.
    target.psql("select lo_put(n, 0, 'X') from unnest('{1024,2048,6143}'::oid[]) n").unwrap();
    let done = BTreeSet::from([1024, 5120]);
    let (reports, marked) = copy_with(&source.uri(), &target.uri(), 2, ALL, &done).await;
    assert_eq!(reports.iter().map(|report| report.already_done).sum::<u64>(), 2048);
    assert_eq!(marked, BTreeSet::from([2048, 3072, 4096]));
    let first = "select string_agg(convert_from(lo_get(n, 0, 1), 'UTF8'), '' order by n)
                   from unnest('{1024,2048,6143}'::oid[]) n";
    assert_eq!(target.psql(first).unwrap(), "X2X");
}

// trap V-4
#[tokio::test]
async fn objects_that_our_role_may_not_read_are_reported_and_their_window_stays_open() {
    for major in Major::ALL {
        let source = TestDatabase::create(shared(major), "lo_hidden").unwrap();
        let target = TestDatabase::create(shared(Major::V18), "lo_seen").unwrap();
        let roles = Roles::create(&source, &target);
        let [bob, alice] = &roles.names;
        source
            .psql(&format!(
                "select lo_from_bytea(n, n::text::bytea) from unnest('{{1,2,3,4,5,3000}}'::oid[]) n;
                 grant select on large object 2 to public;
                 alter large object 3 owner to \"{bob}\";
                 grant select on large object 4 to \"{bob}\";
                 grant update on large object 5 to \"{bob}\";
                 grant select on large object 3000 to \"{alice}\"; grant \"{alice}\" to \"{bob}\";"
            ))
            .unwrap();
        let uri = source.uri_as(bob, "x");
        let (reports, marked) = copy_with(&uri, &target.uri(), 1, ALL, &BTreeSet::new()).await;
        let report = &reports[0];
        assert_eq!(report.objects, 4, "{major}");
        assert_eq!(report.findings.len(), 1, "{major}: {report:?}");
        assert_eq!(report.findings[0].severity, Severity::Error);
        assert!(report.findings[0].reason.ends_with("on the source: 1, 5"), "{major}: {report:?}");
        assert_eq!(marked, BTreeSet::from([2048]), "{major}: the window of 1 to 5 is not done");
        let found = "select string_agg(oid::text, ' ' order by oid) from pg_largeobject_metadata";
        assert_eq!(target.psql(found).unwrap(), "2 3 4 3000", "{major}");
    }
}

#[tokio::test]
async fn switches_leave_owners_privileges_and_comments_to_the_target() {
    let source = TestDatabase::create(shared(Major::V15), "lo_switch").unwrap();
    let target = TestDatabase::create(shared(Major::V18), "lo_own").unwrap();
    let roles = Roles::create(&source, &target);
    fill(&source, &roles);
    let [bob, _] = &roles.names;
    let uri = target.uri_as(bob, "x");
    let nothing = Metadata { owner: false, acl: false, comment: false };
    copy_with(&source.uri(), &uri, 1, nothing, &BTreeSet::new()).await;
    let facts = format!(
        "select count(*) filter (where lomowner <> '\"{bob}\"'::regrole),
                count(lomacl), count(obj_description(oid, 'pg_largeobject'))
           from pg_largeobject_metadata"
    );
    assert_eq!(target.psql(&facts).unwrap(), "0|0|0");
    let contents = "select md5(string_agg(oid || md5(lo_get(oid)), '' order by oid)) from pg_largeobject_metadata";
    assert_eq!(source.psql(contents).unwrap(), target.psql(contents).unwrap());

    // Privileges without owners: the owner's own are those of whoever owns it here.
    let no_owner = Metadata { owner: false, ..ALL };
    target
        .psql("select lo_unlink(oid) from pg_largeobject_metadata where oid in (1002, 1004)")
        .unwrap();
    target.psql(&format!("grant \"{}\" to \"{bob}\"", roles.names[1])).unwrap();
    copy_with(&source.uri(), &uri, 1, no_owner, &BTreeSet::new()).await;
    let acl = "select string_agg(oid || ':' || lomacl::text, ' ' order by oid)
                 from pg_largeobject_metadata where oid in (1002, 1004)";
    let expected =
        format!("1002:{{\"\\\"{bob}\\\"=rw/\\\"{bob}\\\"\",\"=r/\\\"{bob}\\\"\"}} 1004:{{}}");
    assert_eq!(target.psql(acl).unwrap(), expected);
}

#[tokio::test]
async fn a_database_without_large_objects_is_done_at_once() {
    let source = TestDatabase::create(shared(Major::V15), "lo_none").unwrap();
    let target = TestDatabase::create(shared(Major::V18), "lo_nothing").unwrap();
    let report = copy(&source, &target).await;
    assert_eq!((report.objects, report.bytes), (0, 0));
}
