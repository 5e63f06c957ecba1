//! `pg_dump`, `pg_restore` and our own restore of the sections, on real servers.

#[path = "support/sessions.rs"]
mod sessions;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pgcopydb::base::error::{Error, ErrorKind};
use pgcopydb::config::SchemaOptions;
use pgcopydb::connect::client::Session;
use pgcopydb::connect::conninfo::{self, ConnInfo};
use pgcopydb::job::schema::apply::{self, Applied, Apply, ScriptSource};
use pgcopydb::job::schema::script::Script;
use pgcopydb::job::schema::toc::Toc;
use pgcopydb::job::schema::toc_filter::{Rules, filter, keep_only};
use pgcopydb::job::schema::{
    Dump, Endpoint, Restore, Section, Surroundings, Transactions, dump, list, restore,
    section_entries,
};
use pgcopydb::local::child::Environment;
use pgcopydb::local::child::pgtools::{Inventory, PgVersion, Places, ToolPair};
use tempfile::TempDir;
use testbed::compare::Comparison;
use testbed::{Installation, Major, TestDatabase, shared};
use tokio_util::sync::CancellationToken;

/// A dumped schema with its edited list, and everything to restore it.
struct Archive {
    directory: TempDir,
    pair: ToolPair,
    surroundings: Surroundings,
    /// The list as `pg_restore` printed it.
    toc: Vec<u8>,
}

/// The tools of every version on this machine.
async fn inventory(majors: &[Major]) -> Inventory {
    let directories = majors.iter().map(|major| Installation::find(*major).expect("tools").bindir);
    let places = Places { path: directories.collect(), ..Places::default() };
    Inventory::find(&places, &environment()).await.expect("client tools")
}

fn environment() -> Environment {
    Environment::default().with("PATH", "/usr/bin:/bin").with("LC_ALL", "C")
}

fn endpoint(database: &TestDatabase<'_>) -> Endpoint {
    endpoint_of(&database.uri())
}

fn endpoint_of(uri: &str) -> Endpoint {
    let info = ConnInfo::parse(uri, &conninfo::Environment::empty()).expect("URI");
    let child = info.child_conninfo();
    let variables = child.variables.into_iter().map(|(name, value)| (name.to_owned(), value));
    Endpoint { dbname: child.text, variables: variables.collect() }
}

fn version(database: &TestDatabase<'_>) -> PgVersion {
    PgVersion::from_number(database.cluster().installation().version_num)
}

fn has_attver(database: &TestDatabase<'_>) -> bool {
    let sql = "select exists (select from pg_attribute where attoptions::text like '%pg_attver=%')";
    database.psql(sql).expect("attoptions").trim() == "t"
}

