//! Indexes, constraints and foreign keys built by the job bodies on real servers.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

#[path = "support/sessions.rs"]
mod sessions;

use pgcopydb::base::ident::QualifiedName;
use pgcopydb::base::summary::Severity;
use pgcopydb::catalog::model::ConstraintKind;
use pgcopydb::connect::client::Session;
use pgcopydb::job::index::{
    ConstraintAdd, ConstraintIndex, ForeignKey, ForeignKeyOutcome, IndexBuild, IndexDetails,
    Outcome, TableConstraints, add_constraints, add_foreign_keys, build_many, validate_foreign_key,
};
use testbed::{Major, TestDatabase, shared};

/// Tables without any index, and a place for marks.
const TABLES: &str = "
    create table t (id int not null, a int, b text, r int4range);
    insert into t select g, g % 7, 'x' || g, int4range(g * 10, g * 10 + 5)
      from generate_series(1, 1000) g;
    create table \"Other T\" (id int not null, t_id int);
    insert into \"Other T\" select g, g from generate_series(1, 1000) g;
    create table marks (name text primary key);
";

fn name(name: &str) -> QualifiedName {
    QualifiedName::new("public", name)
}

fn index(index: &str, table: &str, definition: &str) -> IndexBuild {
    IndexBuild {
        name: name(index),
        table: name(table),
        definition: definition.into(),
        mark: Some(mark(index)),
        ..IndexBuild::default()
    }
}

fn mark(name: &str) -> String {
    format!("insert into public.marks values ('{name}') on conflict do nothing")
}

fn unique(on: &str) -> ConstraintAdd {
    ConstraintAdd {
        name: on.into(),
        kind: ConstraintKind::Unique,
        index: ConstraintIndex::Built { name: on.into(), deferrable: false, deferred: false },
        mark: Some(mark(on)),
        ..ConstraintAdd::default()
    }
}

fn from_definition(on: &str, kind: ConstraintKind, definition: &str) -> ConstraintAdd {
    ConstraintAdd {
        name: on.into(),
        kind,
        definition: definition.into(),
        index: ConstraintIndex::FromDefinition(IndexDetails::default()),
        mark: Some(mark(on)),
        ..ConstraintAdd::default()
    }
}

fn key(on: &str, table: &str, referenced: &str, definition: &str) -> ForeignKey {
    ForeignKey {
        name: on.into(),
        table: name(table),
        referenced: name(referenced),
        definition: definition.into(),
        validated: true,
        mark: Some(mark(on)),
        ..ForeignKey::default()
    }
}

fn marks(database: &TestDatabase<'_>) -> String {
    database
        .psql("select coalesce(string_agg(name, ' ' order by name collate \"C\"), '') from marks")
        .unwrap()
}

async fn outcomes(session: &mut Session, builds: &[IndexBuild]) -> Vec<Outcome> {
    let results = build_many(session, builds).await.unwrap();
    results.into_iter().map(|result| result.unwrap().outcome).collect()
}

