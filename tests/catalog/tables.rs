//! Tables, their columns and their sizes.

use pgcopydb::base::error::Class;
use pgcopydb::base::ident::QualifiedName;
use pgcopydb::catalog::fetch::{self, SizeSource};
use pgcopydb::catalog::model::{Generated, Identity, Persistence, ReplicaIdentity, TableKind};
use testbed::{Major, TestDatabase, shared};

use crate::{connect, on_every_version, read, read_after, snapshot, table};

#[tokio::test]
async fn kind_persistence_and_parents() {
    for (_, database) in on_every_version("kinds") {
        let catalog = read_after(
            &database,
            "create table plain (a int);
             create unlogged table unlogged (a int);
             create table root (a int) partition by list (a);
             create table branch partition of root for values in (1, 2) partition by list (a);
             create table leaf partition of branch for values in (1);
             create table mother (a int);
             create table father (b int);
             create table child () inherits (father, mother);
             create materialized view filled as select 1 as a;
             create materialized view unfilled as select 1 as a with no data;
             create foreign data wrapper nothing;
             create server nowhere foreign data wrapper nothing;
             create foreign table remote (a int) server nowhere;
             create foreign table remote_leaf partition of branch for values in (2)
                server nowhere;
             create view not_a_table as select 1 as a;
             create type not_a_table_either as (a int);",
        )
        .await;
        let kind = |name| table(&catalog, name).kind;
        assert_eq!(kind("plain"), TableKind::Ordinary);
        assert_eq!(kind("root"), TableKind::Partitioned);
        assert_eq!(kind("filled"), TableKind::MaterializedView);
        assert_eq!(kind("remote"), TableKind::Foreign);
        assert_eq!(catalog.tables.len(), 12);

        assert_eq!(table(&catalog, "plain").persistence, Persistence::Permanent);
        assert_eq!(table(&catalog, "unlogged").persistence, Persistence::Unlogged);
        assert!(table(&catalog, "filled").populated);
        assert!(!table(&catalog, "unfilled").populated);

        let oid = |name| table(&catalog, name).oid;
        assert_eq!(table(&catalog, "root").partition_of, None);
        assert_eq!(table(&catalog, "branch").partition_of, Some(oid("root")));
        assert_eq!(table(&catalog, "leaf").partition_of, Some(oid("branch")));
        assert_eq!(table(&catalog, "remote_leaf").partition_of, Some(oid("branch")));
        assert!(table(&catalog, "leaf").inherits.is_empty());
        assert_eq!(table(&catalog, "child").inherits, [oid("father"), oid("mother")]);
        assert_eq!(table(&catalog, "child").partition_of, None);

        let access_method = |name| table(&catalog, name).access_method.as_deref();
        assert_eq!(access_method("plain"), Some("heap"));
        assert_eq!(access_method("remote"), None);
        assert_eq!(table(&catalog, "remote").file_node, 0);
        assert_eq!(table(&catalog, "root").file_node, 0);
        assert!(!table(&catalog, "plain").with_oids);
    }
}

#[tokio::test]
async fn file_node_is_the_one_of_the_snapshot() {
    let database = TestDatabase::create(shared(Major::V18), "file_node").unwrap();
    database.psql("create table t (a int); create table o (a int)").unwrap();
    let node = |name: &str| -> u32 {
        database.psql(&format!("select pg_relation_filenode('{name}')")).unwrap().parse().unwrap()
    };
    let (before, other) = (node("t"), node("o"));
    let mut session = snapshot(&database.uri()).await;
    database.psql("alter table t alter a type bigint").unwrap();
    assert_ne!(node("t"), before);
    let catalog = fetch::source(&mut session, SizeSource::Files).await.unwrap();
    assert_eq!(table(&catalog, "t").file_node, before);
    assert_eq!(table(&catalog, "o").file_node, other);
}

