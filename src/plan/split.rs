//! Which tables are copied in parts, and in which (K5).
//!
//! Splitting shortens a run in which one table dominates; it costs FREEZE, and so a VACUUM of that
//! table later. A hot standby as source is no obstacle: nothing is written there.

use super::eligible::{bytes_to_copy, tables_to_copy};
use super::options::PlanOptions;
use super::table::{Part, PartRange};
use crate::base::summary::Severity;
use crate::catalog::model::{Oid, SourceCatalog, SplitKey, Table};
use crate::config::clone::SplitThreshold;
use crate::filter::Selection;

/// First major version whose `ctid` ranges are TID range scans; before, each part would read the whole
/// table (S-11).
const TID_RANGE_SCAN_MAJOR: u32 = 14;

/// Smallest table that is split unasked, in bytes: 256 MiB.
///
/// One COPY stream moves it in about two seconds; less than that is not worth a VACUUM.
const AUTO_TABLE_BYTES_MIN: u64 = 256 << 20;

/// How much larger than its fair share of the run a table must be to be split unasked, as a fraction.
///
/// A split table is read once more by VACUUM, about five times as fast as COPY moves it; so splitting
/// wins from about 1.25 shares on.
const AUTO_SHARE: (u64, u64) = (5, 4);

/// Parts per worker that an automatic split aims at: enough that the last ones to finish leave workers
/// idle for a small fraction of the run only.
const AUTO_PARTS_PER_WORKER: u64 = 8;

/// Smallest part of an automatic split, in bytes: 64 MiB, about half a second of COPY, against some
/// milliseconds of set-up.
const AUTO_PART_BYTES_MIN: u64 = 64 << 20;

/// Largest part of an automatic split, in bytes: 1 GiB. It is what a lost connection costs.
const AUTO_PART_BYTES_MAX: u64 = 1 << 30;

/// The rule of one plan: how large a table must be, and how large its parts become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SplitRule {
    /// Smallest table that is split, in bytes; `None` for never.
    table_bytes_min: Option<u64>,
    /// Target size of a part, in bytes; at least 1.
    part_bytes: u64,
    /// Largest number of parts.
    parts_max: u64,
}

/// How a table can be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method<'a> {
    /// By heap blocks.
    Ctid,
    /// By an integer key.
    Key(&'a SplitKey),
}

/// What became of a table.
pub(super) struct Cut {
    /// One `Whole`, or at least two ranges.
    pub(super) parts: Vec<Part>,
    /// Why it stays whole although it is large enough, and how much that matters.
    pub(super) obstacle: Option<(&'static str, Severity)>,
}

impl SplitRule {
    /// The rule for tables of `bytes_total` together.
    pub(super) fn new(options: &PlanOptions, bytes_total: u64) -> Self {
        let parts_max = options.split.parts_max.map_or(u64::from(u32::MAX), u64::from);
        let workers = u64::from(options.jobs.table.max(1));
        let (table_bytes_min, part_bytes) = match options.split.threshold {
            SplitThreshold::Never | SplitThreshold::Bytes(0) => (None, 1),
            SplitThreshold::Bytes(threshold) => (Some(threshold), threshold),
            SplitThreshold::Auto if workers < 2 => (None, 1),
            SplitThreshold::Auto => {
                let share = bytes_total / workers;
                let dominates = (share / AUTO_SHARE.1).saturating_mul(AUTO_SHARE.0);
                let part = share / AUTO_PARTS_PER_WORKER;
                (
                    Some(dominates.max(AUTO_TABLE_BYTES_MIN)),
                    part.clamp(AUTO_PART_BYTES_MIN, AUTO_PART_BYTES_MAX),
                )
            }
        };
        Self { table_bytes_min, part_bytes, parts_max }
    }

    /// In how many parts a table of this size is to be cut; 1 is not at all.
    fn parts(self, bytes: u64) -> u64 {
        match self.table_bytes_min {
            Some(min) if bytes >= min => {
                bytes.div_ceil(self.part_bytes.max(1)).min(self.parts_max).max(1)
            }
            _ => 1,
        }
    }

