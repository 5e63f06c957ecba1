//! Tests of the work graph.

use proptest::prelude::*;

use super::super::fixture::{
    MIB, any_catalog, catalog, foreign_key, index, key, options, table, target,
};
use super::*;
use crate::catalog::model::SourceCatalog;
use crate::filter::Selection;
use crate::plan::{SplitFacts, build};

fn plan(catalog: &SourceCatalog) -> Plan {
    let facts = SplitFacts::default();
    build(catalog, &Selection::everything(), &target(15), &facts, &options()).unwrap()
}

/// The jobs that a job waits for, directly or not.
fn before(plan: &Plan, job: &Job) -> std::collections::BTreeSet<JobId> {
    let mut found = std::collections::BTreeSet::new();
    let mut open = job.after.clone();
    while let Some(id) = open.pop() {
        if found.insert(id) {
            open.extend(&plan.jobs[id.0 as usize].after);
        }
    }
    found
}

fn find(plan: &Plan, kind: JobKind) -> Option<&Job> {
    plan.jobs.iter().find(|job| job.kind == kind)
}

#[test]
fn small_table_is_one_job() {
    let mut catalog = catalog(vec![table(1, MIB)]);
    let mut built = index(11, 1, 8192);
    catalog.constraints.push(key(12, &mut built));
    catalog.indexes.push(built);
    let plan = plan(&catalog);
    let kinds: Vec<_> = plan.jobs.iter().map(|job| job.kind).collect();
    assert_eq!(kinds, [JobKind::SmallTable { table: 0 }]);
}

#[test]
fn large_table_is_copied_then_indexed_then_constrained_then_analyzed() {
    let mut catalog = catalog(vec![table(1, 10 * MIB)]);
    let mut built = index(11, 1, 8192);
    catalog.constraints.push(key(12, &mut built));
    catalog.indexes.extend([built, index(13, 1, 4096)]);
    let plan = plan(&catalog);
    let after = |kind| find(&plan, kind).unwrap().after.clone();
    let copy = find(&plan, JobKind::CopyPart { table: 0, part: 0 }).unwrap().id;
    let indexes: Vec<_> =
        (0..2).map(|index| find(&plan, JobKind::Index { index }).unwrap().id).collect();
    let constraints = find(&plan, JobKind::Constraints { table: 0 }).unwrap().id;
    assert_eq!(after(JobKind::CopyPart { table: 0, part: 0 }), []);
    assert_eq!(after(JobKind::Index { index: 0 }), [copy]);
    assert_eq!(after(JobKind::Constraints { table: 0 }), indexes);
    assert_eq!(after(JobKind::Vacuum { table: 0 }), [constraints]);
}

#[test]
fn split_table_is_truncated_once_before_its_parts() {
    let plan = plan(&catalog(vec![table(1, 1024 * MIB)]));
    let truncate = find(&plan, JobKind::Truncate { table: 0 }).unwrap();
    let parts: Vec<_> =
        plan.jobs.iter().filter(|job| matches!(job.kind, JobKind::CopyPart { .. })).collect();
    assert!(parts.len() > 1);
    assert!(parts.iter().all(|part| part.after == [truncate.id]));
    assert!(truncate.priority > parts[0].priority);
}

// trap T-26
#[test]
fn circular_and_self_referencing_keys_wait_for_rows_only() {
    let mut catalog = catalog(vec![table(1, 10 * MIB), table(2, 10 * MIB)]);
    catalog.constraints = vec![foreign_key(51, 1, 2), foreign_key(52, 2, 1), foreign_key(53, 1, 1)];
    let plan = plan(&catalog);
    for index in 0..3 {
        let add = find(&plan, JobKind::ForeignKey { index }).unwrap();
        let validate = find(&plan, JobKind::ValidateForeignKey { index }).unwrap();
        assert_eq!(validate.after, [add.id]);
        let copied = before(&plan, add)
            .into_iter()
            .filter(|id| matches!(plan.jobs[id.0 as usize].kind, JobKind::CopyPart { .. }));
        assert_eq!(copied.count(), if index == 2 { 1 } else { 2 });
    }
}

#[test]
fn biggest_table_with_its_biggest_index_goes_first() {
    let mut catalog = catalog(vec![table(1, 40 * MIB), table(2, 30 * MIB)]);
    catalog.indexes.push(index(21, 2, 20 * MIB));
    let plan = plan(&catalog);
    let priority = |table| find(&plan, JobKind::CopyPart { table, part: 0 }).unwrap().priority;
    assert_eq!(priority(0), 40 * MIB);
    assert_eq!(priority(1), 50 * MIB);
}

#[test]
fn large_objects_are_shared_when_there_are_enough() {
    for (objects, shares) in [(0, 0), (1, 1), (1000, 1), (1001, 2), (1_000_000, 4)] {
        let mut catalog = catalog(vec![]);
        catalog.large_objects = objects;
        assert_eq!(plan(&catalog).jobs.len(), shares, "{objects}");
    }
}

proptest! {
    /// Jobs are numbered by position, depend on earlier ones only, and each thing to do is done by
    /// exactly one job that comes after what it needs.
    #[test]
    fn graph_is_sound(catalog in any_catalog()) {
        let plan = plan(&catalog);
        for (position, job) in plan.jobs.iter().enumerate() {
            prop_assert_eq!(job.id.0 as usize, position);
            prop_assert!(job.after.iter().all(|before| *before < job.id));
            for before in &job.after {
                prop_assert!(plan.jobs[before.0 as usize].stage <= job.stage);
            }
        }
        for (position, table) in (0_u32..).zip(&plan.tables) {
            let small = find(&plan, JobKind::SmallTable { table: position });
            let copies: Vec<_> = (0_u32..).zip(&table.parts).filter_map(|(part, _)| {
                find(&plan, JobKind::CopyPart { table: position, part })
            }).collect();
            prop_assert_eq!(copies.len(), if small.is_some() { 0 } else { table.parts.len() });
            for index in table.indexes.clone() {
                let build = find(&plan, JobKind::Index { index });
                prop_assert_eq!(build.is_some(), small.is_none());
                if let Some(build) = build {
                    let before = before(&plan, build);
                    prop_assert!(copies.iter().all(|copy| before.contains(&copy.id)));
                }
            }
            let constraints = find(&plan, JobKind::Constraints { table: position });
            prop_assert_eq!(
                constraints.is_some(), small.is_none() && table.has_constraint_work()
            );
            prop_assert_eq!(
                find(&plan, JobKind::Vacuum { table: position }).is_some(), small.is_none()
            );
        }
        let unique: std::collections::BTreeSet<_> = plan.jobs.iter().map(|job| job.kind).collect();
        prop_assert_eq!(unique.len(), plan.jobs.len());
    }
}
