//! Indexes and constraints, and what their definitions do not say.

use pgcopydb::catalog::fetch::{self, SizeSource};
use pgcopydb::catalog::model::ConstraintKind;
use testbed::{Major, TestDatabase, shared};

use crate::{constraint, index, on_every_version, read, read_after, snapshot, table};

// trap D-12
#[tokio::test]
async fn what_the_definition_does_not_say() {
    for (_, database) in on_every_version("index_flags") {
        let space = format!("space_{}", database.name());
        let catalog = read_after(
            &database,
            &format!(
                "set allow_in_place_tablespaces = on; create tablespace {space} location '';
                 create table t (a int not null, b text, c int);
                 create unique index identity on t (a);
                 alter table t replica identity using index identity;
                 create index clustered on t (c); alter table t cluster on clustered;
                 create index expressions on t ((c + 1), lower(b), a);
                 alter index expressions alter column 1 set statistics 500;
                 alter index expressions alter column 2 set statistics 0;
                 create index elsewhere on t (b) tablespace {space};
                 create index dependent on t (b);
                 alter index dependent depends on extension plpgsql;
                 create unique index partial on t (c) where b is not null;
                 create unique index including on t (c, a) include (b);
                 create index hashed on t using hash (c);"
            ),
        )
        .await;
        assert!(index(&catalog, "identity").replica_identity);
        assert!(!index(&catalog, "clustered").replica_identity);
        assert!(index(&catalog, "clustered").clustered);
        assert!(!index(&catalog, "identity").clustered);
        assert_eq!(index(&catalog, "expressions").statistics, [(1, 500), (2, 0)]);
        assert_eq!(index(&catalog, "expressions").key_columns, [0, 0, 1]);
        assert!(index(&catalog, "hashed").statistics.is_empty());
        assert_eq!(index(&catalog, "elsewhere").tablespace.as_deref(), Some(space.as_str()));
        assert_eq!(index(&catalog, "hashed").tablespace, None);
        assert_eq!(index(&catalog, "dependent").depends_on_extensions, ["plpgsql"]);
        assert!(index(&catalog, "hashed").depends_on_extensions.is_empty());
        assert!(index(&catalog, "partial").partial);
        assert!(!index(&catalog, "including").partial);
        assert_eq!(index(&catalog, "including").key_columns, [3, 1]);
        assert!(index(&catalog, "including").unique);
        assert!(!index(&catalog, "including").primary);
        assert_eq!(index(&catalog, "hashed").access_method, "hash");
        assert_eq!(
            index(&catalog, "including").definition,
            "CREATE UNIQUE INDEX including ON public.t USING btree (c, a) INCLUDE (b)"
        );
        let oid = table(&catalog, "t").oid;
        assert!(catalog.indexes.iter().all(|index| index.table_oid == oid && index.valid));
        // An empty btree is its metapage.
        assert_eq!(index(&catalog, "identity").bytes, 8192);
        database.psql("drop table t").unwrap();
        database.psql(&format!("drop tablespace {space}")).unwrap();
    }
}

// trap D-9
#[tokio::test]
async fn an_index_whose_concurrent_build_failed_is_invalid() {
    for (_, database) in on_every_version("invalid") {
        database.psql("create table t (a int); insert into t values (1), (1)").unwrap();
        let failed = database.psql("create unique index concurrently broken on t (a)");
        assert!(failed.unwrap_err().to_string().contains("could not create unique index"));
        let catalog = read_after(&database, "create index sound on t (a)").await;
        assert!(!index(&catalog, "broken").valid);
        assert!(index(&catalog, "sound").valid);
        // trap S-9
        assert_eq!(table(&catalog, "t").split_key, None);
    }
}

// trap D-10
#[tokio::test]
async fn partitioned_indexes_form_a_tree() {
    for (_, database) in on_every_version("index_tree") {
        let catalog = read_after(
            &database,
            "create table root (a int, b int) partition by list (a);
             create table leaf_1 partition of root for values in (1);
             create table leaf_2 partition of root for values in (2);
             create index attached on leaf_1 (b); create index local on leaf_1 (b, a);
             create index root_b on only root (b);
             alter index root_b attach partition attached;
             alter table root add primary key (a);",
        )
        .await;
        let root = index(&catalog, "root_b");
        assert!(root.partitioned);
        // leaf_2 has none: the tree is incomplete, and the server says so.
        assert!(!root.valid);
        assert_eq!(root.parent, None);
        assert_eq!(index(&catalog, "attached").parent, Some(root.oid));
        assert!(!index(&catalog, "attached").partitioned);
        assert_eq!(index(&catalog, "local").parent, None);
        let primary = index(&catalog, "root_pkey");
        assert!(primary.partitioned && primary.primary);
        assert_eq!(index(&catalog, "leaf_2_pkey").parent, Some(primary.oid));
        let own = constraint(&catalog, "leaf_2_pkey");
        assert_eq!(own.parent, Some(constraint(&catalog, "root_pkey").oid));
        assert!(!own.local);
        assert!(constraint(&catalog, "root_pkey").local);
    }
}