impl Archive {
    /// Dumps a database with the tools that fit it and the target.
    async fn make(
        source: &TestDatabase<'_>,
        target: &TestDatabase<'_>,
        rules: &Rules,
    ) -> Result<Self, Error> {
        let attver = has_attver(source);
        let inventory = inventory(&Major::ALL).await;
        let pair = inventory.pair(version(source), version(target), attver)?;
        let directory = tempfile::tempdir().expect("directory");
        let mut archive = Self {
            directory,
            pair,
            surroundings: Surroundings { environment: environment(), children: None },
            toc: Vec::new(),
        };
        let what = Dump {
            encoding: "UTF8",
            tool: &archive.pair.dump,
            source: &endpoint(source),
            snapshot: None,
            schemas: &[],
            exclude_schemas: &[],
            no_large_objects: true,
            lock_wait_timeout: Duration::from_secs(10),
        };
        let cancel = CancellationToken::new();
        let (file, out) = (archive.dump_file(), archive.path("out.list"));
        dump(&what, &file, &archive.surroundings, &cancel).await?;
        archive.toc =
            list(&archive.pair.restore, &file, &out, &archive.surroundings, &cancel).await?;
        let edited = filter(&Toc::parse(&archive.toc), rules).list;
        for section in [Section::PreData, Section::PostData] {
            let (tool, surroundings) = (&archive.pair.restore, &archive.surroundings);
            let wanted = section_entries(tool, &file, section, surroundings, &cancel).await?;
            let (list, _) = keep_only(&edited, &wanted);
            std::fs::write(archive.list_file(section), list).expect("list");
        }
        Ok(archive)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn dump_file(&self) -> PathBuf {
        self.path("schema.dump")
    }

    /// The edited list of a section.
    fn list_file(&self, section: Section) -> PathBuf {
        self.path(&format!("{}.list", section.name()))
    }

    /// Restores a section with `pg_restore`.
    async fn restore(
        &self,
        target: &TestDatabase<'_>,
        section: Section,
        list: &Path,
        transactions: Transactions,
        repeat: bool,
    ) -> Result<(), Error> {
        let what = Restore {
            tool: &self.pair.restore,
            target: &endpoint(target),
            section,
            list,
            transactions,
            options: SchemaOptions::default(),
            repeat,
        };
        restore(&what, &self.dump_file(), &self.surroundings, &CancellationToken::new()).await
    }

    /// The SQL of a section.
    async fn script(&self, target: &TestDatabase<'_>, section: Section, clean: bool) -> Script {
        let from = ScriptSource {
            tool: &self.pair.restore,
            archive: &self.dump_file(),
            list: &self.list_file(section),
            toc: &Toc::parse(&self.toc),
            options: SchemaOptions::default(),
            clean,
            target: version(target),
        };
        let cancel = CancellationToken::new();
        apply::script(from, section, &self.surroundings, &cancel)
            .await
            .expect("pg_restore")
            .expect("script")
    }
}

/// A database with one object of every kind.
fn everything<'a>(major: Major, prefix: &str) -> TestDatabase<'a> {
    let database = TestDatabase::create(shared(major), prefix).expect("database");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/toc/everything.sql");
    database.psql_file(&file).expect("everything.sql");
    // A subscription keeps its database from being dropped; hstore is not on every server.
    database.psql("drop subscription sub; drop extension if exists hstore").expect("drop");
    // The roles that owners and privileges name.
    for other in Major::ALL.into_iter().filter(|other| *other != major) {
        for role in ["\"toc owner with spaces\"", "toc_reader"] {
            let sql = format!(
                "do $$ begin create role {role}; exception when duplicate_object or unique_violation then end $$"
            );
            shared(other).psql("postgres", &sql).expect("role");
        }
    }
    database
}

/// Definitions that differ between two databases, extensions' comments aside.
fn differences(source: &TestDatabase<'_>, target: &TestDatabase<'_>) -> Vec<String> {
    let found = Comparison::new(&source.uri(), &target.uri())
        .exclude_schema("marks")
        .dump_argument("--no-large-objects")
        .schema()
        .expect("comparison");
    found.iter().map(ToString::to_string).collect()
}

// trap D-43
#[tokio::test]
async fn internal_column_option_of_the_source_does_not_reach_the_target() {
    let source = TestDatabase::create(shared(Major::V15), "attver").unwrap();
    source.psql("create table t (a int primary key, b text); create view v as table t").unwrap();
    assert!(has_attver(&source), "this server keeps the option on every column");
    for major in [Major::V16, Major::V18] {
        let target = TestDatabase::create(shared(major), "attver").unwrap();
        // Without the source's own tools there is no pg_dump that hides it: refused before work.
        let found = inventory(&[Major::V16, Major::V18]).await;
        let error = found.pair(version(&source), version(&target), true).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Tool(_)), "{error:?}");
        assert!(error.to_string().contains("pg_attver"), "{error}");
        // With them the archive restores with the target's pg_restore.
        let archive = Archive::make(&source, &target, &Rules::default()).await.unwrap();
        assert_eq!(archive.pair.dump.version, version(&source));
        assert_eq!(archive.pair.restore.version, version(&target));
        for section in [Section::PreData, Section::PostData] {
            archive
                .restore(&target, section, &archive.list_file(section), Transactions::One, false)
                .await
                .unwrap();
        }
        assert_eq!(differences(&source, &target), [""; 0]);
    }
}

