//! The end-of-run tables, for standard output.

use std::fmt::Write as _;
use std::time::Duration;

use super::table::{self, Column};
use super::{findings, step};
use crate::base::summary::{RunSummary, Step, StepTiming, TableSummary};
use crate::base::units::{ByteSize, ShortDuration};

/// Columns of the table of tables.
///
/// Source: spec/commands.md 9.1.
pub(super) const TABLE_COLUMNS: [Column; 8] = [
    Column::right("OID"),
    Column::right("Schema"),
    Column::right("Name"),
    Column::right("Parts"),
    Column::right("copy duration"),
    Column::right("transmitted bytes"),
    Column::right("indexes"),
    Column::right("create index"),
];

/// Everything that is printed at the end of a run.
pub fn render(summary: &RunSummary) -> String {
    let parts = [tables(&summary.tables), steps(summary), findings::text(&summary.findings)];
    let shown: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    shown.join("\n")
}

/// One row per table, in the order of the summary; empty without tables.
fn tables(tables: &[TableSummary]) -> String {
    if tables.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = tables.iter().map(table_row).collect();
    table::render(&TABLE_COLUMNS, &rows)
}

/// The cells of one table.
pub(super) fn table_row(table: &TableSummary) -> Vec<String> {
    let create_index: Duration = table.indexes.iter().map(|index| index.duration).sum();
    vec![
        table.oid.to_string(),
        table.schema.clone(),
        table.name.clone(),
        table.parts.to_string(),
        ShortDuration(table.copy_duration).to_string(),
        ByteSize(table.bytes).to_string(),
        table.indexes.len().to_string(),
        ShortDuration(create_index).to_string(),
    ]
}

/// One row per step, all of them: a step that did not run took no time.
pub(super) fn steps(summary: &RunSummary) -> String {
    let mut text = String::new();
    push_step(&mut text, ["Step", "Connection", "Duration", "Transfer", "Concurrency"]);
    push_rule(&mut text);
    for step in Step::ALL {
        if step == Step::Total {
            push_rule(&mut text);
        }
        let timing = timing(summary, step);
        let words = step::text(step);
        let transfer =
            if timing.bytes > 0 { ByteSize(timing.bytes).to_string() } else { String::new() };
        push_step(
            &mut text,
            [
                words.label,
                words.connection,
                &ShortDuration(timing.duration).to_string(),
                &transfer,
                &timing.concurrency.to_string(),
            ],
        );
    }
    text
}

/// Time and volume of a step; nothing when it did not run.
pub(super) fn timing(summary: &RunSummary, step: Step) -> StepTiming {
    let found = summary.steps.iter().find(|(candidate, _)| *candidate == step);
    found.map(|(_, timing)| timing.clone()).unwrap_or_default()
}

/// Appends a line of the table of steps.
///
/// Source: spec/commands.md 9.1: widths 50, 10, 10, 10, 12; three blanks, then two.
fn push_step(text: &mut String, cells: [&str; 5]) {
    let [step, connection, duration, transfer, concurrency] = cells;
    let _ = writeln!(
        text,
        " {step:>50}   {connection:>10}  {duration:>10}  {transfer:>10}  {concurrency:>12}"
    );
}

/// Appends a rule of the table of steps.
fn push_rule(text: &mut String) {
    let [step, narrow, wide] = [50, 10, 12].map(|width| "-".repeat(width));
    push_step(text, [&step, &narrow, &narrow, &narrow, &wide]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::summary::BuiltObject;

    fn index(millis: u64) -> BuiltObject {
        BuiltObject {
            oid: 1,
            schema: "public".into(),
            name: "i".into(),
            sql: "create index".into(),
            duration: Duration::from_millis(millis),
        }
    }

    fn summary() -> RunSummary {
        RunSummary {
            steps: vec![
                (
                    Step::Copy,
                    StepTiming {
                        duration: Duration::from_millis(4321),
                        bytes: 20 << 20,
                        concurrency: 4,
                    },
                ),
                (
                    Step::Total,
                    StepTiming { duration: Duration::from_secs(42), bytes: 0, concurrency: 13 },
                ),
            ],
            tables: vec![TableSummary {
                oid: 16398,
                schema: "public".into(),
                name: "rental".into(),
                parts: 8,
                rows: 16044,
                bytes: 20 << 20,
                copy_duration: Duration::from_millis(4321),
                indexes: vec![index(300), index(45)],
                constraints: vec![index(9)],
            }],
            ..RunSummary::default()
        }
    }

    #[test]
    fn table_of_tables_has_the_known_columns() {
        assert_eq!(
            tables(&summary().tables),
            "  OID | Schema |   Name | Parts | copy duration | transmitted bytes | indexes | create index\n\
             ------+--------+--------+-------+---------------+-------------------+---------+-------------\n\
             16398 | public | rental |     8 |         4s321 |             20 MB |       2 |        345ms\n"
        );
    }

    #[test]
    fn table_of_tables_is_left_out_without_tables() {
        assert_eq!(tables(&[]), "");
        assert!(render(&RunSummary::default()).starts_with("    "));
    }

    #[test]
    fn table_of_steps_has_fixed_widths_and_every_step() {
        let text = steps(&summary());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 1 + 11 + 1 + 1);
        // One leading blank, 50, three blanks, 10, two, 10, two, 10, two, 12.
        assert!(lines.iter().all(|line| line.chars().count() == 102), "{text}");
        assert_eq!(lines[1], lines[13]);
        assert_eq!(
            lines[6],
            format!(
                " {:>50}   {:>10}  {:>10}  {:>10}  {:>12}",
                "COPY (cumulative)", "both", " 4s321", "20 MB", "4"
            )
        );
        assert!(lines[14].trim_start().starts_with("Total Wall Clock Duration"));
    }
}
