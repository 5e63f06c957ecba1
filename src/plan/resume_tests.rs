//! Tests of resuming: what was done and what remains are the whole, without overlap.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::fixture::{MIB, any_catalog, catalog, index, key, options, table, target};
use super::*;
use crate::catalog::model::SourceCatalog;
use crate::filter::Selection;
use crate::plan::{Done, Part, PartRange, SplitFacts, build};

/// The smallest thing that is done or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    Part(u32, u32),
    Index(u32),
    Constraint(u32),
    TableStatements(u32),
    Vacuum(u32),
    ForeignKey(u32),
    Validate(u32),
    LargeObjects,
    Sequences,
    Parents,
}

fn plan(catalog: &SourceCatalog) -> Plan {
    let facts = SplitFacts::default();
    build(catalog, &Selection::everything(), &target(15), &facts, &options()).unwrap()
}

/// What a job does, in the order in which it does it.
fn pieces(plan: &Plan, kind: JobKind) -> Vec<Piece> {
    let table = |position: u32| &plan.tables[position as usize];
    let constraints = |position: u32| {
        let statements =
            table(position).replica_identity.is_some() || table(position).clustered.is_some();
        let constraints = table(position).constraints.clone().map(Piece::Constraint);
        constraints.chain(statements.then_some(Piece::TableStatements(position)))
    };
    match kind {
        JobKind::Truncate { .. } => vec![],
        JobKind::CopyPart { table, part } => vec![Piece::Part(table, part)],
        JobKind::SmallTable { table: position } => [Piece::Part(position, 0)]
            .into_iter()
            .chain(table(position).indexes.clone().map(Piece::Index))
            .chain(constraints(position))
            .chain(table(position).vacuum.map(|_| Piece::Vacuum(position)))
            .collect(),
        JobKind::Index { index } => vec![Piece::Index(index)],
        JobKind::Constraints { table } => constraints(table).collect(),
        JobKind::Vacuum { table } => vec![Piece::Vacuum(table)],
        JobKind::ForeignKey { index } => vec![Piece::ForeignKey(index)],
        JobKind::ValidateForeignKey { index } => vec![Piece::Validate(index)],
        JobKind::LargeObjects { .. } => vec![Piece::LargeObjects],
        JobKind::Sequences => vec![Piece::Sequences],
        JobKind::AnalyzeParents => vec![Piece::Parents],
    }
}

fn all_pieces(plan: &Plan) -> BTreeSet<Piece> {
    plan.jobs.iter().flat_map(|job| pieces(plan, job.kind)).collect()
}

/// Notes a piece as done, as the ledger would.
fn note(plan: &Plan, done: &mut Done, piece: Piece) {
    let table = |position: u32| plan.tables[position as usize].oid;
    match piece {
        Piece::Part(position, part) => {
            let count = plan.tables[position as usize].parts.len();
            done.parts.insert((table(position), part, u32::try_from(count).unwrap()));
        }
        Piece::Index(index) => {
            done.indexes.insert(plan.indexes[index as usize].oid);
        }
        Piece::Constraint(index) => {
            done.constraints.insert(plan.constraints[index as usize].oid);
        }
        Piece::TableStatements(position) => {
            done.table_statements.insert(table(position));
        }
        Piece::Vacuum(position) => {
            done.vacuumed.insert(table(position));
        }
        Piece::ForeignKey(index) => {
            done.foreign_keys.insert(plan.foreign_keys[index as usize].oid);
        }
        Piece::Validate(index) => {
            done.validated.insert(plan.foreign_keys[index as usize].oid);
        }
        Piece::LargeObjects => done.large_objects = true,
        Piece::Sequences => done.sequences = true,
        Piece::Parents => done.parents = true,
    }
}

/// Begins jobs in an order of their own choice among those that may start, for `steps` steps; the last
/// one is cut off after `cut` of its pieces.
fn interrupted(plan: &Plan, choices: &[usize], cut: usize) -> (Done, BTreeSet<Piece>) {
    let mut done = Done::default();
    let mut finished = BTreeSet::new();
    let mut noted = BTreeSet::new();
    for (step, choice) in choices.iter().enumerate() {
        let ready: Vec<_> = plan
            .jobs
            .iter()
            .filter(|job| !finished.contains(&job.id))
            .filter(|job| job.after.iter().all(|before| finished.contains(before)))
            .collect();
        if ready.is_empty() {
            break;
        }
        let job = ready[choice % ready.len()];
        let mut pieces = pieces(plan, job.kind);
        // The shares of the large objects are done when all of them are.
        pieces.retain(|piece| *piece != Piece::LargeObjects);
        if step + 1 == choices.len() {
            pieces.truncate(cut);
        }
        finished.insert(job.id);
        for piece in pieces {
            note(plan, &mut done, piece);
            noted.insert(piece);
        }
    }
    (done, noted)
}

#[test]
fn nothing_done_leaves_the_plan_as_it_is() {
    let mut catalog = catalog(vec![table(1, MIB), table(2, 1024 * MIB)]);
    catalog.indexes.push(index(21, 2, MIB));
    let plan = plan(&catalog);
    assert_eq!(resume(plan.clone(), &Done::default()).unwrap(), plan);
}

