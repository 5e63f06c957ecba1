//! Tests of the plan as a whole: what becomes of each kind of object.

use super::*;
use crate::base::ident::QualifiedName;
use crate::catalog::model::{
    Column, Constraint, ConstraintKind, Extension, Generated, Identity, Persistence, Sequence,
    TableKind, TypeInfo, TypeKind,
};
use crate::config::clone::CopyFormat;
use crate::filter::{Dependent, MatchedOids, parse, select};
use crate::plan::fixture::{
    INT4, MIB, catalog, column, foreign_key, index, key, options, table, target,
};
use crate::plan::toc::{PG_CLASS, PG_CONSTRAINT};
use crate::plan::{
    ConstraintIndexPlan, Format, JobKind, LoadStrategy, Part, Stage, VacuumKind, Validation,
};

fn planned(catalog: &SourceCatalog, target: &TargetFacts, options: &PlanOptions) -> Plan {
    build(catalog, &Selection::everything(), target, &SplitFacts::default(), options).unwrap()
}

fn plan(catalog: &SourceCatalog) -> Plan {
    planned(catalog, &target(15), &options())
}

fn filtered(catalog: &SourceCatalog, rules: &str) -> Plan {
    let selection = select(catalog, &parse(rules).unwrap(), &MatchedOids::default()).unwrap();
    build(catalog, &selection, &target(15), &SplitFacts::default(), &options()).unwrap()
}

/// One table with an index under a constraint.
fn keyed(kind: ConstraintKind, change: impl FnOnce(&mut Constraint, &mut Index)) -> SourceCatalog {
    let mut catalog = catalog(vec![table(1, MIB)]);
    let mut built = index(11, 1, 8192);
    let mut constraint = key(12, &mut built);
    constraint.kind = kind;
    change(&mut constraint, &mut built);
    catalog.constraints.push(constraint);
    catalog.indexes.push(built);
    catalog
}

// trap T-1 T-7
#[test]
fn tables_without_columns_and_with_identity_only_are_copied() {
    let none = Table { columns: vec![], ..table(1, MIB) };
    let identity = Column { identity: Identity::Always, ..column("id", INT4) };
    let only_identity = Table { columns: vec![identity], ..table(2, 0) };
    let plan = plan(&catalog(vec![none, only_identity]));
    assert_eq!(plan.tables[0].columns, [""; 0]);
    assert_eq!(plan.tables[0].column_list(), "");
    assert_eq!(plan.tables[1].column_list(), "\"id\"");
    assert!(plan.tables.iter().all(|table| table.load.replaces()));
    assert!(plan.tables.iter().all(|table| table.parts.len() == 1));
}

// trap T-4 T-5 T-6
#[test]
fn generated_columns_are_left_out_and_identity_columns_kept() {
    let with =
        |name: &str, generated, identity| Column { generated, identity, ..column(name, INT4) };
    let columns = vec![
        with("a", Generated::No, Identity::ByDefault),
        with("b", Generated::Stored, Identity::No),
        with("c", Generated::Virtual, Identity::No),
        with("D\"e", Generated::No, Identity::Always),
    ];
    let plan = plan(&catalog(vec![Table { columns, ..table(1, MIB) }]));
    assert_eq!(plan.tables[0].columns, ["a", "D\"e"]);
    assert_eq!(plan.tables[0].column_list(), "\"a\", \"D\"\"e\"");
}

#[test]
fn generated_columns_do_not_force_text() {
    let strange = Column { generated: Generated::Stored, ..column("b", 999) };
    let columns = vec![column("a", INT4), strange];
    let plan = plan(&catalog(vec![Table { columns, ..table(1, MIB) }]));
    assert_eq!(plan.tables[0].format, Format::Binary);
}

// trap T-12 T-13
#[test]
fn only_ordinary_tables_and_partitions_are_loaded() {
    let kinds = [TableKind::Partitioned, TableKind::Foreign, TableKind::MaterializedView];
    let mut tables = vec![Table { partition_of: Some(2), ..table(1, MIB) }];
    tables.extend((2..).zip(kinds).map(|(oid, kind)| Table { kind, ..table(oid, 0) }));
    let plan = plan(&catalog(tables));
    let oids: Vec<_> = plan.tables.iter().map(|table| table.oid).collect();
    assert_eq!(oids, [1]);
    assert_eq!(plan.parents, [QualifiedName::new("s", "t2")]);
}

