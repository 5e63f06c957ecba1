//! How long a plan takes for 100 000 tables with 200 000 indexes, half of them under a constraint.
//!
//! Expected: well under two seconds, since the plan is made while an exported snapshot is held open on
//! the source. Resuming and scheduling the same plan are measured beside it.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use pgcopydb::base::event::JobId;
use pgcopydb::base::ident::QualifiedName;
use pgcopydb::catalog::model::{
    Column, Constraint, ConstraintKind, Index, ServerFacts, SourceCatalog, Table, TargetFacts,
    TypeInfo, TypeKind,
};
use pgcopydb::config::clone::{CopyFormat, Jobs, SchemaOptions, Skip, Split};
use pgcopydb::filter::Selection;
use pgcopydb::plan::{Done, Plan, PlanOptions, SplitFacts, build, resume};
use pgcopydb::run::scheduler::{FailurePolicy, Limits, Scheduler};

/// Tables of the catalog.
const TABLES: u32 = 100_000;

/// Columns of each table.
const COLUMNS: i16 = 10;

/// `int8`.
const INT8: u32 = 20;

/// A catalog of [`TABLES`] tables, each with a primary key and one more index; every tenth has a foreign
/// key to its neighbour.
fn catalog() -> SourceCatalog {
    let server = ServerFacts {
        version: 150_000,
        block_size: 8192,
        encoding: "UTF8".into(),
        ..ServerFacts::default()
    };
    let int8 = TypeInfo {
        oid: INT8,
        name: "bigint".into(),
        kind: TypeKind::Base,
        built_in: true,
        binary_io: true,
        extension: None,
    };
    let mut catalog =
        SourceCatalog { server, types: [(INT8, int8)].into(), ..SourceCatalog::default() };
    for number in 0..TABLES {
        let oid = 20_000 + number * 10;
        let name = format!("table_number_{number:06}");
        let columns = (1..=COLUMNS).map(|column| Column {
            number: column,
            name: format!("column_{column}"),
            type_oid: INT8,
            type_name: "bigint".into(),
            ..Column::default()
        });
        // A few are large, most are tiny.
        let bytes = if number % 1000 == 0 { 4 << 30 } else { u64::from(number) * 40 };
        catalog.tables.push(Table {
            oid,
            name: QualifiedName::new("public", name.clone()),
            access_method: Some("heap".into()),
            heap_bytes: bytes,
            bytes,
            may_select: true,
            columns: columns.collect(),
            ..Table::default()
        });
        for (position, suffix) in [(1, "pkey"), (2, "idx")] {
            let index = format!("{name}_{suffix}");
            catalog.indexes.push(Index {
                oid: oid + position,
                name: QualifiedName::new("public", index.clone()),
                table_oid: oid,
                definition: format!("CREATE INDEX {index} ON public.{name} USING btree (column_1)"),
                valid: true,
                bytes: bytes / 5,
                constraint_oid: (position == 1).then_some(oid + 3),
                ..Index::default()
            });
        }
        let constraint = Constraint {
            oid: oid + 3,
            name: format!("{name}_pkey"),
            kind: ConstraintKind::PrimaryKey,
            table_oid: oid,
            index_oid: Some(oid + 1),
            definition: "PRIMARY KEY (column_1)".into(),
            validated: true,
            enforced: true,
            ..Constraint::default()
        };
        if number % 10 == 1 {
            catalog.constraints.push(Constraint {
                oid: oid + 4,
                name: format!("{name}_fkey"),
                kind: ConstraintKind::ForeignKey,
                referenced_oid: Some(oid - 10),
                definition: "FOREIGN KEY (column_1) REFERENCES public.t(column_1)".into(),
                ..constraint.clone()
            });
        }
        catalog.constraints.push(constraint);
    }
    catalog
}

/// The options of a run without options.
fn options() -> PlanOptions {
    PlanOptions {
        jobs: Jobs { table: 8, index: 8, restore: 8, large_objects: 4 },
        split: Split::default(),
        copy_format: CopyFormat::Auto,
        skip: Skip::default(),
        schema: SchemaOptions::default(),
        extension_versions: Default::default(),
    }
}

/// Runs a plan through the scheduler, eight jobs at a time.
fn run(plan: &Plan) -> usize {
    let mut scheduler = Scheduler::new(&plan.jobs, Limits::all(8), FailurePolicy::KeepGoing);
    let mut running: std::collections::VecDeque<JobId> = std::collections::VecDeque::new();
    loop {
        while let Some(job) = scheduler.next_job() {
            running.push_back(job);
        }
        match running.pop_front() {
            Some(job) => scheduler.finished(job),
            None => return scheduler.counts().finished,
        }
    }
}

/// The three measurements.
fn benches(criterion: &mut Criterion) {
    let (catalog, options) = (catalog(), options());
    let target = TargetFacts { server: catalog.server.clone(), ..TargetFacts::default() };
    let (selection, facts) = (Selection::everything(), SplitFacts::default());
    let make = || build(&catalog, &selection, &target, &facts, &options);
    let plan = make().unwrap_or_default();
    let mut group = criterion.benchmark_group("plan_100k_tables");
    group.sample_size(10);
    group.bench_function("build", |bencher| bencher.iter(|| black_box(make())));
    group.bench_function("resume", |bencher| {
        let done = Done {
            indexes: plan.indexes.iter().step_by(2).map(|index| index.oid).collect(),
            ..Done::default()
        };
        bencher.iter_batched(
            || plan.clone(),
            |plan| black_box(resume(plan, &done)),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("schedule", |bencher| bencher.iter(|| black_box(run(&plan))));
    group.finish();
}

criterion_group!(plan_100k_tables, benches);
criterion_main!(plan_100k_tables);