// trap D-12
#[tokio::test]
async fn indexes_come_with_what_their_definition_does_not_say() {
    for major in Major::ALL {
        let database = TestDatabase::create(shared(major), "details").unwrap();
        database.psql(TABLES).unwrap();
        let mut session = sessions::target(&database).await;
        let mut expression =
            index("t_expr", "t", "CREATE INDEX t_expr ON public.t USING btree (lower(b), a)");
        expression.details.statistics = vec![(1, 321)];
        expression.details.depends_on_extensions = vec!["plpgsql".into()];
        expression.details.tablespace = Some("pg_default".into());
        let builds = [
            expression,
            index(
                "T uq",
                "t",
                "CREATE UNIQUE INDEX \"T uq\" ON public.t USING btree (id) INCLUDE (a) \
                 WITH (fillfactor='70')",
            ),
        ];
        assert_eq!(outcomes(&mut session, &builds).await, [Outcome::Created; 2], "{major}");
        let work = TableConstraints {
            table: name("t"),
            replica_identity: Some("T uq".into()),
            clustered: Some("t_expr".into()),
            mark: Some(mark("table")),
            ..TableConstraints::default()
        };
        assert!(add_constraints(&mut session, &work).await.unwrap().is_empty());
        let facts = "
            select c.relname, i.indisreplident, i.indisclustered, a.attstattarget,
                   (select count(*) from pg_depend d where d.objid = c.oid and d.deptype = 'x')
              from pg_class c join pg_index i on i.indexrelid = c.oid
              join pg_attribute a on a.attrelid = c.oid and a.attnum = 1
             where i.indrelid = 't'::regclass and (a.attstattarget > 0 or i.indisreplident)
             order by c.relname collate \"C\"";
        let found = database.psql(facts).unwrap();
        let lines: Vec<&str> = found.lines().collect();
        assert!(lines[0].starts_with("T uq|t|f|"), "{major}: {found}");
        assert_eq!(lines[1], "t_expr|f|t|321|1", "{major}");
        assert_eq!(marks(&database), "T uq t_expr table", "{major}");

        // The same once more: a run that was killed before it could note its progress.
        assert_eq!(outcomes(&mut session, &builds).await, [Outcome::AlreadyThere; 2], "{major}");
        add_constraints(&mut session, &work).await.unwrap();
        assert_eq!(database.psql(facts).unwrap(), found, "{major}");
    }
}

// trap X-9
#[tokio::test]
async fn leftovers_of_an_interrupted_build_are_built_again() {
    for major in Major::ALL {
        let database = TestDatabase::create(shared(major), "leftovers").unwrap();
        database.psql(TABLES).unwrap();
        database
            .psql(
                "create index stale on t (b); create index t_a on t (a);
                 update pg_index set indisvalid = false where indexrelid = 't_a'::regclass",
            )
            .unwrap();
        let mut session = sessions::target(&database).await;
        let builds = [
            index("stale", "t", "CREATE INDEX stale ON public.t USING btree (a)"),
            index("t_a", "t", "CREATE INDEX t_a ON public.t USING btree (a)"),
            index("t_b", "t", "CREATE INDEX t_b ON public.t USING btree (b)"),
        ];
        assert_eq!(
            outcomes(&mut session, &builds).await,
            [Outcome::Rebuilt, Outcome::Rebuilt, Outcome::Created],
            "{major}"
        );
        let invalid = "select count(*) from pg_index where not indisvalid";
        assert_eq!(database.psql(invalid).unwrap(), "0", "{major}");
        let definition = database.psql("select pg_get_indexdef('stale'::regclass)").unwrap();
        assert_eq!(definition, "CREATE INDEX stale ON public.t USING btree (a)", "{major}");
    }
}

#[tokio::test]
async fn one_index_that_fails_does_not_take_its_batch_along() {
    let database = TestDatabase::create(shared(Major::V18), "batch").unwrap();
    database.psql(TABLES).unwrap();
    database.psql("create view taken as select 1").unwrap();
    let mut session = sessions::target(&database).await;
    let builds = [
        index("t_id", "t", "CREATE INDEX t_id ON public.t USING btree (id)"),
        index("t_dup", "t", "CREATE UNIQUE INDEX t_dup ON public.t USING btree (a)"),
        index("taken", "t", "CREATE INDEX taken ON public.t USING btree (b)"),
        index("t_b", "t", "CREATE INDEX t_b ON public.t USING btree (b)"),
    ];
    let results = build_many(&mut session, &builds).await.unwrap();
    assert_eq!(results[0].as_ref().unwrap().outcome, Outcome::Created);
    assert_eq!(results[3].as_ref().unwrap().outcome, Outcome::Created);
    let duplicate = results[1].as_ref().unwrap_err();
    assert_eq!(duplicate.sqlstate(), Some("23505"));
    assert!(duplicate.to_string().contains("create index public.t_dup"), "{duplicate}");
    let taken = results[2].as_ref().unwrap_err();
    assert!(taken.to_string().contains("another relation"), "{taken}");
    assert_eq!(marks(&database), "t_b t_id");
    assert_eq!(database.psql("select 1 from pg_views where viewname = 'taken'").unwrap(), "1");
}