#[test]
fn tables_come_largest_first_then_by_name() {
    let plan = plan(&catalog(vec![table(3, 5), table(1, 7), table(2, 7), table(4, 9)]));
    let oids: Vec<_> = plan.tables.iter().map(|table| table.oid).collect();
    assert_eq!(oids, [4, 1, 2, 3]);
}

#[test]
fn a_handful_of_pages_is_not_truncated_where_the_run_makes_the_table() {
    const PAGE: u64 = 8192;
    let load = |bytes, exists: bool| {
        let mut target = target(15);
        if exists {
            target.relations = vec![(QualifiedName::new("s", "t1"), TableKind::Ordinary)];
        }
        let table = planned(&catalog(vec![table(1, bytes)]), &target, &options()).tables.remove(0);
        (table.load, table.vacuum)
    };
    let analyze = Some(VacuumKind::Analyze);
    assert_eq!(load(16 * PAGE, false), (LoadStrategy::Fresh, analyze));
    assert_eq!(load(17 * PAGE, false), (LoadStrategy::ReplaceFrozen, analyze));
    assert_eq!(load(16 * PAGE, true), (LoadStrategy::ReplaceFrozen, analyze));
}

// trap T-16
#[test]
fn existing_target_decides_on_freeze_and_only() {
    let catalog = catalog(vec![table(1, MIB)]);
    let with = |kind, drop_if_exists| {
        let mut target = target(15);
        target.relations = vec![(QualifiedName::new("s", "t1"), kind)];
        let mut options = options();
        options.schema.drop_if_exists = drop_if_exists;
        let table = planned(&catalog, &target, &options).tables.remove(0);
        (table.load, table.only)
    };
    assert_eq!(with(TableKind::Ordinary, false), (LoadStrategy::ReplaceFrozen, true));
    assert_eq!(with(TableKind::Partitioned, false), (LoadStrategy::Replace, false));
    assert_eq!(with(TableKind::Partitioned, true), (LoadStrategy::ReplaceFrozen, true));
    assert_eq!(with(TableKind::Foreign, false), (LoadStrategy::Append, true));
}

#[test]
fn frozen_tables_are_analyzed_and_others_vacuumed() {
    let vacuum = |major, bytes, skip| {
        let mut options = options();
        options.skip.vacuum = skip;
        planned(&catalog(vec![table(1, bytes)]), &target(major), &options).tables[0].vacuum
    };
    assert_eq!(vacuum(14, MIB, false), Some(VacuumKind::Analyze));
    assert_eq!(vacuum(13, MIB, false), Some(VacuumKind::VacuumAnalyze));
    // Split, so not frozen.
    assert_eq!(vacuum(18, 1024 * MIB, false), Some(VacuumKind::VacuumAnalyze));
    assert_eq!(vacuum(18, MIB, true), None);
}

// trap T-10
#[test]
fn unlogged_table_is_unreadable_on_a_standby() {
    let mut catalog = catalog(vec![Table { persistence: Persistence::Unlogged, ..table(1, MIB) }]);
    assert!(plan(&catalog).tables[0].load.loads());
    catalog.server.standby = true;
    let plan = plan(&catalog);
    assert!(plan.tables[0].exclude_data());
    assert_eq!(plan.skipped[0].severity, Severity::Warning);
}

