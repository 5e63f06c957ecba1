//! The end of a run over all databases.

use std::time::Duration;

use serde_json::{Value, json};

use super::summary_text::{TABLE_COLUMNS, steps, table_row};
use super::table::{self, Column};
use super::{findings, summary_json, summary_read};
use crate::base::error::{Error, Result};
use crate::base::summary::{DatabaseSummary, Finding, RunSummary, Step, StepTiming, TableSummary};
use crate::base::units::{ByteSize, ShortDuration};

/// All runs as one: steps added up, findings with their database in front.
pub fn merged(databases: &[DatabaseSummary]) -> RunSummary {
    let mut merged = RunSummary::default();
    for step in Step::ALL {
        let mut sum = StepTiming::default();
        let timings = databases.iter().flat_map(|database| &database.run.steps);
        for (_, timing) in timings.filter(|(one, _)| *one == step) {
            sum.duration += timing.duration;
            sum.bytes += timing.bytes;
            sum.concurrency = sum.concurrency.max(timing.concurrency);
        }
        merged.steps.push((step, sum));
    }
    for database in databases {
        merged.table_jobs = merged.table_jobs.max(database.run.table_jobs);
        merged.index_jobs = merged.index_jobs.max(database.run.index_jobs);
        merged.findings.extend(database.run.findings.iter().map(|finding| Finding {
            object: format!("{}: {}", database.name, finding.object),
            ..finding.clone()
        }));
    }
    merged
}

/// The tables of all databases, largest first, then the steps, then the databases, then the findings, those
/// about roles included.
pub fn text(databases: &[DatabaseSummary], of_roles: &[Finding]) -> String {
    let mut merged = merged(databases);
    merged.findings.extend(of_roles.iter().cloned());
    let parts = [
        tables(databases),
        steps(&merged),
        table::render(&DATABASE_COLUMNS, &databases.iter().map(row).collect::<Vec<_>>()),
        findings::text(&merged.findings),
    ];
    let shown: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    shown.join("\n")
}

/// One row per table.
fn tables(databases: &[DatabaseSummary]) -> String {
    let mut all: Vec<(&str, &TableSummary)> = databases
        .iter()
        .flat_map(|one| one.run.tables.iter().map(|table| (one.name.as_str(), table)))
        .collect();
    if all.is_empty() {
        return String::new();
    }
    all.sort_by_key(|(_, table)| std::cmp::Reverse(table.bytes));
    let columns: Vec<Column> =
        std::iter::once(Column::right("Database")).chain(TABLE_COLUMNS).collect();
    let rows: Vec<Vec<String>> = (all.into_iter())
        .map(|(database, table)| {
            std::iter::once(database.to_owned()).chain(table_row(table)).collect()
        })
        .collect();
    table::render(&columns, &rows)
}

/// Columns of the table of databases.
const DATABASE_COLUMNS: [Column; 5] = [
    Column::right("Database"),
    Column::left("State"),
    Column::right("Tables"),
    Column::right("transmitted bytes"),
    Column::right("Duration"),
];

/// The cells of one database.
fn row(database: &DatabaseSummary) -> Vec<String> {
    let tables = &database.run.tables;
    let bytes = tables.iter().map(|table| table.bytes).sum();
    vec![
        database.name.clone(),
        state(database).to_owned(),
        tables.len().to_string(),
        ByteSize(bytes).to_string(),
        ShortDuration(database.duration).to_string(),
    ]
}

/// State of a database that an earlier run had completed.
const WAS_COMPLETE: &str = "was complete";

/// What became of a database.
fn state(database: &DatabaseSummary) -> &'static str {
    match (&database.error, database.run.steps.is_empty()) {
        (Some(_), _) => "failed",
        (None, true) => WAS_COMPLETE,
        (None, false) => "complete",
    }
}

/// The same as JSON: the summary of each database under its name, and the findings about roles.
///
/// # Errors
/// Never in practice; `Internal` when a value cannot be written.
pub fn json(databases: &[DatabaseSummary], of_roles: &[Finding]) -> Result<String> {
    let failed = |error| Error::internal(format!("could not write summary.json: {error}"));
    let mut list = Vec::new();
    for database in databases {
        let summary: Value =
            serde_json::from_str(&summary_json::render(&database.run)?).map_err(failed)?;
        let duration = u64::try_from(database.duration.as_millis()).unwrap_or(u64::MAX);
        list.push(json!({
            "database": database.name,
            "state": state(database),
            "error": database.error,
            "duration": duration,
            "summary": summary,
        }));
    }
    let findings: Vec<_> = of_roles.iter().map(summary_json::finding).collect();
    serde_json::to_string_pretty(&json!({ "databases": list, "findings": findings }))
        .map(|text| text + "\n")
        .map_err(failed)
}

/// What [`json()`] wrote, as [`text`] shows it; `None` for the summary of a single database.
///
/// # Errors
/// `State` when it is no `summary.json`.
pub fn shown_again(document: &str) -> Result<Option<String>> {
    let failed = |error| Error::state(format!("summary.json cannot be read: {error}"));
    let document: Value = serde_json::from_str(document).map_err(failed)?;
    let Some(list) = document["databases"].as_array() else { return Ok(None) };
    let mut databases = Vec::new();
    for entry in list {
        let run = match entry["state"] == WAS_COMPLETE {
            true => RunSummary::default(),
            false => summary_read::parse(&entry["summary"].to_string())?,
        };
        databases.push(DatabaseSummary {
            name: entry["database"].as_str().unwrap_or_default().to_owned(),
            error: entry["error"].as_str().map(str::to_owned),
            duration: Duration::from_millis(entry["duration"].as_u64().unwrap_or_default()),
            run,
            ..DatabaseSummary::default()
        });
    }
    let findings = summary_read::findings(&document["findings"])?;
    Ok(Some(text(&databases, &findings)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::summary::Severity;

    #[test]
    fn what_was_written_is_shown_again() {
        let database = |name: &str| DatabaseSummary { name: name.into(), ..Default::default() };
        let table =
            TableSummary { schema: "s".into(), name: "t".into(), bytes: 7, ..Default::default() };
        let complete = RunSummary {
            steps: vec![(Step::Total, StepTiming::default())],
            tables: vec![table],
            ..RunSummary::default()
        };
        let databases = [
            DatabaseSummary {
                run: complete,
                duration: Duration::from_millis(2500),
                ..database("a")
            },
            DatabaseSummary { error: Some("no".into()), ..database("b") },
            database("c"),
        ];
        let of_roles = [Finding {
            severity: Severity::Warning,
            object: "role r".into(),
            reason: "without its password".into(),
            hint: Some("Set it.".into()),
        }];
        let written = json(&databases, &of_roles).unwrap();
        assert_eq!(shown_again(&written).unwrap(), Some(text(&databases, &of_roles)));
        let one = summary_json::render(&RunSummary::default()).unwrap();
        assert_eq!(shown_again(&one).unwrap(), None);
    }
}