// trap T-19
#[tokio::test]
async fn names_are_exact() {
    let names = [
        "\"Foo\"\".Bar\"",
        ":Identifer As \"Column\".$1:",
        "Тварь",
        "🐘",
        // 63 bytes: 20 times 3 and 3.
        "語語語語語語語語語語語語語語語語語語語語end",
        " leading and trailing ",
        "line\nbreak\ttab",
        "100%s.a,b'c\\d",
        "select",
    ];
    for (_, database) in on_every_version("names") {
        let quote = testbed::cluster::quote_ident;
        let mut sql = String::new();
        for name in names {
            let name = quote(name);
            sql.push_str(&format!(
                "create schema {name}; create type public.{name} as enum ('a');
                 create table {name}.{name} ({name} serial primary key, other public.{name});
                 create index on {name}.{name} (other);\n"
            ));
        }
        let catalog = read_after(&database, &sql).await;
        for name in names {
            let qualified = QualifiedName::new(name, name);
            let table = catalog.tables.iter().find(|table| table.name == qualified).unwrap();
            assert_eq!(table.columns[0].name, name);
            assert_eq!(table.split_key.as_ref().unwrap().column, name);
            assert!(catalog.schemas.iter().any(|schema| schema.name == name));
            // Definitions name the schema, whatever it is.
            let indexes: Vec<_> =
                catalog.indexes.iter().filter(|index| index.table_oid == table.oid).collect();
            assert_eq!(indexes.len(), 2);
            for index in indexes {
                let on = format!(" ON {}.", quote(name));
                let on_plain = format!(" ON {name}.");
                assert!(index.definition.contains(&on) || index.definition.contains(&on_plain));
            }
            let used = catalog.sequences.iter().find(|one| one.owned_by == Some(table.oid));
            assert_eq!(used.unwrap().used_by, [table.oid]);
        }
        assert_eq!(catalog.tables.len(), names.len());
    }
}

// trap S-6
#[tokio::test]
async fn never_analyzed_tables_have_no_row_estimate() {
    for (_, database) in on_every_version("estimate") {
        database
            .psql(
                "create table t with (autovacuum_enabled = off) as
                    select generate_series(1, 1000) as a;
                 create table analyzed with (autovacuum_enabled = off) as
                    select generate_series(1, 1000) as a;
                 create table empty (a int); analyze analyzed, empty;",
            )
            .unwrap();
        let catalog = read(&database.uri()).await;
        assert_eq!(table(&catalog, "t").row_estimate, None);
        assert_eq!(table(&catalog, "analyzed").row_estimate, Some(1000.0));
        let ask = |sql: &str| -> u64 { database.psql(sql).unwrap().parse().unwrap() };
        // Servers differ in how many pages they add at a time.
        let heap_bytes = ask("select pg_relation_size('t')");
        assert!(heap_bytes >= 5 * 8192);
        assert_eq!(table(&catalog, "t").heap_bytes, heap_bytes);
        assert_eq!(table(&catalog, "t").bytes, ask("select pg_table_size('t')"));
        assert_eq!(table(&catalog, "empty").heap_bytes, 0);

        let mut session = snapshot(&database.uri()).await;
        let catalog = fetch::source(&mut session, SizeSource::Estimate).await.unwrap();
        assert_eq!(table(&catalog, "t").bytes, 0);
        let pages = ask("select relpages from pg_class where relname = 'analyzed'");
        assert!(pages >= 5);
        assert_eq!(table(&catalog, "analyzed").heap_bytes, pages * 8192);
        assert_eq!(table(&catalog, "analyzed").bytes, pages * 8192);
    }
}

#[tokio::test]
async fn toast_counts_and_largest_tables_come_first() {
    let database = TestDatabase::create(shared(Major::V18), "toast").unwrap();
    database
        .psql(
            "create table small (a int); create table b_empty (a int); create table a_empty (a int);
             create table wide (a text); alter table wide alter a set storage external;
             insert into small select generate_series(1, 10000);
             insert into wide select repeat('x', 1000000) from generate_series(1, 3);
             vacuum analyze;",
        )
        .unwrap();
    let catalog = read(&database.uri()).await;
    let order: Vec<_> = catalog.tables.iter().map(|table| table.name.name.as_str()).collect();
    assert_eq!(order, ["wide", "small", "a_empty", "b_empty"]);
    assert_eq!(table(&catalog, "wide").heap_bytes, 8192);
    assert!(table(&catalog, "wide").bytes > 3_000_000);

    let mut session = snapshot(&database.uri()).await;
    let estimate = fetch::source(&mut session, SizeSource::Estimate).await.unwrap();
    assert!(table(&estimate, "wide").bytes > 3_000_000);
}

// trap T-1, T-2
#[tokio::test]
async fn dropped_columns_leave_gaps_and_no_columns_are_fine() {
    for (_, database) in on_every_version("columns") {
        let catalog = read_after(
            &database,
            "create table none (); insert into none default values;
             create table gaps (a int not null, b int, c varchar(10));
             alter table gaps drop column b, add column d timestamptz(3);",
        )
        .await;
        assert!(table(&catalog, "none").columns.is_empty());
        let columns = &table(&catalog, "gaps").columns;
        let shape: Vec<_> = columns
            .iter()
            .map(|column| (column.number, column.name.as_str(), column.type_name.as_str()))
            .collect();
        assert_eq!(
            shape,
            [
                (1, "a", "integer"),
                (3, "c", "character varying(10)"),
                (4, "d", "timestamp(3) with time zone")
            ]
        );
        assert!(columns[0].not_null);
        assert!(!columns[1].not_null);
    }
}