// trap D-43
#[tokio::test]
async fn older_release_of_pg_dump_prints_the_internal_option_and_the_target_refuses_it() {
    let source = TestDatabase::create(shared(Major::V15), "attver").unwrap();
    source.psql("create table t (a int)").unwrap();
    let target = TestDatabase::create(shared(Major::V18), "attver").unwrap();
    let mut archive = Archive::make(&source, &target, &Rules::default()).await.unwrap();
    // What choosing the target's pg_dump would have led to.
    let newer = inventory(&[Major::V18]).await;
    archive.pair.dump = newer.tools[0].clone();
    let what = Dump {
        encoding: "UTF8",
        tool: &archive.pair.dump,
        source: &endpoint(&source),
        snapshot: None,
        schemas: &[],
        exclude_schemas: &[],
        no_large_objects: true,
        lock_wait_timeout: Duration::from_secs(10),
    };
    let cancel = CancellationToken::new();
    dump(&what, &archive.dump_file(), &archive.surroundings, &cancel).await.unwrap();
    let transactions = Transactions::Each { jobs: 1 };
    let error = archive
        .restore(
            &target,
            Section::PreData,
            &archive.list_file(Section::PreData),
            transactions,
            false,
        )
        .await
        .unwrap_err();
    let lines = error.detail_lines().join("\n");
    assert!(lines.contains("unrecognized parameter \"pg_attver\""), "{lines}");
}

/// Restores both sections through our own sessions and returns what was run.
async fn apply_both(archive: &Archive, target: &TestDatabase<'_>, parallel: usize) -> Vec<Applied> {
    let mut applied = Vec::new();
    for section in [Section::PreData, Section::PostData] {
        let script = archive.script(target, section, false).await;
        let done = marked(target);
        applied.push(run(target, &script, &done, parallel).await.expect("section"));
    }
    applied
}

/// Runs a script with marks in table `marks.done`.
async fn run(
    target: &TestDatabase<'_>,
    script: &Script,
    done: &HashSet<i64>,
    parallel: usize,
) -> Result<Applied, Error> {
    let mark = |digests: &[i64]| {
        let values: Vec<String> = digests.iter().map(|digest| format!("({digest})")).collect();
        format!("insert into marks.done values {};", values.join(", "))
    };
    let mut all: Vec<Session> = Vec::new();
    for _ in 0..parallel {
        all.push(sessions::target(target).await);
    }
    let what = Apply { script, done, mark: Some(&mark), search_path: "" };
    apply::apply(what, all, &CancellationToken::new()).await
}

fn make_marks(target: &TestDatabase<'_>) {
    target.psql("create schema marks; create table marks.done (digest bigint)").expect("marks");
}

fn marked(target: &TestDatabase<'_>) -> HashSet<i64> {
    let text = target.psql("select digest from marks.done").expect("marks");
    text.lines().map(|line| line.trim().parse().expect("digest")).collect()
}

#[tokio::test]
async fn every_kind_of_object_arrives_through_our_own_sessions() {
    for (from, to) in [(Major::V15, Major::V18), (Major::V18, Major::V18), (Major::V15, Major::V16)]
    {
        let source = everything(from, "every");
        let target = TestDatabase::create(shared(to), "every").unwrap();
        make_marks(&target);
        let archive = Archive::make(&source, &target, &Rules::default()).await.unwrap();
        let applied = apply_both(&archive, &target, 3).await;
        assert!(applied.iter().all(|section| section.run_count > 30), "{applied:?}");
        assert_eq!(differences(&source, &target), [""; 0], "{from} to {to}");
    }
}