// trap D-2 D-8
#[test]
fn keys_are_built_as_indexes_then_attached() {
    let built = keyed(ConstraintKind::Unique, |constraint, index| {
        constraint.deferrable = true;
        constraint.deferred = true;
        index.unique = true;
    });
    let plan = plan(&built);
    assert_eq!(plan.indexes.len(), 1);
    let name = "i11".to_owned();
    let expected = ConstraintIndexPlan::Built { name, deferrable: true, deferred: true };
    assert_eq!(plan.constraints[0].index, expected);
    assert!(plan.toc_excludes.contains(PG_CLASS, 11));
    assert!(plan.toc_excludes.contains(PG_CONSTRAINT, 12));

    // A unique index without a constraint stays one.
    let mut alone = catalog(vec![table(1, MIB)]);
    alone.indexes.push(Index { unique: true, ..index(11, 1, 8192) });
    let plan = self::plan(&alone);
    assert_eq!((plan.indexes.len(), plan.constraints.len()), (1, 0));
}

// trap D-1 D-3
#[test]
fn exclusion_and_temporal_constraints_have_no_index_of_their_own() {
    for (kind, temporal) in [(ConstraintKind::Exclusion, false), (ConstraintKind::PrimaryKey, true)]
    {
        let catalog = keyed(kind, |constraint, index| {
            constraint.temporal = temporal;
            index.tablespace = Some("fast".into());
        });
        let plan = plan(&catalog);
        assert_eq!(plan.indexes, []);
        let ConstraintIndexPlan::FromDefinition(details) = &plan.constraints[0].index else {
            panic!("{:?}", plan.constraints);
        };
        assert_eq!(details.tablespace.as_deref(), Some("fast"));
        assert!(plan.toc_excludes.contains(PG_CONSTRAINT, 12));
    }
}

// trap D-12
#[test]
fn what_pg_dump_hides_in_index_entries_is_planned() {
    let catalog = keyed(ConstraintKind::PrimaryKey, |_, index| {
        index.clustered = true;
        index.replica_identity = true;
        index.tablespace = Some("fast".into());
        index.statistics = vec![(1, 500)];
        index.depends_on_extensions = vec!["postgis".into()];
    });
    let plan = plan(&catalog);
    assert_eq!(plan.tables[0].clustered.as_deref(), Some("i11"));
    assert_eq!(plan.tables[0].replica_identity.as_deref(), Some("i11"));
    let details = &plan.indexes[0].details;
    assert_eq!(details.statistics, [(1, 500)]);
    assert_eq!(details.depends_on_extensions, ["postgis"]);
    assert_eq!(details.tablespace.as_deref(), Some("fast"));
    let mut options = options();
    options.schema.no_tablespaces = true;
    let plan = planned(&catalog, &target(15), &options);
    assert_eq!(plan.indexes[0].details.tablespace, None);
}

// trap D-9
#[test]
fn invalid_index_is_skipped_and_named() {
    let mut catalog = catalog(vec![table(1, MIB)]);
    catalog.indexes.push(Index { valid: false, clustered: true, ..index(11, 1, 8192) });
    let plan = plan(&catalog);
    assert_eq!(plan.indexes, []);
    assert_eq!(plan.tables[0].clustered, None);
    assert_eq!(plan.skipped[0].object, "index s.i11");
    assert!(plan.toc_excludes.contains(PG_CLASS, 11));
}

// trap D-10
#[test]
fn index_tree_is_ours_at_the_leaves_and_pg_restores_above() {
    let root = Table { kind: TableKind::Partitioned, ..table(1, 0) };
    let leaf = Table { partition_of: Some(1), ..table(2, MIB) };
    let mut catalog = catalog(vec![root, leaf]);
    let mut above = Index { partitioned: true, valid: false, ..index(11, 1, 0) };
    let above_key = key(12, &mut above);
    let mut below = Index { parent: Some(11), ..index(21, 2, 8192) };
    let below_key = Constraint { parent: Some(12), local: false, ..key(22, &mut below) };
    catalog.indexes = vec![above, below, index(23, 2, 8192)];
    catalog.constraints = vec![above_key, below_key];
    let plan = plan(&catalog);
    let built: Vec<_> = plan.indexes.iter().map(|index| index.oid).collect();
    assert_eq!(built, [21, 23]);
    assert_eq!(plan.constraints.iter().map(|one| one.oid).collect::<Vec<_>>(), [22]);
    let excluded = [(PG_CLASS, 21), (PG_CLASS, 23), (PG_CONSTRAINT, 22)];
    assert_eq!(plan.toc_excludes.objects(), excluded);
    assert_eq!(plan.skipped, []);
}