// trap T-4, T-5, T-6
#[tokio::test]
async fn generated_and_identity_columns_are_told_apart() {
    for (major, database) in on_every_version("generated") {
        let virtual_column = match major {
            Major::V18 => ", e int generated always as (a + 2) virtual",
            Major::V15 | Major::V16 => "",
        };
        let sql = format!(
            "create table t (a int, b int generated always as identity,
                c int generated by default as identity,
                d int generated always as (a + 1) stored {virtual_column})"
        );
        let catalog = read_after(&database, &sql).await;
        let columns = &table(&catalog, "t").columns;
        let identity: Vec<_> = columns[..4].iter().map(|column| column.identity).collect();
        assert_eq!(identity, [Identity::No, Identity::Always, Identity::ByDefault, Identity::No]);
        let generated: Vec<_> = columns.iter().map(|column| column.generated).collect();
        assert_eq!(
            generated[..4],
            [Generated::No, Generated::No, Generated::No, Generated::Stored]
        );
        if major == Major::V18 {
            assert_eq!(generated[4], Generated::Virtual);
        }
    }
}

// trap T-11
#[tokio::test]
async fn temporary_objects_of_other_sessions_are_left_out() {
    for (_, database) in on_every_version("temporary") {
        let mut other = connect(&database.uri()).await;
        other
            .execute(
                "create temp table t (id serial primary key); create temp sequence s;
                 create temp table p (a int) partition by list (a);",
            )
            .await
            .unwrap();
        let catalog = read_after(&database, "create table kept (a int)").await;
        assert_eq!(catalog.tables.len(), 1);
        assert!(catalog.indexes.is_empty());
        assert!(catalog.constraints.is_empty());
        assert!(catalog.sequences.is_empty());
        assert_eq!(catalog.types.len(), 1);
        let schemas: Vec<_> = catalog.schemas.iter().map(|schema| schema.name.as_str()).collect();
        assert_eq!(schemas, ["public"]);
    }
}

#[tokio::test]
async fn our_own_schema_is_not_the_users() {
    let database = TestDatabase::create(shared(Major::V15), "ledger").unwrap();
    let catalog = read_after(
        &database,
        "create schema pgcopydb; create table pgcopydb.t (id serial primary key);
         create schema pgcopydb_user; create table pgcopydb_user.t ();",
    )
    .await;
    assert_eq!(catalog.tables.len(), 1);
    assert_eq!(catalog.tables[0].name.schema, "pgcopydb_user");
    assert!(catalog.sequences.is_empty());
    assert!(catalog.indexes.is_empty());
}

// trap D-33
#[tokio::test]
async fn members_and_configuration_tables_of_extensions_are_flagged() {
    for (_, database) in on_every_version("members") {
        let catalog = read_after(
            &database,
            "create schema own; create table own.config (a int primary key);
             create table all_rows (a int); create table free (a int);
             create sequence counter; create type mood as enum ('a');
             alter extension plpgsql add schema own;
             alter extension plpgsql add table own.config;
             alter extension plpgsql add table all_rows;
             alter extension plpgsql add sequence counter;
             update pg_extension
             set extconfig = array['all_rows'::regclass, 'own.config'::regclass],
                 extcondition = array['', 'WHERE a > 1']
             where extname = 'plpgsql';",
        )
        .await;
        let plpgsql = Some("plpgsql".to_owned());
        let config = catalog.tables.iter().find(|table| table.name.name == "config").unwrap();
        assert_eq!(config.extension, plpgsql);
        assert_eq!(table(&catalog, "all_rows").extension, plpgsql);
        assert_eq!(table(&catalog, "free").extension, None);
        assert_eq!(catalog.sequences[0].extension, plpgsql);
        let schema = |name: &str| catalog.schemas.iter().find(|schema| schema.name == name);
        assert_eq!(schema("own").unwrap().extension, plpgsql);
        assert_eq!(schema("public").unwrap().extension, None);
        let extension = &catalog.extensions[0];
        assert_eq!((extension.name.as_str(), extension.version.as_str()), ("plpgsql", "1.0"));
        assert_eq!(extension.schema, "pg_catalog");
        let all_rows = table(&catalog, "all_rows").oid;
        assert_eq!(
            extension.config_tables,
            [(all_rows, String::new()), (config.oid, "WHERE a > 1".to_owned())]
        );
    }
}