    /// Cuts a table.
    pub(super) fn cut(
        self,
        table: &Table,
        catalog: &SourceCatalog,
        cuts: &[i64],
        skip_ctid: bool,
    ) -> Cut {
        let parts = self.parts(table.bytes);
        let whole = |obstacle| Cut { parts: vec![Part::WHOLE], obstacle };
        if parts < 2 {
            return whole(None);
        }
        let ranges = match method(table, catalog, skip_ctid) {
            None => {
                return whole(Some((
                    "large enough to be split, but it has neither usable ctid ranges nor a single \
                     integer key",
                    Severity::Notice,
                )));
            }
            Some(Method::Ctid) => {
                ctid_ranges(table.heap_bytes, u64::from(catalog.server.block_size), parts)
            }
            Some(Method::Key(key)) => key_ranges(key, cuts, parts),
        };
        if ranges.len() < 2 {
            return whole(None);
        }
        Cut {
            parts: ranges
                .into_iter()
                .zip(0..)
                .map(|(range, index)| Part { index, range })
                .collect(),
            obstacle: None,
        }
    }
}

/// A table that is going to be cut by key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySplit {
    /// `pg_class.oid` on the source.
    pub oid: Oid,
    /// Parts wanted, the one for NULL keys not counted; at least 2.
    pub parts: u32,
}

/// Tables that are going to be cut by key, whose cuts [`mod@super::build`] therefore needs in
/// [`super::SplitFacts`].
pub fn tables_needing_key_cuts(
    catalog: &SourceCatalog,
    selection: &Selection,
    options: &PlanOptions,
) -> Vec<KeySplit> {
    let rule = SplitRule::new(options, bytes_to_copy(catalog, selection, options));
    tables_to_copy(catalog, selection, options)
        .filter_map(|table| {
            let parts = u32::try_from(rule.parts(table.bytes)).ok().filter(|parts| *parts > 1)?;
            match method(table, catalog, options.split.skip_ctid) {
                Some(Method::Key(_)) => Some(KeySplit { oid: table.oid, parts }),
                Some(Method::Ctid) | None => None,
            }
        })
        .collect()
}

/// How a table can be cut: by ctid where the server reads such ranges directly, else by key, else not.
fn method<'a>(table: &'a Table, catalog: &SourceCatalog, skip_ctid: bool) -> Option<Method<'a>> {
    // Only heap is known to number its rows by block (S-12).
    let heap = table.access_method.as_deref() == Some("heap")
        || (table.access_method.is_none() && catalog.server.major() < 12);
    let tid_range_scan = catalog.server.major() >= TID_RANGE_SCAN_MAJOR;
    if heap && tid_range_scan && !skip_ctid {
        return Some(Method::Ctid);
    }
    table.split_key.as_ref().map(Method::Key)
}

/// About `parts` ranges of heap blocks, half open, the last one open-ended (S-5); fewer when there are
/// fewer blocks, none when there are none (S-6).
///
/// The size that decides how many includes TOAST; the ranges divide the heap alone (S-13).
fn ctid_ranges(heap_bytes: u64, block_size: u64, parts: u64) -> Vec<PartRange> {
    let blocks = u32::try_from(heap_bytes / block_size.max(1)).unwrap_or(u32::MAX);
    let per_part = u64::from(blocks).div_ceil(parts.max(1));
    let Ok(per_part @ 1..) = u32::try_from(per_part) else {
        return Vec::new();
    };
    let count = blocks.div_ceil(per_part);
    (0..count)
        .map(|part| {
            let from_block = part * per_part;
            let to_block = (part + 1 < count).then(|| from_block + per_part);
            PartRange::Ctid { from_block, to_block }
        })
        .collect()
}

/// The ranges between cuts; the first and the last are open, so every key is in exactly one, and a part
/// of its own holds NULL keys where there may be some.
fn key_ranges(key: &SplitKey, cuts: &[i64], parts: u64) -> Vec<PartRange> {
    let mut cuts = cuts.to_vec();
    cuts.sort_unstable();
    cuts.dedup();
    cuts.truncate(usize::try_from(parts.saturating_sub(1)).unwrap_or(usize::MAX));
    if cuts.is_empty() {
        return Vec::new();
    }
    let starts = std::iter::once(None).chain(cuts.iter().copied().map(Some));
    let ends = cuts.iter().copied().map(Some).chain(std::iter::once(None));
    let mut ranges: Vec<PartRange> = starts
        .zip(ends)
        .map(|(from, to)| PartRange::Key { column: key.column.clone(), from, to })
        .collect();
    if key.nullable {
        ranges.push(PartRange::KeyNull { column: key.column.clone() });
    }
    ranges
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