#[test]
fn indexes_of_materialized_views_stay_with_pg_restore() {
    let view = Table { kind: TableKind::MaterializedView, ..table(1, MIB) };
    let mut catalog = catalog(vec![view]);
    catalog.indexes.push(index(11, 1, 8192));
    let plan = plan(&catalog);
    assert_eq!(plan.indexes, []);
    assert_eq!(plan.toc_excludes.objects(), []);
}

// trap D-7
#[test]
fn clones_of_foreign_keys_are_not_planned() {
    let mut catalog = catalog(vec![table(1, MIB), table(2, MIB)]);
    catalog.constraints =
        vec![foreign_key(51, 1, 2), Constraint { parent: Some(51), ..foreign_key(52, 1, 2) }];
    let plan = plan(&catalog);
    assert_eq!(plan.foreign_keys.iter().map(|key| key.oid).collect::<Vec<_>>(), [51]);
    assert_eq!(plan.toc_excludes.objects(), [(PG_CONSTRAINT, 51)]);
}

// trap D-7
#[test]
fn foreign_keys_of_partitioned_tables_come_after_post_data() {
    let root = Table { kind: TableKind::Partitioned, ..table(1, 0) };
    let mut catalog = catalog(vec![root, table(2, MIB)]);
    catalog.constraints = vec![foreign_key(51, 1, 2), foreign_key(52, 2, 1)];
    let plan = plan(&catalog);
    assert!(plan.foreign_keys.iter().all(|key| key.stage == Stage::AfterPostData));
    assert!(plan.foreign_keys.iter().all(|key| key.validation == Validation::WithAdd));
    let keys = plan.jobs.iter().filter(|job| {
        matches!(job.kind, JobKind::ForeignKey { .. } | JobKind::ValidateForeignKey { .. })
    });
    assert_eq!(keys.clone().count(), 2);
    assert!(keys.clone().all(|job| job.stage == Stage::AfterPostData));
}

// trap T-23
#[test]
fn foreign_key_to_rows_left_out_is_not_validated_and_named() {
    let mut catalog = catalog(vec![table(1, MIB), table(2, MIB)]);
    catalog.constraints = vec![foreign_key(51, 1, 2), foreign_key(52, 2, 1)];
    let plan = filtered(&catalog, "[exclude-table-data]\ns.t2\n");
    assert_eq!(plan.tables[1].parts, []);
    let validations: Vec<_> = plan.foreign_keys.iter().map(|key| key.validation).collect();
    assert_eq!(validations, [Validation::Never, Validation::Separate]);
    assert!(plan.foreign_keys[0].definition.ends_with(" NOT VALID"));
    let named = |skipped: &&Skipped| skipped.object == "validation of foreign key f51 of s.t1";
    assert_eq!(plan.skipped.iter().filter(named).count(), 1);
}

#[test]
fn what_filters_drop_is_left_out_of_the_dump_with_all_that_hangs_on_it() {
    let mut catalog = keyed(ConstraintKind::PrimaryKey, |_, _| {});
    catalog.tables.push(table(2, MIB));
    catalog.constraints.push(foreign_key(51, 2, 1));
    let plan = filtered(&catalog, "[exclude-table]\ns.t1\n");
    assert_eq!(plan.tables.iter().map(|table| table.oid).collect::<Vec<_>>(), [2]);
    assert_eq!((plan.indexes.len(), plan.constraints.len(), plan.foreign_keys.len()), (0, 0, 0));
    let excluded = [(PG_CLASS, 1), (PG_CLASS, 11), (PG_CONSTRAINT, 12), (PG_CONSTRAINT, 51)];
    assert_eq!(plan.toc_excludes.objects(), excluded);
    let objects: Vec<_> = plan.skipped.iter().map(|skipped| skipped.object.as_str()).collect();
    assert_eq!(objects, ["foreign key f51 of s.t2", "table s.t1"]);
}