#[test]
fn a_begun_small_table_becomes_ordinary_jobs() {
    let mut catalog = catalog(vec![table(1, MIB)]);
    let mut built = index(11, 1, 8192);
    catalog.constraints.push(key(12, &mut built));
    catalog.indexes.push(built);
    let plan = plan(&catalog);
    let done = Done { parts: [(1, 0, 1)].into(), ..Done::default() };
    let rest = resume(plan, &done).unwrap();
    let kinds: Vec<_> = rest.jobs.iter().map(|job| job.kind).collect();
    let expected = [
        JobKind::Index { index: 0 },
        JobKind::Constraints { table: 0 },
        JobKind::Vacuum { table: 0 },
    ];
    assert_eq!(kinds, expected);
    assert_eq!((rest.tables_already_done, rest.bytes_already_done), (1, MIB));
}

#[test]
fn split_table_is_not_truncated_when_a_part_is_there() {
    let plan = plan(&catalog(vec![table(1, 1024 * MIB)]));
    let count = u32::try_from(plan.tables[0].parts.len()).unwrap();
    let truncates = |done: &Done| {
        let rest = resume(plan.clone(), done).unwrap();
        rest.jobs.iter().any(|job| matches!(job.kind, JobKind::Truncate { .. }))
    };
    assert!(truncates(&Done::default()));
    assert!(!truncates(&Done { parts: [(1, 3, count)].into(), ..Done::default() }));
    // A part of another cut holds other rows: all over again.
    assert!(truncates(&Done { parts: [(1, 3, count + 1)].into(), ..Done::default() }));
}

#[test]
fn everything_done_leaves_no_job() {
    let mut catalog = catalog(vec![table(1, MIB), table(2, 1024 * MIB)]);
    catalog.indexes.push(index(21, 2, MIB));
    catalog.large_objects = 5000;
    let plan = plan(&catalog);
    let mut done = Done::default();
    for piece in all_pieces(&plan) {
        note(&plan, &mut done, piece);
    }
    let rest = resume(plan, &done).unwrap();
    assert_eq!(rest.jobs, []);
    assert_eq!((rest.tables_already_done, rest.bytes_already_done), (2, 1025 * MIB));
}

proptest! {
    /// However a run is interrupted: what was done and what is left are all there is, and nothing is in
    /// both. The vectors stay as they were.
    #[test]
    fn done_and_rest_are_the_whole(
        catalog in any_catalog(),
        choices in prop::collection::vec(any::<usize>(), 0..40),
        cut in 0_usize..4,
    ) {
        let whole = plan(&catalog);
        let (done, noted) = interrupted(&whole, &choices, cut);
        let rest = resume(whole.clone(), &done).unwrap();
        prop_assert_eq!(&rest.tables, &whole.tables);
        prop_assert_eq!(&rest.indexes, &whole.indexes);
        let left = all_pieces(&rest);
        // Constraints are added by one job per table, which sees itself what is there already.
        let again: BTreeSet<Piece> = left.intersection(&noted).copied().filter(|piece| {
            !matches!(piece, Piece::Constraint(_) | Piece::TableStatements(_))
        }).collect();
        prop_assert_eq!(again, BTreeSet::new());
        let union: BTreeSet<Piece> = left.union(&noted).copied().collect();
        prop_assert_eq!(union, all_pieces(&whole));
        for (position, job) in rest.jobs.iter().enumerate() {
            prop_assert_eq!(job.id.0 as usize, position);
            prop_assert!(job.after.iter().all(|before| *before < job.id));
        }
    }
}

// trap X-8
#[test]
fn parts_that_were_begun_are_never_truncated_one_by_one() {
    let whole = || plan(&catalog(vec![table(1, MIB)]));
    let bounds = vec![
        Part { index: 0, range: PartRange::Ctid { from_block: 0, to_block: Some(64) } },
        Part { index: 1, range: PartRange::Ctid { from_block: 64, to_block: None } },
    ];
    let mut now = whole();
    assert!(!now.tables[0].is_split());
    now.tables[0].keep_parts(bounds.clone());
    assert!(now.tables[0].is_split());
    let begun = Done { parts: [(1, 0, 2)].into(), ..Done::default() };
    let rest = resume(now, &begun).unwrap();
    let kinds: Vec<JobKind> = rest.jobs.iter().map(|job| job.kind).collect();
    assert!(kinds.contains(&JobKind::CopyPart { table: 0, part: 1 }), "{kinds:?}");
    assert!(!kinds.contains(&JobKind::CopyPart { table: 0, part: 0 }), "{kinds:?}");
    assert!(!kinds.contains(&JobKind::Truncate { table: 0 }), "{kinds:?}");
}

// trap X-8
#[test]
fn a_table_that_arrived_whole_is_not_split_afterwards() {
    let mut now = plan(&catalog(vec![table(1, MIB)]));
    now.tables[0].keep_parts(vec![
        Part { index: 0, range: PartRange::Ctid { from_block: 0, to_block: Some(64) } },
        Part { index: 1, range: PartRange::Ctid { from_block: 64, to_block: None } },
    ]);
    now.tables[0].keep_parts(vec![Part::WHOLE]);
    let done = Done { parts: [(1, 0, 1)].into(), ..Done::default() };
    let rest = resume(now, &done).unwrap();
    let copies = |kind: &JobKind| {
        matches!(
            kind,
            JobKind::CopyPart { .. } | JobKind::Truncate { .. } | JobKind::SmallTable { .. }
        )
    };
    assert!(!rest.jobs.iter().any(|job| copies(&job.kind)), "{:?}", rest.jobs);
}