// trap X-1
#[tokio::test]
async fn interrupted_restore_continues_where_it_was_whatever_had_been_done() {
    let source = everything(Major::V18, "cut");
    let count = |script: &Script| script.pieces.len();
    for part in 1..6 {
        let target = TestDatabase::create(shared(Major::V18), "cut").unwrap();
        make_marks(&target);
        let archive = Archive::make(&source, &target, &Rules::default()).await.unwrap();
        for section in [Section::PreData, Section::PostData] {
            let script = archive.script(&target, section, false).await;
            let mut begun = script.clone();
            begun.pieces.truncate(count(&script) * part / 6);
            run(&target, &begun, &HashSet::new(), 1).await.unwrap();
            let applied = run(&target, &script, &marked(&target), 2).await.unwrap();
            assert_eq!(usize::try_from(applied.done_count).unwrap(), count(&begun));
            assert_eq!(usize::try_from(applied.run_count).unwrap(), count(&script) - count(&begun));
            // Once more changes nothing.
            let again = run(&target, &script, &marked(&target), 1).await.unwrap();
            assert_eq!(again.run_count, 0);
        }
        assert_eq!(differences(&source, &target), [""; 0], "after {part} of 6");
    }
}

#[tokio::test]
async fn failing_entry_is_named_and_what_ran_before_it_stays_done() {
    let source = TestDatabase::create(shared(Major::V18), "fails").unwrap();
    source
        .psql("create table a (x int); create table \"b B\" (x int); create table c (x int)")
        .unwrap();
    let target = TestDatabase::create(shared(Major::V18), "fails").unwrap();
    make_marks(&target);
    target.psql("create table \"b B\" (other int)").unwrap();
    let archive = Archive::make(&source, &target, &Rules::default()).await.unwrap();
    let script = archive.script(&target, Section::PreData, false).await;
    let error = run(&target, &script, &marked(&target), 1).await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("42P07"), "{error}");
    assert!(error.to_string().contains("restore TABLE public b B postgres"), "{error}");
    // Mended by a person, the same call goes on.
    target.psql("drop table \"b B\"").unwrap();
    let applied = run(&target, &script, &marked(&target), 1).await.unwrap();
    assert_eq!((applied.done_count, applied.run_count), (1, 2));
    assert_eq!(differences(&source, &target), [""; 0]);
}

#[tokio::test]
async fn clean_drops_what_exists_first() {
    let source = everything(Major::V18, "clean");
    let target = TestDatabase::create(shared(Major::V18), "clean").unwrap();
    make_marks(&target);
    let archive = Archive::make(&source, &target, &Rules::default()).await.unwrap();
    apply_both(&archive, &target, 1).await;
    target.psql("truncate marks.done; insert into plain.parent values (1)").unwrap();
    let script = archive.script(&target, Section::PreData, true).await;
    assert!(script.drops.contains("DROP TABLE IF EXISTS plain.parent;"), "{}", script.drops);
    // Post-data hangs on what is dropped; it goes first, as an operator's DROP … CASCADE would do.
    let post = archive.script(&target, Section::PostData, true).await;
    let drops = Script { pieces: Vec::new(), ..post };
    target.psql("alter table plain.parted_1 drop constraint parted_1_pkey cascade").unwrap_err();
    target.psql("alter table plain.parted drop constraint parted_pkey").unwrap();
    run(&target, &drops, &HashSet::new(), 1).await.unwrap();
    run(&target, &script, &marked(&target), 1).await.unwrap();
    assert_eq!(target.psql("select count(*) from plain.parent").unwrap().trim(), "0");
    apply_both(&archive, &target, 1).await;
    assert_eq!(differences(&source, &target), [""; 0]);
}

#[tokio::test]
async fn views_that_read_views_are_refreshed_in_order_on_several_sessions() {
    let source = TestDatabase::create(shared(Major::V18), "refresh").unwrap();
    source
        .psql(
            "create materialized view z as select 1 as x; \
             create materialized view y as select * from z; \
             create materialized view a as select * from y; \
             create materialized view alone as select 2 as x; \
             create materialized view empty as select 3 as x with no data",
        )
        .unwrap();
    let target = TestDatabase::create(shared(Major::V18), "refresh").unwrap();
    make_marks(&target);
    let archive = Archive::make(&source, &target, &Rules::default()).await.unwrap();
    apply_both(&archive, &target, 4).await;
    let sql = "select string_agg(relname, ' ' order by relname) from pg_class \
               where relkind = 'm' and relispopulated";
    assert_eq!(target.psql(sql).unwrap().trim(), "a alone y z");
    assert_eq!(target.psql("select x from a").unwrap().trim(), "1");
}