// trap D-1 D-2 X-9
#[tokio::test]
async fn constraints_keep_every_attribute() {
    for major in Major::ALL {
        let database = TestDatabase::create(shared(major), "constraints").unwrap();
        database.psql(TABLES).unwrap();
        let mut session = sessions::target(&database).await;
        let mut primary = unique("t_pkey");
        primary.kind = ConstraintKind::PrimaryKey;
        primary.definition = "PRIMARY KEY (id) INCLUDE (a) DEFERRABLE INITIALLY DEFERRED".into();
        primary.index =
            ConstraintIndex::Built { name: "t_pkey".into(), deferrable: true, deferred: true };
        let mut nulls = unique("t_b_key");
        nulls.definition = "UNIQUE NULLS NOT DISTINCT (b)".into();
        let mut exclusion = from_definition(
            "t_r_excl",
            ConstraintKind::Exclusion,
            "EXCLUDE USING gist (r WITH &&) WHERE ((id > 5)) DEFERRABLE",
        );
        exclusion.index = ConstraintIndex::FromDefinition(IndexDetails {
            tablespace: Some("pg_default".into()),
            ..IndexDetails::default()
        });
        let builds = [
            index(
                "t_pkey",
                "t",
                "CREATE UNIQUE INDEX t_pkey ON public.t USING btree (id) INCLUDE (a)",
            ),
            index(
                "t_b_key",
                "t",
                "CREATE UNIQUE INDEX t_b_key ON public.t USING btree (b) NULLS NOT DISTINCT",
            ),
        ];
        outcomes(&mut session, &builds).await;
        let work = TableConstraints {
            table: name("t"),
            constraints: vec![primary, nulls, exclusion],
            ..TableConstraints::default()
        };
        for expected in [Outcome::Created, Outcome::AlreadyThere] {
            for result in add_constraints(&mut session, &work).await.unwrap() {
                assert_eq!(result.unwrap().outcome, expected, "{major}");
            }
        }
        // The indexes under them are still recognised as done.
        assert_eq!(outcomes(&mut session, &builds).await, [Outcome::AlreadyThere; 2], "{major}");
        let found = database
            .psql(
                "select conname || ' ' || pg_get_constraintdef(oid) from pg_constraint
                  where conrelid = 't'::regclass and contype <> 'n' order by conname",
            )
            .unwrap();
        assert_eq!(
            found.lines().collect::<Vec<_>>(),
            [
                "t_b_key UNIQUE NULLS NOT DISTINCT (b)",
                "t_pkey PRIMARY KEY (id) INCLUDE (a) DEFERRABLE INITIALLY DEFERRED",
                "t_r_excl EXCLUDE USING gist (r WITH &&) WHERE ((id > 5)) DEFERRABLE",
            ],
            "{major}"
        );
        let indexes = "select count(*) from pg_index where indrelid = 't'::regclass";
        assert_eq!(database.psql(indexes).unwrap(), "3", "{major}: no index twice");
    }
}