// trap D-1, D-2, D-5, D-8
#[tokio::test]
async fn constraints_and_the_indexes_behind_them() {
    for (_, database) in on_every_version("constraints") {
        let catalog = read_after(
            &database,
            "create table t (a int constraint t_key primary key,
                b int constraint b_unique unique deferrable,
                c int constraint c_unique unique deferrable initially deferred,
                d int4range,
                constraint d_exclude exclude using gist (d with &&) where (a > 0),
                constraint a_check check (a > 0));
             create unique index only_an_index on t (b);
             create table r (a int constraint good references t (a),
                b int constraint late references t (b) deferrable initially deferred);
             alter table r add constraint unproven foreign key (a) references t (a) not valid;",
        )
        .await;
        let t = table(&catalog, "t").oid;
        let kinds: Vec<_> = catalog
            .constraints
            .iter()
            .map(|one| (one.name.as_str(), one.kind, one.deferrable, one.deferred, one.validated))
            .collect();
        assert_eq!(
            kinds,
            [
                ("t_key", ConstraintKind::PrimaryKey, false, false, true),
                ("b_unique", ConstraintKind::Unique, true, false, true),
                ("c_unique", ConstraintKind::Unique, true, true, true),
                ("d_exclude", ConstraintKind::Exclusion, false, false, true),
                ("good", ConstraintKind::ForeignKey, false, false, true),
                ("late", ConstraintKind::ForeignKey, true, true, true),
                ("unproven", ConstraintKind::ForeignKey, false, false, false),
            ]
        );
        for name in ["t_key", "b_unique", "c_unique", "d_exclude"] {
            let one = constraint(&catalog, name);
            assert_eq!(one.table_oid, t);
            assert_eq!(one.referenced_oid, None);
            assert_eq!(one.index_oid, Some(index(&catalog, name).oid));
            assert_eq!(index(&catalog, name).constraint_oid, Some(one.oid));
        }
        assert_eq!(index(&catalog, "only_an_index").constraint_oid, None);
        // Three foreign keys use its index, and it still stands for the primary key.
        assert_eq!(
            index(&catalog, "t_key").constraint_oid,
            Some(constraint(&catalog, "t_key").oid)
        );
        let good = constraint(&catalog, "good");
        assert_eq!(good.referenced_oid, Some(t));
        assert_eq!(good.index_oid, Some(index(&catalog, "t_key").oid));
        assert_eq!(good.definition, "FOREIGN KEY (a) REFERENCES public.t(a)");
        assert!(catalog.constraints.iter().all(|one| one.enforced && !one.temporal && one.local));
    }
}

#[tokio::test]
async fn constraints_dropped_after_the_snapshot_are_left_out() {
    for (_, database) in on_every_version("dropped_key") {
        database
            .psql(
                "create table t (a int primary key, b int constraint gone unique);
                 create table r (a int constraint kept references t (a),
                    b int constraint lost references t (b));",
            )
            .unwrap();
        let mut session = snapshot(&database.uri()).await;
        database.psql("alter table t drop constraint gone cascade").unwrap();
        let catalog = fetch::source(&mut session, SizeSource::Files).await.unwrap();
        let names: Vec<_> = catalog.constraints.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["t_pkey", "kept"]);
        assert_eq!(catalog.indexes.len(), 1);
    }
}

// trap D-7
#[tokio::test]
async fn clones_of_foreign_keys_name_their_parent() {
    for (_, database) in on_every_version("clones") {
        let catalog = read_after(
            &database,
            "create table target (a int primary key) partition by list (a);
             create table target_1 partition of target for values in (1);
             create table origin (a int constraint fk references target (a)) partition by list (a);
             create table origin_1 partition of origin for values in (1);",
        )
        .await;
        let foreign: Vec<_> = catalog
            .constraints
            .iter()
            .filter(|one| one.kind == ConstraintKind::ForeignKey)
            .collect();
        // The constraint itself, and clones for a partition on either side.
        assert!(foreign.len() > 2);
        let own: Vec<_> = foreign.iter().filter(|one| one.parent.is_none()).collect();
        assert_eq!(own.len(), 1);
        assert_eq!(own[0].name, "fk");
        assert_eq!(own[0].table_oid, table(&catalog, "origin").oid);
    }
}

// trap D-3, D-4
#[tokio::test]
async fn temporal_and_unenforced_constraints_of_version_18() {
    let database = TestDatabase::create(shared(Major::V18), "temporal").unwrap();
    let catalog = read_after(
        &database,
        "create table room (id int4range, during tstzrange,
            constraint room_key primary key (id, during without overlaps));
         create table stay (id int4range, during tstzrange, room int4range,
            constraint in_room foreign key (room, period during)
                references room (id, period during));
         create table t (a int primary key);
         create table r (a int constraint loose references t (a) not enforced);",
    )
    .await;
    assert!(constraint(&catalog, "room_key").temporal);
    assert!(constraint(&catalog, "in_room").temporal);
    assert!(!constraint(&catalog, "t_pkey").temporal);
    assert!(!constraint(&catalog, "loose").enforced);
    assert!(!constraint(&catalog, "loose").validated);
    assert!(constraint(&catalog, "in_room").enforced);
    // NOT NULL constraints have entries of their own there; they are pg_dump's business.
    assert_eq!(catalog.constraints.len(), 4);
}

#[tokio::test]
async fn indexes_of_materialized_views_count() {
    let database = TestDatabase::create(shared(Major::V16), "view_index").unwrap();
    database
        .psql(
            "create materialized view v as select g as a from generate_series(1, 3) g;
             create unique index v_a on v (a);",
        )
        .unwrap();
    let catalog = read(&database.uri()).await;
    assert_eq!(index(&catalog, "v_a").table_oid, table(&catalog, "v").oid);
}