#[test]
fn excluded_index_is_neither_built_nor_restored_nor_its_constraint() {
    let catalog = keyed(ConstraintKind::PrimaryKey, |_, _| {});
    let plan = filtered(&catalog, "[exclude-index]\ns.i11\n");
    assert_eq!((plan.indexes.len(), plan.constraints.len()), (0, 0));
    assert_eq!(plan.toc_excludes.objects(), [(PG_CLASS, 11), (PG_CONSTRAINT, 12)]);
}

#[test]
fn what_else_depends_on_it_is_left_out_of_the_dump() {
    let mut catalog = catalog(vec![
        table(1, MIB),
        Table { kind: TableKind::MaterializedView, ..table(2, 0) },
        table(3, MIB),
    ]);
    catalog.indexes.push(index(21, 2, 8192));
    let rules = parse("[exclude-table]\ns.t1\n").unwrap();
    let mut selection = select(&catalog, &rules, &MatchedOids::default()).unwrap();
    let dependent = |catalog, oid, conflict| Dependent {
        catalog,
        oid,
        description: format!("object {oid}"),
        because: "table s.t1".into(),
        by_itself: true,
        conflict,
        needed_schema: Some("x".into()),
    };
    let rows = vec![
        dependent(PG_CLASS, 2, false),
        dependent(1255, 99, false),
        dependent(PG_CLASS, 3, true),
    ];
    selection.add_dependents(&catalog, rows);
    let facts = SplitFacts::default();
    let build = |target| build(&catalog, &selection, &target, &facts, &options());
    let error = build(target(15)).unwrap_err().to_string();
    assert!(error.starts_with("object 3 is kept by the filters and needs table s.t1"), "{error}");
    // The schema on the target may hold what is needed.
    let plan = build(TargetFacts { schemas: vec!["x".into()], ..target(15) }).unwrap();
    let excluded = [(1255, 99), (PG_CLASS, 1), (PG_CLASS, 2), (PG_CLASS, 21)];
    assert_eq!(plan.toc_excludes.objects(), excluded);
    assert_eq!(plan.skipped.last().unwrap().severity, Severity::Warning);
    assert_eq!(plan.skipped.last().unwrap().object, "object 3");
}

#[test]
fn materialized_view_without_data_is_not_refreshed() {
    let view = |oid| Table { kind: TableKind::MaterializedView, ..table(oid, 0) };
    let catalog = catalog(vec![view(1), view(2)]);
    let plan = filtered(&catalog, "[exclude-table-data]\ns.t2\n");
    assert_eq!(plan.toc_excludes.not_refreshed, [2]);
    assert_eq!(plan.toc_excludes.objects(), []);
}

#[test]
fn extension_tables_are_loaded_only_where_the_extension_says_so() {
    let member = |oid| Table { extension: Some("ext".into()), ..table(oid, MIB) };
    let mut catalog = catalog(vec![member(1), member(2)]);
    catalog.indexes.push(index(11, 1, 8192));
    catalog.extensions.push(Extension {
        name: "ext".into(),
        config_tables: vec![(1, "WHERE not builtin".into())],
        ..Extension::default()
    });
    let plan = plan(&catalog);
    assert_eq!(plan.tables.iter().map(|table| table.oid).collect::<Vec<_>>(), [1]);
    assert_eq!(plan.tables[0].load, LoadStrategy::Append);
    assert_eq!(plan.tables[0].condition.as_deref(), Some("not builtin"));
    assert_eq!(plan.tables[0].parts, [Part::WHOLE]);
    assert_eq!(plan.indexes, []);
    let mut options = options();
    options.skip.extensions = true;
    assert_eq!(planned(&catalog, &target(15), &options).tables, []);
}

#[test]
fn sequences_are_set_unless_they_cannot_be_read() {
    let sequence = |oid, may_select, extension: Option<&str>| Sequence {
        oid,
        name: QualifiedName::new("s", format!("q{oid}")),
        may_select,
        extension: extension.map(str::to_owned),
        ..Sequence::default()
    };
    let mut catalog = catalog(vec![]);
    catalog.sequences =
        vec![sequence(1, true, None), sequence(2, false, None), sequence(3, true, Some("ext"))];
    let plan = plan(&catalog);
    assert_eq!(plan.sequences.iter().map(|one| one.oid).collect::<Vec<_>>(), [1]);
    assert_eq!(plan.skipped.len(), 1);
    assert_eq!(plan.skipped[0].severity, Severity::Error);
}

