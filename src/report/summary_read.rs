//! Reads `summary.json` back, to show the summary of a run that has ended.

use std::time::Duration;

use serde::Deserialize;

use super::findings::severity_name;
use super::step;
use crate::base::error::{Error, Result};
use crate::base::summary::{
    BuiltObject, Finding, RunSummary, Severity, Step, StepTiming, TableSummary,
};

/// The document, as far as the tables need it; other keys are skipped.
#[derive(Debug, Deserialize)]
struct Document {
    setup: Setup,
    steps: Vec<StepEntry>,
    #[serde(default)]
    tables: Vec<TableEntry>,
    #[serde(default)]
    findings: Vec<FindingEntry>,
}

/// `setup`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Setup {
    table_jobs: u32,
    index_jobs: u32,
}

/// One of `steps`.
#[derive(Debug, Deserialize)]
struct StepEntry {
    label: String,
    duration: u64,
    #[serde(default)]
    concurrency: u32,
    #[serde(default)]
    bytes: u64,
}

/// One of `tables`.
#[derive(Debug, Deserialize)]
struct TableEntry {
    oid: u32,
    schema: String,
    name: String,
    duration: u64,
    network: Network,
    #[serde(default)]
    indexes: Vec<BuiltEntry>,
    #[serde(default)]
    constraints: Vec<BuiltEntry>,
    #[serde(default)]
    parts: u32,
    #[serde(default)]
    rows: u64,
}

/// `network` of a table.
#[derive(Debug, Deserialize)]
struct Network {
    bytes: u64,
}

/// One of `indexes` or `constraints`.
#[derive(Debug, Deserialize)]
struct BuiltEntry {
    oid: u32,
    schema: String,
    name: String,
    sql: String,
    ms: u64,
}

/// One of `findings`.
#[derive(Debug, Deserialize)]
struct FindingEntry {
    severity: String,
    object: String,
    reason: String,
    hint: Option<String>,
}

/// The summary of a document.
///
/// # Errors
/// `State` when it is no `summary.json`.
pub fn parse(text: &str) -> Result<RunSummary> {
    let document: Document = serde_json::from_str(text)
        .map_err(|error| Error::state(format!("summary.json cannot be read: {error}")))?;
    let of_label = |label: &str| Step::ALL.into_iter().find(|one| step::text(*one).label == label);
    let steps = document.steps.into_iter().filter_map(|entry| {
        let timing = StepTiming {
            duration: Duration::from_millis(entry.duration),
            bytes: entry.bytes,
            concurrency: entry.concurrency,
        };
        Some((of_label(&entry.label)?, timing))
    });
    Ok(RunSummary {
        steps: steps.collect(),
        tables: document.tables.into_iter().map(table).collect(),
        findings: document.findings.into_iter().map(finding).collect(),
        table_jobs: document.setup.table_jobs,
        index_jobs: document.setup.index_jobs,
    })
}

/// The findings of a list of them; none where there is no list.
///
/// # Errors
/// `State` when it is another list.
pub(super) fn findings(list: &serde_json::Value) -> Result<Vec<Finding>> {
    let entries: Option<Vec<FindingEntry>> = serde_json::from_value(list.clone())
        .map_err(|error| Error::state(format!("summary.json cannot be read: {error}")))?;
    Ok(entries.unwrap_or_default().into_iter().map(finding).collect())
}

/// One table.
fn table(entry: TableEntry) -> TableSummary {
    TableSummary {
        oid: entry.oid,
        schema: entry.schema,
        name: entry.name,
        parts: entry.parts,
        rows: entry.rows,
        bytes: entry.network.bytes,
        copy_duration: Duration::from_millis(entry.duration),
        indexes: entry.indexes.into_iter().map(built).collect(),
        constraints: entry.constraints.into_iter().map(built).collect(),
    }
}

/// One index or constraint.
fn built(entry: BuiltEntry) -> BuiltObject {
    BuiltObject {
        oid: entry.oid,
        schema: entry.schema,
        name: entry.name,
        sql: entry.sql,
        duration: Duration::from_millis(entry.ms),
    }
}

/// One finding; a severity that we do not know is worth knowing.
fn finding(entry: FindingEntry) -> Finding {
    let severity = [Severity::Error, Severity::Warning]
        .into_iter()
        .find(|severity| severity_name(*severity) == entry.severity)
        .unwrap_or(Severity::Notice);
    Finding { severity, object: entry.object, reason: entry.reason, hint: entry.hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{summary_json, summary_text};

    #[test]
    fn a_summary_reads_back_as_it_was_shown() {
        let index = BuiltObject {
            oid: 5,
            schema: "s".into(),
            name: "i".into(),
            sql: "CREATE INDEX i ON s.t USING btree (a)".into(),
            duration: Duration::from_millis(3),
        };
        let timing =
            StepTiming { duration: Duration::from_millis(1119), bytes: 70_000, concurrency: 4 };
        let summary = RunSummary {
            steps: vec![(Step::Copy, timing)],
            tables: vec![TableSummary {
                oid: 7,
                schema: "s".into(),
                name: "t".into(),
                parts: 3,
                rows: 2,
                bytes: 12_500,
                copy_duration: Duration::from_millis(10),
                indexes: vec![index],
                constraints: vec![],
            }],
            findings: vec![Finding {
                severity: Severity::Error,
                object: "s.t".into(),
                reason: "r".into(),
                hint: Some("Do it.".into()),
            }],
            table_jobs: 4,
            index_jobs: 8,
        };
        let read = parse(&summary_json::render(&summary).unwrap()).unwrap();
        assert_eq!(summary_text::render(&read), summary_text::render(&summary));
        assert_eq!((read.table_jobs, read.index_jobs), (4, 8));
        assert!(parse("{}").is_err());
    }
}