// trap D-3
#[tokio::test]
async fn temporal_keys_are_added_from_their_definition() {
    let database = TestDatabase::create(shared(Major::V18), "temporal").unwrap();
    database
        .psql(
            "create table t (id int4range, p daterange); \
               create table marks (name text primary key); create table f (id int4range, p daterange)",
        )
        .unwrap();
    let mut session = sessions::target(&database).await;
    let work = TableConstraints {
        table: name("t"),
        constraints: vec![from_definition(
            "t_pkey",
            ConstraintKind::PrimaryKey,
            "PRIMARY KEY (id, p WITHOUT OVERLAPS)",
        )],
        ..TableConstraints::default()
    };
    add_constraints(&mut session, &work).await.unwrap().pop().unwrap().unwrap();
    let temporal =
        key("f_fk", "f", "t", "FOREIGN KEY (id, PERIOD p) REFERENCES public.t(id, PERIOD p)");
    database.psql("insert into f values ('[1,2)', '[2020-01-01,2021-01-01)')").unwrap();
    add_foreign_keys(&mut session, std::slice::from_ref(&temporal))
        .await
        .unwrap()
        .pop()
        .unwrap()
        .unwrap();
    let outcome = validate_foreign_key(&mut session, &temporal).await.unwrap();
    let ForeignKeyOutcome::Degraded(finding) = outcome else { panic!("{outcome:?}") };
    assert!(
        finding.reason.contains("(id, p)=([1,2), [2020-01-01,2021-01-01))"),
        "{}",
        finding.reason
    );
}

#[tokio::test]
async fn a_constraint_with_another_definition_is_an_error_and_the_others_are_added() {
    let database = TestDatabase::create(shared(Major::V18), "other").unwrap();
    database.psql(TABLES).unwrap();
    database.psql("alter table t add constraint t_uq unique (id)").unwrap();
    let mut session = sessions::target(&database).await;
    let build = index("t_b_key", "t", "CREATE UNIQUE INDEX t_b_key ON public.t USING btree (b)");
    outcomes(&mut session, std::slice::from_ref(&build)).await;
    let mut wrong = unique("t_uq");
    wrong.definition = "UNIQUE (b)".into();
    let mut right = unique("t_b_key");
    right.definition = "UNIQUE (b)".into();
    let work = TableConstraints {
        table: name("t"),
        constraints: vec![wrong, right],
        ..TableConstraints::default()
    };
    let results = add_constraints(&mut session, &work).await.unwrap();
    let error = results[0].as_ref().unwrap_err().to_string();
    assert!(error.contains("UNIQUE (b)") && error.contains("UNIQUE (id)"), "{error}");
    assert_eq!(results[1].as_ref().unwrap().outcome, Outcome::Created);
    assert_eq!(marks(&database), "t_b_key");
}

async fn add(session: &mut Session, key: &ForeignKey) -> ForeignKeyOutcome {
    add_foreign_keys(session, std::slice::from_ref(key)).await.unwrap().pop().unwrap().unwrap()
}

// trap D-6 X-29
#[tokio::test]
async fn a_foreign_key_with_orphans_stays_not_valid_and_names_them() {
    for major in Major::ALL {
        let database = TestDatabase::create(shared(major), "orphans").unwrap();
        database.psql(TABLES).unwrap();
        database
            .psql(
                "alter table t add primary key (id);
                 insert into \"Other T\" values (2001, 5001), (2002, null), (2003, 5003)",
            )
            .unwrap();
        let mut session = sessions::target(&database).await;
        let key = key("o_fk", "Other T", "t", "FOREIGN KEY (t_id) REFERENCES public.t(id)");
        let mut unmarked = key.clone();
        unmarked.mark = None;
        assert!(
            matches!(add(&mut session, &unmarked).await, ForeignKeyOutcome::Done(_)),
            "{major}"
        );
        let outcome = validate_foreign_key(&mut session, &key).await.unwrap();
        let ForeignKeyOutcome::Degraded(finding) = outcome else { panic!("{major}: {outcome:?}") };
        assert_eq!(finding.severity, Severity::Error);
        assert_eq!(finding.object, "public.\"Other T\" constraint \"o_fk\"");
        assert!(
            finding.reason.contains("sample keys (t_id): (5001), (5003)"),
            "{}",
            finding.reason
        );
        let valid = "select convalidated from pg_constraint where conname = 'o_fk'";
        assert_eq!(database.psql(valid).unwrap(), "f", "{major}");
        assert_eq!(marks(&database), "", "{major}: tried again by the next run");

        // It guards new rows, and becomes valid once the rows are corrected.
        assert!(database.psql("insert into \"Other T\" values (1, 6000)").is_err(), "{major}");
        database.psql("delete from \"Other T\" where id > 2000").unwrap();
        let outcome = validate_foreign_key(&mut session, &key).await.unwrap();
        assert!(matches!(outcome, ForeignKeyOutcome::Done(_)), "{major}: {outcome:?}");
        assert_eq!(database.psql(valid).unwrap(), "t", "{major}");
        assert_eq!(marks(&database), "o_fk", "{major}");
    }
}

