//! A plan as text and as JSON, for `clone --dry-run`.

use std::fmt::Write as _;

use super::Plan;
use super::table::{Format, LoadStrategy, TablePlan};
use crate::base::units::ByteSize;

/// Tables listed unless everything is asked for; with 100 000 tables the rest is noise.
const TABLES_SHOWN_MAX: usize = 50;

/// How much of a plan is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Totals, the largest tables, everything that is left out.
    Short,
    /// All tables with their parts, indexes and constraints.
    Full,
}

/// The plan as text, totals first.
pub fn text(plan: &Plan, detail: Detail) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write_totals(&mut out, plan);
    let _ = write_tables(&mut out, plan, detail);
    let _ = write_skipped(&mut out, plan);
    out
}

/// The plan as JSON: everything.
///
/// # Errors
/// Only when a number cannot be written, which no plan holds.
pub fn json(plan: &Plan) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(plan)
}

/// Totals.
fn write_totals(out: &mut String, plan: &Plan) -> std::fmt::Result {
    let totals = plan.totals();
    let split = plan.tables.iter().filter(|table| table.is_split()).count();
    let text = plan.tables.iter().filter(|t| t.load.loads() && t.format == Format::Text).count();
    writeln!(out, "tables         {:>12}  {}", totals.tables, ByteSize(totals.bytes))?;
    writeln!(out, "  in parts     {split:>12}  {} parts in all", totals.parts)?;
    writeln!(out, "  as text      {text:>12}  the others binary")?;
    writeln!(out, "rows           {:>12}  estimated", totals.rows)?;
    let index_bytes: u64 = plan.indexes.iter().map(|index| index.bytes).sum();
    writeln!(out, "indexes        {:>12}  {}", totals.indexes, ByteSize(index_bytes))?;
    writeln!(out, "constraints    {:>12}", plan.constraints.len())?;
    writeln!(out, "foreign keys   {:>12}", plan.foreign_keys.len())?;
    writeln!(out, "sequences      {:>12}", plan.sequences.len())?;
    writeln!(out, "large objects  {:>12}", totals.large_objects)?;
    writeln!(out, "jobs           {:>12}", plan.jobs.len())?;
    if totals.tables_already_done > 0 || totals.bytes_already_done > 0 {
        let bytes = ByteSize(totals.bytes_already_done);
        writeln!(out, "already done   {:>12}  {bytes}", totals.tables_already_done)?;
    }
    Ok(())
}

/// Tables, in the order in which they are begun.
fn write_tables(out: &mut String, plan: &Plan, detail: Detail) -> std::fmt::Result {
    if plan.tables.is_empty() {
        return Ok(());
    }
    let shown = match detail {
        Detail::Short => TABLES_SHOWN_MAX.min(plan.tables.len()),
        Detail::Full => plan.tables.len(),
    };
    writeln!(out, "\ntables, largest first:")?;
    for table in plan.tables.iter().take(shown) {
        write_table(out, plan, table, detail)?;
    }
    let rest = plan.tables.len() - shown;
    if rest > 0 {
        let bytes: u64 = plan.tables.iter().skip(shown).map(|table| table.bytes).sum();
        writeln!(out, "  and {rest} more, {}", ByteSize(bytes))?;
    }
    Ok(())
}

/// One table.
fn write_table(
    out: &mut String,
    plan: &Plan,
    table: &TablePlan,
    detail: Detail,
) -> std::fmt::Result {
    let how = match table.load {
        LoadStrategy::Nothing => "no rows".to_owned(),
        LoadStrategy::Parts => format!("{}, {} parts", format_name(table), table.parts.len()),
        LoadStrategy::Append => format!("{}, added to what is there", format_name(table)),
        LoadStrategy::Fresh => format!("{}, new", format_name(table)),
        LoadStrategy::ReplaceFrozen => format!("{}, frozen", format_name(table)),
        LoadStrategy::Replace => format_name(table).to_owned(),
    };
    write!(out, "  {:>10}  {}  {how}", ByteSize(table.bytes), table.name)?;
    match table.indexes.len() {
        0 => {}
        1 => write!(out, ", 1 index")?,
        count => write!(out, ", {count} indexes")?,
    }
    out.push('\n');
    if let Some(reason) = &table.format_reason {
        writeln!(out, "              text because of {reason}")?;
    }
    if detail == Detail::Full {
        for part in table.parts.iter().filter(|_| table.is_split()) {
            let rows = part.range.predicate().unwrap_or_default();
            writeln!(out, "              part {}/{}: {rows}", part.index + 1, table.parts.len())?;
        }
        for index in plan.indexes_of(table) {
            writeln!(out, "              {} ({})", index.definition, ByteSize(index.bytes))?;
        }
        for constraint in plan.constraints_of(table) {
            writeln!(out, "              {}: {}", constraint.name, constraint.definition)?;
        }
    }
    Ok(())
}

/// What is left out or degraded.
fn write_skipped(out: &mut String, plan: &Plan) -> std::fmt::Result {
    if plan.skipped.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nleft out or changed:")?;
    for skipped in &plan.skipped {
        writeln!(out, "  {}: {}", skipped.object, skipped.reason)?;
    }
    Ok(())
}

/// The format as the option spells it.
fn format_name(table: &TablePlan) -> &'static str {
    match table.format {
        Format::Binary => "binary",
        Format::Text => "text",
    }
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
