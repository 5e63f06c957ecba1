//! Extensions: their place and version, configuration rows in order, members that were changed.
//!
//! The extensions of this module are SQL files in `tests/fixtures/extensions`, which a server of version 18
//! finds through `extension_control_path`; those of version 15 are the distribution's.

use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::Value;
use testbed::cluster::quote_ident;
use testbed::{Cluster, ClusterOptions, Installation, Major, TestDatabase};

use crate::support::Pair;

/// A server of version 18 that finds the extensions of `tests/fixtures/extensions`.
pub(crate) fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let installation = Installation::find(Major::V18).unwrap();
        let cluster = Cluster::start(&installation, ClusterOptions::default()).unwrap();
        // The server's account need not be able to read the source tree.
        let home = cluster.socket_dir().join("share");
        let from = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/extensions");
        std::fs::create_dir_all(home.join("extension")).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, home.join("extension").join(path.file_name().unwrap())).unwrap();
        }
        let path = format!("{}:$system", home.display());
        cluster.set("extension_control_path", &path).unwrap();
        cluster
    })
}

/// Two databases of that server.
pub(crate) fn pair(name: &str, sql: &str) -> Pair {
    let create = |end: &str| TestDatabase::create(cluster(), &format!("{name}_{end}")).unwrap();
    let mut pair = Pair::between(Major::V18, Major::V18, name);
    (pair.source, pair.target) = (create("src"), create("tgt"));
    pair.source.psql(sql).unwrap();
    pair
}

/// Both extensions with rows in every configuration table.
const SHELVES: &str = "create schema \"My shelf\"; create extension shelf schema \"My shelf\";
    create extension library version '1.0'; alter extension library update to '1.1';
    set search_path to \"My shelf\", library;
    insert into countries select 'c' || g from generate_series(1, 40) g;
    insert into writers select g, 'c' || g from generate_series(1, 40) g;
    insert into books select g, 1 + g % 40, 'title ' || g from generate_series(1, 3000) g;
    insert into settings values ('mine', '1'), ('yours', null);
    insert into loans select g, 'reader' from generate_series(1, 500) g;
    insert into fines values ('reader', 1.5);
    select setval('ticket', 77)";

/// Rows of every table of both extensions, and where the sequence stands.
const ON_SHELVES: &str = "set search_path to \"My shelf\", library;
    select (select count(*) from countries), (select count(*) from writers),
      (select md5(string_agg(b::text, ',' order by id)) from books b),
      (select string_agg(s::text, ' ' order by name) from settings s),
      (select count(*) from loans), (select count(*) from fines), (select count(*) from own),
      (select last_value from ticket),
      (select string_agg(extname || extversion || extnamespace::regnamespace, ' ' order by extname)
         from pg_extension)";

/// A role of a server and the database that it owns, dropped with the value.
struct Owner {
    name: String,
}

impl Owner {
    /// Makes a role that owns the target, and may do nothing else.
    fn of(pair: &Pair, name: &str) -> Self {
        let name = format!("{name}_{}", std::process::id());
        let database = quote_ident(pair.target.name());
        let sql = format!("create role {name} login; alter database {database} owner to {name}");
        cluster().psql("postgres", &sql).unwrap();
        Self { name }
    }

    /// Takes the database back and drops the role.
    fn drop(self, pair: &Pair) {
        let database = quote_ident(pair.target.name());
        let sql = format!("alter database {database} owner to postgres");
        cluster().psql("postgres", &sql).unwrap();
        let sql = format!("reassign owned by {0} to postgres; drop owned by {0}", self.name);
        pair.target.psql(&sql).unwrap();
        cluster().psql("postgres", &format!("drop role {}", self.name)).unwrap();
    }
}

// trap D-33
#[test]
fn configuration_rows_arrive_with_their_conditions() {
    let pair = pair("shelves", SHELVES);
    pair.clone(&["--table-jobs", "8"]);
    assert_eq!(pair.target_value(ON_SHELVES), pair.source_value(ON_SHELVES));
    pair.assert_same();
}