#[tokio::test]
async fn sample_keys_follow_the_match_type_and_all_columns() {
    let database = TestDatabase::create(shared(Major::V18), "match").unwrap();
    database
        .psql(
            "create table marks (name text primary key);
             create table p (\"A\" int, b text, primary key (\"A\", b));
             create table c (x int, y text); insert into p values (1, 'a');
             insert into c values (1, 'a'), (1, null), (null, null), (2, 'it''s, \"q\"');",
        )
        .unwrap();
    let mut session = sessions::target(&database).await;
    for (kind, expected) in [
        ("", vec!["(2,\"it's, \"\"q\"\"\")"]),
        (" MATCH FULL", vec!["(1,)", "(2,\"it's, \"\"q\"\"\")"]),
    ] {
        let definition = format!("FOREIGN KEY (x, y) REFERENCES public.p(\"A\", b){kind}");
        let key = key(&format!("fk{}", kind.len()), "c", "p", &definition);
        add(&mut session, &key).await;
        let outcome = validate_foreign_key(&mut session, &key).await.unwrap();
        let ForeignKeyOutcome::Degraded(finding) = outcome else { panic!("{outcome:?}") };
        let expected = format!("sample keys (x, y): {}", expected.join(", "));
        assert!(finding.reason.ends_with(&expected), "{} / {expected}", finding.reason);
    }
}

// trap D-7
#[tokio::test]
async fn foreign_keys_of_partitioned_tables_are_created_once_or_reported() {
    for major in Major::ALL {
        let database = TestDatabase::create(shared(major), "partitioned").unwrap();
        database
            .psql(
                "create table marks (name text primary key);
                 create table p (id int primary key);
                 insert into p select generate_series(1, 10);
                 create table c (id int) partition by range (id);
                 create table c1 partition of c for values from (0) to (100);
                 create table c2 partition of c for values from (100) to (200);
                 insert into c values (1), (2), (150);",
            )
            .unwrap();
        let mut session = sessions::target(&database).await;
        let key = key("c_fk", "c", "p", "FOREIGN KEY (id) REFERENCES public.p(id)");
        let mut outcome = add(&mut session, &key).await;
        if matches!(outcome, ForeignKeyOutcome::Done(_)) {
            outcome = validate_foreign_key(&mut session, &key).await.unwrap();
        }
        let ForeignKeyOutcome::Degraded(finding) = outcome else { panic!("{major}: {outcome:?}") };
        assert!(finding.reason.contains("150"), "{major}: {}", finding.reason);
        database.psql("delete from c where id = 150").unwrap();
        add(&mut session, &key).await;
        let outcome = validate_foreign_key(&mut session, &key).await.unwrap();
        assert!(matches!(outcome, ForeignKeyOutcome::Done(_)), "{major}: {outcome:?}");
        let found = database
            .psql(
                "select string_agg(conrelid::regclass || ' ' || convalidated, ', ' order by conrelid)
                   from pg_constraint where contype = 'f' and confrelid = 'p'::regclass",
            )
            .unwrap();
        assert_eq!(found, "c true, c1 true, c2 true", "{major}");
    }
}

#[tokio::test]
async fn a_key_that_the_source_never_validated_is_not_validated() {
    let database = TestDatabase::create(shared(Major::V18), "never").unwrap();
    database.psql(TABLES).unwrap();
    database.psql("alter table t add primary key (id)").unwrap();
    let mut session = sessions::target(&database).await;
    for (on, suffix) in [("nv", " NOT VALID"), ("ne", " NOT ENFORCED")] {
        let definition = format!("FOREIGN KEY (t_id) REFERENCES public.t(id){suffix}");
        let mut key = key(on, "Other T", "t", &definition);
        key.validated = false;
        for _ in 0..2 {
            assert!(matches!(add(&mut session, &key).await, ForeignKeyOutcome::Done(_)), "{on}");
            let outcome = validate_foreign_key(&mut session, &key).await.unwrap();
            assert!(matches!(outcome, ForeignKeyOutcome::Done(_)), "{on}: {outcome:?}");
        }
        let found =
            format!("select pg_get_constraintdef(oid) from pg_constraint where conname = '{on}'");
        assert!(database.psql(&found).unwrap().ends_with(suffix), "{on}");
    }
}

// trap D-6
#[tokio::test]
async fn foreign_keys_that_deadlock_are_tried_again() {
    let database = TestDatabase::create(shared(Major::V18), "deadlock").unwrap();
    database.psql("create table marks (name text primary key)").unwrap();
    database
        .psql("create table a (id int primary key, b int); create table b (id int primary key, a int)")
        .unwrap();
    // Each pair locks both tables in opposite order, on two sessions at once, many times over.
    for round in 0..10 {
        let mut one = sessions::target(&database).await;
        let mut two = sessions::target(&database).await;
        one.execute("set deadlock_timeout = '10ms'").await.unwrap();
        two.execute("set deadlock_timeout = '10ms'").await.unwrap();
        let ab = [
            key(&format!("ab{round}"), "a", "b", "FOREIGN KEY (b) REFERENCES public.b(id)"),
            key(&format!("ba{round}"), "b", "a", "FOREIGN KEY (a) REFERENCES public.a(id)"),
        ];
        let ba = [
            key(&format!("xb{round}"), "b", "a", "FOREIGN KEY (a) REFERENCES public.a(id)"),
            key(&format!("xa{round}"), "a", "b", "FOREIGN KEY (b) REFERENCES public.b(id)"),
        ];
        let (one, two) =
            tokio::join!(add_foreign_keys(&mut one, &ab), add_foreign_keys(&mut two, &ba));
        for result in one.unwrap().into_iter().chain(two.unwrap()) {
            result.unwrap();
        }
    }
    let count = "select count(*) from pg_constraint where contype = 'f'";
    assert_eq!(database.psql(count).unwrap(), "40");
}

#[tokio::test]
async fn thousands_of_small_indexes_take_few_round_trips() {
    let database = TestDatabase::create(shared(Major::V18), "many").unwrap();
    database.psql("create table marks (name text primary key)").unwrap();
    testbed::fixtures::empty_tables(database.cluster(), database.name(), 200).unwrap();
    let tables = database
        .psql(
            "select schemaname || '|' || tablename || '|' ||
                    (select attname from pg_attribute a
                      where attrelid = format('%I.%I', schemaname, tablename)::regclass
                        and attnum = 1)
               from pg_tables where schemaname !~ '^(pg_|information_schema)' and tablename <> 'marks'
              order by 1",
        )
        .unwrap();
    let builds: Vec<IndexBuild> = tables
        .lines()
        .flat_map(|line| {
            let parts: Vec<&str> = line.split('|').collect();
            (0..4).map(move |n| {
                let table = QualifiedName::new(parts[0], parts[1]);
                let index = QualifiedName::new(parts[0], format!("{}_many{n}", parts[1]));
                IndexBuild {
                    definition: format!(
                        "CREATE INDEX {}_many{n} ON {} USING btree ({})",
                        parts[1],
                        table.sql(),
                        parts[2]
                    ),
                    name: index,
                    table,
                    ..IndexBuild::default()
                }
            })
        })
        .collect();
    assert_eq!(builds.len(), 800);
    let mut session = sessions::target(&database).await;
    let all = outcomes(&mut session, &builds).await;
    assert!(all.iter().all(|outcome| *outcome == Outcome::Created));
}