/// Enough objects that depend on each other for several sessions.
const LARGE: &str = "do $$ begin for i in 1..250 loop
    execute format('create type k%s as enum (%L)', i, 'a');
    execute format('create table t%s (id int generated always as identity, k k%s)', i, i);
    execute format('create table c%s () inherits (t%s)', i, i);
    execute format('create view v%s as select * from t%s', i, i);
    execute format('comment on view v%s is %L', i, 'v');
    execute format('grant select on v%s to public', i);
end loop; end $$";

#[tokio::test]
async fn large_schema_is_restored_on_several_sessions() {
    let source = TestDatabase::create(shared(Major::V18), "large").unwrap();
    source.psql(LARGE).unwrap();
    let target = TestDatabase::create(shared(Major::V18), "large").unwrap();
    make_marks(&target);
    let archive = Archive::make(&source, &target, &Rules::default()).await.unwrap();
    let script = archive.script(&target, Section::PreData, false).await;
    assert_eq!(script.session_count(4), 4);
    // Something in the way: found beside the others, named in the order of the script.
    target.psql("create view v77 as select 1 as x").unwrap();
    let error = run(&target, &script, &HashSet::new(), 4).await.unwrap_err();
    assert!(error.to_string().contains("restore VIEW public v77 postgres"), "{error}");
    target.psql("drop view v77").unwrap();
    let applied = run(&target, &script, &marked(&target), 4).await.unwrap();
    assert!(applied.done_count > 0, "{applied:?}");
    assert_eq!(differences(&source, &target), [""; 0]);
}

/// The first entries of a list, as a crash of a restore would have left them.
fn beginning(list: &[u8], count: usize) -> Vec<u8> {
    let lines = list.split_inclusive(|&byte| byte == b'\n');
    lines.filter(|line| line[0].is_ascii_digit()).take(count).flatten().copied().collect()
}

// trap X-1
#[tokio::test]
async fn repeated_pre_data_of_pg_restore_mends_a_half_done_one() {
    let source = everything(Major::V18, "repeat");
    for count in [10, 30, 50, 70, 85] {
        let target = TestDatabase::create(shared(Major::V18), "repeat").unwrap();
        let archive = Archive::make(&source, &target, &Rules::default()).await.unwrap();
        let (section, one) = (Section::PreData, Transactions::One);
        let (full, part) = (archive.list_file(section), archive.path("part.list"));
        let list = std::fs::read(&full).unwrap();
        std::fs::write(&part, beginning(&list, count)).unwrap();
        archive.restore(&target, section, &part, one, false).await.unwrap();
        archive.restore(&target, section, &full, one, true).await.unwrap();
        // And over a complete one.
        archive.restore(&target, section, &full, one, true).await.unwrap();
        let post = Transactions::Each { jobs: 2 };
        let section = Section::PostData;
        let list = archive.list_file(section);
        archive.restore(&target, section, &list, post, false).await.unwrap();
        assert_eq!(differences(&source, &target), [""; 0], "after {count} entries");
    }
}

#[tokio::test]
async fn existing_schema_and_skipped_extension_do_not_stop_the_restore() {
    let source = everything(Major::V15, "exists");
    source.psql("create extension hstore schema plain; create extension citext").unwrap();
    let target = TestDatabase::create(shared(Major::V18), "exists").unwrap();
    make_marks(&target);
    target.psql("create schema plain").unwrap();
    let oid = source.psql("select oid from pg_namespace where nspname = 'plain'").unwrap();
    let rules = Rules {
        existing_schemas: HashSet::from([oid.trim().parse().unwrap()]),
        skip_extensions: true,
        ..Rules::default()
    };
    let archive = Archive::make(&source, &target, &rules).await.unwrap();
    let filtered = filter(&Toc::parse(&archive.toc), &rules).left_out.len();
    assert_eq!(filtered, 6, "database, schema, two extensions, two comments");
    apply_both(&archive, &target, 1).await;
    let comment = target.psql("select obj_description('plain'::regnamespace)").unwrap();
    assert_eq!(comment.trim(), "a schema");
}