#[tokio::test]
async fn replica_identity_row_security_and_owner() {
    for (_, database) in on_every_version("flags") {
        let role = format!("owner_of_{}", database.name());
        let catalog = read_after(
            &database,
            &format!(
                "create role {role};
                 create table d (a int); create table f (a int); create table n (a int);
                 create table i (a int not null unique);
                 alter table f replica identity full; alter table n replica identity nothing;
                 alter table i replica identity using index i_a_key;
                 alter table d enable row level security; alter table d owner to {role};"
            ),
        )
        .await;
        let identity = |name| table(&catalog, name).replica_identity;
        assert_eq!(identity("d"), ReplicaIdentity::Default);
        assert_eq!(identity("f"), ReplicaIdentity::Full);
        assert_eq!(identity("n"), ReplicaIdentity::Nothing);
        assert_eq!(identity("i"), ReplicaIdentity::Index);
        assert!(table(&catalog, "d").row_security);
        assert!(!table(&catalog, "f").row_security);
        assert_eq!(table(&catalog, "d").owner, role);
        assert_eq!(table(&catalog, "f").owner, "postgres");
        database.psql(&format!("drop owned by {role}; drop role {role}")).unwrap();
    }
}

#[tokio::test]
async fn select_privilege_includes_the_schema() {
    for (_, database) in on_every_version("select") {
        let role = format!("reader_of_{}", database.name());
        database
            .psql(&format!(
                "create role {role} login;
                 create table granted (id serial); create table denied (id serial);
                 grant select on granted, granted_id_seq to {role};
                 create schema closed; create table closed.hidden (a int);
                 grant select on closed.hidden to {role};"
            ))
            .unwrap();
        let catalog = read(&database.uri_as(&role, "")).await;
        assert!(table(&catalog, "granted").may_select);
        assert!(!table(&catalog, "denied").may_select);
        let hidden = catalog.tables.iter().find(|table| table.name.name == "hidden").unwrap();
        assert!(!hidden.may_select);
        let sequence = |name: &str| catalog.sequences.iter().find(|one| one.name.name == name);
        assert!(sequence("granted_id_seq").unwrap().may_select);
        assert!(!sequence("denied_id_seq").unwrap().may_select);
        assert!(!catalog.server.superuser);
        assert!(!catalog.server.bypass_rls);
        assert_eq!(catalog.server.role, role);
        database.psql(&format!("drop owned by {role}; drop role {role}")).unwrap();
    }
}

// trap S-18
#[tokio::test]
async fn a_table_dropped_after_the_snapshot_is_still_listed() {
    for (_, database) in on_every_version("dropped") {
        database
            .psql("create table gone (id serial primary key); create table kept (id int unique)")
            .unwrap();
        let mut session = snapshot(&database.uri()).await;
        database.psql("drop table gone").unwrap();
        for sizes in [SizeSource::Files, SizeSource::Estimate] {
            let catalog = fetch::source(&mut session, sizes).await.unwrap();
            let gone = table(&catalog, "gone");
            assert!(gone.may_select);
            assert_eq!(gone.columns.len(), 1);
            assert_eq!(gone.heap_bytes, 0);
            // Their definitions cannot be had any more.
            assert!(catalog.indexes.iter().all(|index| index.table_oid != gone.oid));
            assert!(catalog.constraints.iter().all(|one| one.table_oid != gone.oid));
            assert_eq!(catalog.indexes.len(), 1);
        }
    }
}

#[tokio::test]
async fn a_name_that_is_no_text_is_named_as_such() {
    let words = "template template0 encoding 'SQL_ASCII' locale 'C'";
    let database = TestDatabase::create_with(shared(Major::V15), "ascii", words).unwrap();
    // "caf\xe9": latin1, not UTF-8.
    database
        .psql(
            "do $$ begin
                execute format('create table %I (a int)', convert_from('\\x636166e9', 'SQL_ASCII'));
             end $$",
        )
        .unwrap();
    let mut session = snapshot(&database.uri()).await;
    // As it is pinned between two databases of this encoding.
    session.execute("set client_encoding = 'SQL_ASCII'").await.unwrap();
    let error = fetch::source(&mut session, SizeSource::Files).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "source: read catalog with tables.sql: column name of tables.sql holds a name that is no \
         UTF-8 text"
    );
    assert_eq!(error.class(), Class::Unsupported);
}
