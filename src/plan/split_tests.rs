//! Tests of splitting: which tables, by what, and that no row is lost or doubled.

use proptest::prelude::*;

use super::super::fixture::{MIB, catalog, options, options_with_threshold, table};
use super::*;

/// Bytes in a gibibyte.
const GIB: u64 = 1 << 30;

fn keyed(column: &str, nullable: bool) -> Option<SplitKey> {
    Some(SplitKey { column: column.into(), nullable })
}

/// The parts of a table alone in a catalog of this source version.
fn parts(table: &Table, threshold: SplitThreshold, major: u32, cuts: &[i64]) -> Vec<PartRange> {
    let mut catalog = catalog(vec![table.clone()]);
    catalog.server.version = major * 10_000;
    let rule = SplitRule::new(&options_with_threshold(threshold), table.bytes);
    let cut = rule.cut(table, &catalog, cuts, false);
    cut.parts.into_iter().map(|part| part.range).collect()
}

fn ctid(from_block: u32, to_block: Option<u32>) -> PartRange {
    PartRange::Ctid { from_block, to_block }
}

fn key(from: Option<i64>, to: Option<i64>) -> PartRange {
    PartRange::Key { column: "k".into(), from, to }
}

// trap S-5
#[test]
fn blocks_are_divided_and_the_last_part_is_open() {
    // 100 blocks in parts of at most 40 blocks' worth of bytes.
    let table = table(1, 100 * 8192);
    let threshold = SplitThreshold::Bytes(40 * 8192);
    let expected = [ctid(0, Some(34)), ctid(34, Some(68)), ctid(68, None)];
    assert_eq!(parts(&table, threshold, 15, &[]), expected);
}

// trap S-13
#[test]
fn toast_counts_for_the_size_and_blocks_are_the_heaps() {
    let table = Table { bytes: 903 * GIB, heap_bytes: 3 * GIB, ..table(1, 0) };
    let ranges = parts(&table, SplitThreshold::Bytes(100 * GIB), 15, &[]);
    assert_eq!(ranges.len(), 10);
    let blocks = 3 * GIB / 8192;
    let PartRange::Ctid { from_block, to_block: None } = ranges[9] else { panic!("{ranges:?}") };
    assert!(u64::from(from_block) < blocks && u64::from(from_block) > blocks * 8 / 10);
}

// trap S-6
#[test]
fn table_of_unknown_size_is_whole() {
    for bytes in [0, GIB] {
        let table = Table { bytes, heap_bytes: 0, row_estimate: None, ..table(1, 0) };
        let ranges = parts(&table, SplitThreshold::Bytes(MIB), 15, &[]);
        assert_eq!(ranges, [PartRange::Whole]);
    }
}

// trap S-11 S-12
#[test]
fn ctid_needs_heap_and_version_14_and_key_stands_in() {
    let heap = Table { split_key: keyed("k", false), ..table(1, GIB) };
    let columnar = Table { access_method: Some("columnar".into()), ..heap.clone() };
    let bare = Table { split_key: None, ..columnar.clone() };
    let threshold = SplitThreshold::Bytes(GIB / 2);
    let by_key = [key(None, Some(7)), key(Some(7), None)];
    assert!(matches!(parts(&heap, threshold, 14, &[7])[0], PartRange::Ctid { .. }));
    assert_eq!(parts(&heap, threshold, 13, &[7]), by_key);
    assert_eq!(parts(&columnar, threshold, 14, &[7]), by_key);
    assert_eq!(parts(&bare, threshold, 14, &[7]), [PartRange::Whole]);
    // Without cuts there is nothing to divide.
    assert_eq!(parts(&heap, threshold, 13, &[]), [PartRange::Whole]);
}

#[test]
fn ctid_can_be_switched_off() {
    let table = Table { split_key: keyed("k", false), ..table(1, GIB) };
    let catalog = catalog(vec![table.clone()]);
    let rule = SplitRule::new(&options_with_threshold(SplitThreshold::Bytes(GIB / 2)), GIB);
    let cut = rule.cut(&table, &catalog, &[7], true);
    assert!(matches!(cut.parts[0].range, PartRange::Key { .. }));
    let bare = Table { split_key: None, ..table };
    let cut = rule.cut(&bare, &catalog, &[], true);
    assert_eq!(cut.parts.len(), 1);
    assert!(cut.obstacle.is_some());
}

// trap S-8
#[test]
fn nullable_keys_get_a_part_for_null() {
    let nulls = PartRange::KeyNull { column: "k".into() };
    let with = |nullable| {
        let table = Table { split_key: keyed("k", nullable), ..table(1, GIB) };
        parts(&table, SplitThreshold::Bytes(GIB / 2), 13, &[7])
    };
    assert!(with(true).contains(&nulls));
    assert!(!with(false).contains(&nulls));
}

// trap S-7
#[test]
fn extreme_cuts_are_ordinary_cuts() {
    let table = Table { split_key: keyed("k", false), ..table(1, GIB) };
    let ranges = parts(&table, SplitThreshold::Bytes(GIB / 4), 13, &[i64::MAX, -1, i64::MIN + 1]);
    assert_eq!(
        ranges,
        [
            key(None, Some(i64::MIN + 1)),
            key(Some(i64::MIN + 1), Some(-1)),
            key(Some(-1), Some(i64::MAX)),
            key(Some(i64::MAX), None),
        ]
    );
}