#[tokio::test]
async fn names_and_texts_of_a_latin1_source_arrive() {
    let words = "template template0 encoding 'LATIN1' locale 'C'";
    let source = TestDatabase::create_with(shared(Major::V15), "latin", words).unwrap();
    source
        .psql(
            "create table \"stra\u{df}e\" (\"gr\u{f6}\u{df}e\" int default 1); \
             comment on table \"stra\u{df}e\" is '\u{e4}\u{f6}\u{fc}'",
        )
        .unwrap();
    let target = TestDatabase::create(shared(Major::V18), "latin").unwrap();
    make_marks(&target);
    let archive = Archive::make(&source, &target, &Rules::default()).await.unwrap();
    apply_both(&archive, &target, 1).await;
    let sql = "select obj_description('\"stra\u{df}e\"'::regclass)";
    assert_eq!(target.psql(sql).unwrap().trim(), "\u{e4}\u{f6}\u{fc}");
}

#[tokio::test]
async fn dump_that_cannot_lock_a_table_fails_in_time_and_leaves_no_file() {
    let source = TestDatabase::create(shared(Major::V15), "locked").unwrap();
    source.psql("create table t (a int)").unwrap();
    let mut holder = sessions::target(&source).await;
    holder.execute("begin; lock table public.t in access exclusive mode").await.unwrap();
    let found = inventory(&[Major::V15]).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("schema.dump");
    let what = Dump {
        encoding: "UTF8",
        tool: found.tools.iter().find(|tool| tool.path.ends_with("pg_dump")).unwrap(),
        source: &endpoint(&source),
        snapshot: None,
        schemas: &[],
        exclude_schemas: &[],
        no_large_objects: true,
        lock_wait_timeout: Duration::from_millis(200),
    };
    let surroundings = Surroundings { environment: environment(), children: None };
    let error = dump(&what, &file, &surroundings, &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Child { .. }), "{error:?}");
    let lines = error.detail_lines().join("\n");
    assert!(lines.contains("LOCK TABLE public.t"), "{lines}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn stop_cancels_the_running_statement_on_the_server() {
    let source = TestDatabase::create(shared(Major::V18), "stop").unwrap();
    source.psql("create materialized view slow as select 1 as x from pg_sleep(0)").unwrap();
    let target = TestDatabase::create(shared(Major::V18), "stop").unwrap();
    make_marks(&target);
    let archive = Archive::make(&source, &target, &Rules::default()).await.unwrap();
    let mut script = archive.script(&target, Section::PreData, false).await;
    script.pieces[0].sql = "select pg_catalog.pg_sleep(600);".into();
    let stop = CancellationToken::new();
    stop.cancel();
    let what = Apply { script: &script, done: &HashSet::new(), mark: None, search_path: "" };
    let all = vec![sessions::target(&target).await];
    let error = apply::apply(what, all, &stop).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Cancelled), "{error:?}");
}

#[tokio::test]
async fn what_a_tool_says_keeps_its_digits_and_loses_its_password() {
    // Settings travel in variables like the password; some are no more than "1".
    let tools = inventory(&[Major::V15]).await;
    let cancel = CancellationToken::new();
    let directory = tempfile::tempdir().unwrap();
    let what = Dump {
        encoding: "UTF8",
        tool: &tools.tools[0],
        source: &endpoint_of("postgresql://somebody:hunter2@127.0.0.1:1/hunter2"),
        snapshot: None,
        schemas: &[],
        exclude_schemas: &[],
        no_large_objects: true,
        lock_wait_timeout: Duration::from_secs(10),
    };
    let surroundings = Surroundings { environment: environment(), children: None };
    let error = dump(&what, &directory.path().join("dump"), &surroundings, &cancel).await;
    let lines = error.unwrap_err().detail_lines().concat();
    assert!(lines.contains("127.0.0.1"), "{lines}");
    assert!(lines.contains("port 1 "), "{lines}");
    assert!(!lines.contains("hunter2"), "{lines}");
}