#[test]
fn forced_binary_names_the_table_that_forbids_it() {
    let composite = TypeInfo {
        oid: 900,
        name: "s.pair".into(),
        kind: TypeKind::Composite(vec![INT4]),
        binary_io: true,
        ..TypeInfo::default()
    };
    let odd = |oid, bytes| Table { columns: vec![column("c", 900)], ..table(oid, bytes) };
    let mut catalog = catalog(vec![table(1, 3), odd(2, 2), odd(3, 1)]);
    catalog.types.insert(900, composite);
    let mut options = options();
    assert_eq!(planned(&catalog, &target(15), &options).tables[1].format, Format::Text);
    options.copy_format = CopyFormat::Binary;
    let everything = Selection::everything();
    let facts = SplitFacts::default();
    let error = build(&catalog, &everything, &target(15), &facts, &options).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("s.t2 cannot be copied in binary format: column \"c\": "), "{text}");
    assert!(text.ends_with(", and one more table"), "{text}");
    // Text is always possible.
    options.copy_format = CopyFormat::Text;
    let plan = planned(&catalog, &target(15), &options);
    assert!(plan.tables.iter().all(|table| table.format == Format::Text));
    assert!(plan.tables.iter().all(|table| table.format_reason.is_none()));
}

#[test]
fn plan_survives_json() {
    let mut catalog = keyed(ConstraintKind::PrimaryKey, |_, _| {});
    catalog.tables.push(table(2, 1024 * MIB));
    catalog.constraints.push(foreign_key(51, 2, 1));
    let plan = plan(&catalog);
    let json = crate::plan::explain::json(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
}

// trap D-1, D-3
#[test]
fn exclusion_constraints_of_partitioned_tables_come_with_the_parent() {
    let constraint = |oid, table_oid, index_oid, parent| Constraint {
        oid,
        name: format!("x{oid}"),
        kind: ConstraintKind::Exclusion,
        table_oid,
        index_oid: Some(index_oid),
        parent,
        definition: "EXCLUDE USING gist (id WITH &&)".into(),
        ..Constraint::default()
    };
    let mut catalog = catalog(vec![
        Table { kind: TableKind::Partitioned, ..table(1, 0) },
        Table { partition_of: Some(1), ..table(2, 8) },
    ]);
    catalog.indexes = vec![
        Index { constraint_oid: Some(21), partitioned: true, ..index(11, 1, 0) },
        Index { constraint_oid: Some(22), parent: Some(11), ..index(12, 2, 8) },
    ];
    catalog.constraints = vec![constraint(21, 1, 11, None), constraint(22, 2, 12, Some(21))];
    let plan = plan(&catalog);
    let added: Vec<Oid> = plan.parent_constraints.iter().map(|one| one.oid).collect();
    assert_eq!((added, plan.constraints.len()), (vec![21], 0));
    let parts = &plan.parent_constraints[0].parts;
    assert_eq!(parts.iter().map(|part| part.oid).collect::<Vec<_>>(), [22]);
    for oid in [21, 22] {
        assert!(plan.toc_excludes.contains(PG_CONSTRAINT, oid));
    }
}

#[test]
fn foreign_keys_to_tables_of_extensions_follow_the_extension() {
    let mut catalog =
        catalog(vec![table(1, 8), Table { extension: Some("ext".into()), ..table(2, 8) }]);
    catalog.extensions = vec![Extension { name: "ext".into(), ..Extension::default() }];
    catalog.constraints = vec![foreign_key(51, 1, 2)];
    assert_eq!(plan(&catalog).foreign_keys.len(), 1);
    let mut options = options();
    options.skip.extensions = true;
    let plan = planned(&catalog, &target(15), &options);
    assert_eq!(plan.foreign_keys, []);
    assert!(plan.skipped[0].reason.starts_with("extension ext"), "{:?}", plan.skipped);
}