#[test]
fn explicit_threshold_keeps_its_meaning() {
    let count = |threshold, bytes| parts(&table(1, bytes), threshold, 15, &[]).len();
    assert_eq!(count(SplitThreshold::Never, 100 * GIB), 1);
    assert_eq!(count(SplitThreshold::Bytes(0), 100 * GIB), 1);
    assert_eq!(count(SplitThreshold::Bytes(GIB), GIB - 8192), 1);
    assert_eq!(count(SplitThreshold::Bytes(GIB), GIB), 1);
    assert_eq!(count(SplitThreshold::Bytes(GIB), GIB + 8192), 2);
    assert_eq!(count(SplitThreshold::Bytes(GIB), 10 * GIB), 10);
    let mut capped = options_with_threshold(SplitThreshold::Bytes(GIB));
    capped.split.parts_max = Some(3);
    let table = table(1, 10 * GIB);
    let cut = SplitRule::new(&capped, 0).cut(&table, &catalog(vec![]), &[], false);
    assert_eq!(cut.parts.len(), 3);
}

#[test]
fn unasked_only_a_table_that_dominates_is_split() {
    let split = |bytes: u64, others: u64| {
        let catalog = catalog(vec![]);
        let rule = SplitRule::new(&options(), bytes + others);
        rule.cut(&table(1, bytes), &catalog, &[], false).parts.len()
    };
    // Alone, with four workers: parts of total / 32, at least 64 MiB.
    assert_eq!(split(8 * GIB, 0), 32);
    assert_eq!(split(GIB, 0), 16);
    // At most 1 GiB each.
    assert_eq!(split(100 * GIB, 0), 100);
    // A quarter of the run is one worker's share: splitting shortens nothing.
    assert_eq!(split(10 * GIB, 30 * GIB), 1);
    assert!(split(20 * GIB, 20 * GIB) > 1);
    // Too small to matter.
    assert_eq!(split(200 * MIB, 0), 1);
    // One worker.
    let mut options = options();
    options.jobs.table = 1;
    let cut =
        SplitRule::new(&options, 8 * GIB).cut(&table(1, 8 * GIB), &catalog(vec![]), &[], false);
    assert_eq!(cut.parts.len(), 1);
}

#[test]
fn standby_source_is_split_like_any_other() {
    let mut catalog = catalog(vec![]);
    catalog.server.standby = true;
    let rule = SplitRule::new(&options_with_threshold(SplitThreshold::Bytes(GIB)), 0);
    assert_eq!(rule.cut(&table(1, 4 * GIB), &catalog, &[], false).parts.len(), 4);
}

#[test]
fn cuts_are_asked_for_where_keys_are_used() {
    let keyed = |oid, bytes| Table { split_key: keyed("k", false), ..table(oid, bytes) };
    let mut catalog = catalog(vec![keyed(1, 4 * GIB), keyed(2, MIB), table(3, 4 * GIB)]);
    let options = options_with_threshold(SplitThreshold::Bytes(GIB));
    let asked = |catalog: &_| tables_needing_key_cuts(catalog, &Selection::everything(), &options);
    assert_eq!(asked(&catalog), []);
    catalog.server.version = 130_000;
    assert_eq!(asked(&catalog), [KeySplit { oid: 1, parts: 4 }]);
}

proptest! {
    /// Every block of the heap, and every one that it grows by, is in exactly one part.
    #[test]
    fn every_block_is_in_one_part(
        blocks in 0_u32..5000,
        parts in 1_u64..6000,
        probes in prop::collection::vec(any::<u32>(), 20),
    ) {
        let ranges = ctid_ranges(u64::from(blocks) * 8192, 8192, parts);
        prop_assert!(ranges.len() as u64 <= parts);
        prop_assert_eq!(ranges.is_empty(), blocks == 0);
        for probe in probes.into_iter().chain([0, blocks, u32::MAX]).filter(|_| blocks > 0) {
            let holding = ranges.iter().filter(|range| match range {
                PartRange::Ctid { from_block, to_block } => {
                    *from_block <= probe && to_block.is_none_or(|to| probe < to)
                }
                _ => false,
            });
            prop_assert_eq!(holding.count(), 1, "block {}", probe);
        }
    }

    /// Every key, and NULL where it may occur, is in exactly one part; there are no more than asked
    /// for.
    #[test]
    fn every_key_is_in_one_part(
        cuts in prop::collection::vec(any::<i64>(), 1..50),
        parts in 2_u64..60,
        nullable: bool,
        probes in prop::collection::vec(any::<i64>(), 20),
    ) {
        let split_key = SplitKey { column: "k".into(), nullable };
        let ranges = key_ranges(&split_key, &cuts, parts);
        prop_assert!(ranges.len() as u64 <= parts + u64::from(nullable));
        let edges = cuts.iter().flat_map(|cut| [*cut, cut.saturating_sub(1)]);
        for probe in probes.into_iter().chain(edges).chain([i64::MIN, i64::MAX, -1, 0]) {
            let holding = ranges.iter().filter(|range| match range {
                PartRange::Key { from, to, .. } => {
                    from.is_none_or(|from| from <= probe) && to.is_none_or(|to| probe < to)
                }
                _ => false,
            });
            prop_assert_eq!(holding.count(), 1, "key {}", probe);
        }
        let nulls = ranges.iter().filter(|range| matches!(range, PartRange::KeyNull { .. }));
        prop_assert_eq!(nulls.count(), usize::from(nullable));
    }
}