// trap D-33, P-6
#[test]
fn configuration_rows_arrive_in_the_order_of_their_foreign_keys() {
    // The target's role may not switch foreign keys off, and the extensions' own are there from the
    // beginning: rows that come before what they reference are refused.
    for round in 0..3 {
        let pair = pair("shelf_keys", SHELVES);
        let owner = Owner::of(&pair, &format!("shelf_owner_{round}"));
        let to = pair.target.uri_as(&owner.name, "");
        let program = pair.program_between(&pair.source.uri(), &to);
        let arguments = ["--table-jobs", "8", "--no-owner", "--no-acl", "--no-comments"];
        program.args(arguments).run().unwrap().success().unwrap();
        assert_eq!(pair.target_value(ON_SHELVES), pair.source_value(ON_SHELVES));
        owner.drop(&pair);
    }
}

#[test]
fn copy_extensions_brings_the_rows_of_every_configuration_table() {
    let pair = pair("shelf_copy", SHELVES);
    let program = |words: &[&str]| {
        let program = testbed::Pgcopydb::new().unwrap().args(words);
        let program = program.ends(&pair.source.uri(), &pair.target.uri());
        program.arg("--dir").arg(pair.dir.path().join("work")).run().unwrap().success().unwrap()
    };
    program(&["copy", "extensions"]);
    program(&["copy", "sequences"]);
    assert_eq!(pair.target_value(ON_SHELVES), pair.source_value(ON_SHELVES));
}

#[test]
fn versions_can_be_pinned_and_are_told_when_they_are_not() {
    let pair = pair("shelf_pin", "create extension shelf; create extension library version '1.0'");
    let found = check(&pair, &pair.target.uri(), &[]);
    expect(&found, "info", "extension library", "CREATE EXTENSION \"library\" VERSION '1.0';");
    let file = pair.dir.path().join("pins.json");
    std::fs::write(&file, r#"[{"name": "library", "version": "1.0"}]"#).unwrap();
    pair.clone(&["--requirements", file.to_str().unwrap()]);
    let version = "select extversion from pg_extension where extname = 'library'";
    assert_eq!(pair.target_value(version), "1.0");
}

#[test]
fn configuration_that_may_not_be_written_is_found_and_matters_only_where_there_are_rows() {
    let pair = pair("shelf_closed", "create extension shelf; create table t (id int primary key)");
    pair.target.psql("create extension shelf").unwrap();
    let owner = Owner::of(&pair, "shelf_closed");
    let to = pair.target.uri_as(&owner.name, "");
    let plain = ["--no-owner", "--no-acl", "--no-comments", "--skip-ext-comments"];
    let found = check(&pair, &to, &plain);
    let grant =
        format!("GRANT SELECT, UPDATE ON SEQUENCE \"public\".\"ticket\" TO \"{}\";", owner.name);
    expect(&found, "warning", "sequence public.ticket", &grant);
    pair.target.psql(&grant).unwrap();
    let found = check(&pair, &to, &plain);
    assert!(!found.to_string().contains("GRANT USAGE"), "{found:#}");
    let clone = || pair.program_between(&pair.source.uri(), &to).args(plain).run().unwrap();
    clone().success().unwrap();
    pair.target.psql("drop table t").unwrap();
    pair.source.psql("insert into countries values ('c')").unwrap();
    let found = check(&pair, &to, &plain);
    let grant = format!("GRANT INSERT ON \"public\".\"countries\" TO \"{}\";", owner.name);
    expect(&found, "warning", "table public.countries", &grant);
    let refused = pair.program_between(&pair.source.uri(), &to).args(plain).arg("--restart");
    let refused = refused.run().unwrap();
    assert_eq!(refused.status.code(), Some(7), "{}", refused.stderr);
    assert!(refused.stderr.contains("countries"), "{}", refused.stderr);
    pair.target.psql(&grant).unwrap();
    clone().success().unwrap();
    assert_eq!(pair.target_value("select code from countries"), "c");
    owner.drop(&pair);
}

/// What `check` finds, as JSON.
fn check(pair: &Pair, target: &str, arguments: &[&str]) -> Value {
    let program = pair.check_between(&pair.source.uri(), target).arg("--json").args(arguments);
    let output = program.run().unwrap();
    serde_json::from_str(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", output.stdout, output.stderr))
}

/// Demands a finding about an extension.
#[track_caller]
fn expect(found: &Value, severity: &str, object: &str, fix: &str) {
    let hit = found["findings"].as_array().unwrap().iter().any(|finding| {
        finding["topic"] == "extension"
            && finding["severity"] == severity
            && finding["object"] == object
            && finding["fix"].as_str().unwrap_or_default().contains(fix)
    });
    assert!(hit, "{severity} {object} {fix}: {found:#}");
}

/// Changes of members that pg_dump carries.
const CARRIED: &str =
    "create role {role}; grant select on books, titles to {role} with grant option;
    grant update (title) on books to {role}; revoke execute on function shelf_f from public;
    grant execute on function shelf_f to {role}; grant usage on sequence ticket to {role}";

/// Changes of members that nothing carries, each with its finding: object and statement.
const LOST: [(&str, &str, &str); 12] = [
    (
        "create or replace function shelf_f(a integer) returns integer language sql immutable
           as 'select a + 1'",
        "function public.shelf_f(integer)",
        "SELECT pg_get_functiondef('public.shelf_f(integer)'::regprocedure);",
    ),
    (
        "comment on function shelf_f is 'it''s ours'",
        "function public.shelf_f(integer)",
        "COMMENT ON FUNCTION public.shelf_f(integer) IS 'it''s ours';",
    ),
    (
        "alter table books add column pages int default 0",
        "table public.books",
        "ALTER TABLE public.books ADD COLUMN pages integer default 0;",
    ),
    (
        "create index by_title on books (title)",
        "table public.books",
        "CREATE INDEX by_title ON public.books USING btree (title);",
    ),
    (
        "alter table books add constraint short check (length(title) < 100)",
        "table public.books",
        "ALTER TABLE public.books ADD CONSTRAINT short CHECK ((length(title) < 100));",
    ),
    (
        "create trigger same before update on books for each row
           execute function suppress_redundant_updates_trigger()",
        "table public.books",
        "CREATE TRIGGER same BEFORE UPDATE ON public.books FOR EACH ROW EXECUTE FUNCTION",
    ),
    ("alter table writers set (fillfactor = 70)", "table public.writers", "table public.writers"),
    (
        "create policy few on countries for select using (code > 'a')",
        "table public.countries",
        "CREATE POLICY few ON public.countries FOR SELECT TO PUBLIC USING ((code > 'a'::text));",
    ),
    (
        "alter table countries enable row level security",
        "table public.countries",
        "ALTER TABLE public.countries ENABLE ROW LEVEL SECURITY;",
    ),
    ("insert into own values (2)", "rows of table public.own", "COPY public.own TO STDOUT"),
    ("delete from settings where name = 'mode'", "rows of table public.settings", "COPY"),
    (
        "create table mine (id int); alter extension shelf add table mine",
        "table public.mine",
        "ALTER EXTENSION \"shelf\" DROP TABLE public.mine;",
    ),
];

// trap D-34
#[test]
fn what_a_user_changed_on_members_arrives_or_is_named() {
    let role = format!("shelf_reader_{}", std::process::id());
    let pair = pair("shelf_members", "create extension shelf");
    pair.source.psql(&CARRIED.replace("{role}", &role)).unwrap();
    let clean = pair.clone(&[]);
    pair.assert_same();
    assert!(!clean.stdout.contains("of extension"), "{}", clean.stdout);
    let privilege = format!(
        "select has_function_privilege('{role}', 'shelf_f(int)', 'execute'),
        has_column_privilege('{role}', 'books', 'title', 'update'),
        has_function_privilege('public', 'shelf_f(int)', 'execute')"
    );
    assert_eq!(pair.target_value(&privilege), "t|t|f");

    for (sql, _, _) in LOST {
        pair.source.psql(sql).unwrap();
    }
    // Both ends have it: each difference is known before anything begins.
    let found = check(&pair, &pair.target.uri(), &["--drop-if-exists"]);
    for (_, object, fix) in LOST {
        expect(&found, "warning", &format!("{object} of extension shelf"), fix);
    }
    // Only the source has it: the catalog shows what was written later.
    pair.target.psql("drop extension shelf").unwrap();
    let found = check(&pair, &pair.target.uri(), &[]);
    // Of the function the privileges were changed as well, so the catalog cannot tell.
    let object = "function public.shelf_f(integer) of extension shelf";
    assert!(!found.to_string().contains(object), "{found:#}");
    let output = pair.clone(&["--restart"]);
    for (_, object, _) in LOST {
        let named = output.stdout.contains(&format!("{object} of extension shelf"));
        assert!(named, "{object}: {}", output.stdout);
    }
    for database in [&pair.source, &pair.target] {
        database.psql(&format!("drop owned by {role}")).unwrap();
    }
    cluster().psql("postgres", &format!("drop role {role}")).unwrap();
}

// trap D-34
#[test]
fn more_own_rows_of_an_extension_than_are_compared_are_named_and_not_guessed() {
    // The same rows on both ends, in opposite order: any 100 000 of them are others here than there.
    let insert = "create extension shelf; insert into own
        select g from generate_series(2, 100001) g order by g";
    let pair = pair("many_own", insert);
    pair.target.psql(&format!("{insert} desc")).unwrap();
    let found = check(&pair, &pair.target.uri(), &["--drop-if-exists"]);
    let text = found.to_string();
    assert!(text.contains("rows of table public.own: more than 100000"), "{found:#}");
    assert!(!text.contains("rows of table public.own of extension"), "{found:#}");
}

// trap D-34
#[test]
fn members_that_were_written_after_the_extension_are_named_before_it_is_created() {
    let pair = Pair::between(Major::V15, Major::V15, "touched");
    pair.source.psql("create extension earthdistance cascade; create extension hstore").unwrap();
    let found = check(&pair, &pair.target.uri(), &[]);
    assert_eq!((&found["errors"], &found["warnings"]), (&0.into(), &0.into()), "{found:#}");
    pair.source
        .psql(
            "create or replace function earth() returns float8 language sql immutable
               parallel safe as 'select 1.5::float8'",
        )
        .unwrap();
    let found = check(&pair, &pair.target.uri(), &[]);
    let fix = "CREATE EXTENSION \"earthdistance\";";
    expect(&found, "warning", "function public.earth() of extension earthdistance", fix);
    let output = pair.clone(&[]);
    let named = output.stdout.contains("function public.earth() of extension earthdistance");
    assert!(named, "{}", output.stdout);
    pair.assert_same();
}

// trap D-32
#[test]
fn a_missing_extension_is_found_with_what_depends_on_it_before_anything_begins() {
    let pair = Pair::with(
        "missing",
        "create extension citext; create extension hstore;
         create table t (id int primary key, name citext, tags hstore);
         create index by_name on t (name); create function f(citext) returns citext
           language sql as 'select $1'; create domain word as citext",
    );
    let found = check(&pair, &pair.target.uri(), &[]);
    assert_eq!(found["errors"], 2, "{found:#}");
    for (name, dependents) in [
        ("citext", ["column name of table public.t", "type public.word"]),
        ("hstore", ["column tags of table public.t", "extension hstore"]),
    ] {
        expect(&found, "error", &format!("extension {name}"), "[exclude-extension]");
        for dependent in dependents {
            assert!(found.to_string().contains(dependent), "{dependent}: {found:#}");
        }
    }
    let refused = pair.program().run().unwrap();
    assert_eq!(refused.status.code(), Some(7), "{}", refused.stderr);
    for words in ["extension citext", "extension hstore", "column name of table public.t"] {
        assert!(refused.stderr.contains(words), "{words}: {}", refused.stderr);
    }
    let left = "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
                where n.nspname in ('public', 'pgcopydb')";
    assert_eq!(pair.target_value(left), "0");
}
