//! `summary.json`: the run as one document for programs.

use std::time::Duration;

use serde::Serialize;

use super::findings::severity_name;
use super::step;
use super::summary_text::timing;
use crate::base::error::{Error, Result};
use crate::base::summary::{BuiltObject, Finding, RunSummary, Step, TableSummary};
use crate::base::units::{BitRate, ByteSize, ShortDuration};

/// The document. Keys are those that scripts know; ours stand last in each object.
///
/// Source: spec/commands.md 9.2.
#[derive(Debug, Serialize)]
struct Document<'a> {
    setup: Setup,
    steps: Vec<StepEntry>,
    tables: Vec<TableEntry<'a>>,
    findings: Vec<FindingEntry<'a>>,
}

/// `setup`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Setup {
    table_jobs: u32,
    index_jobs: u32,
}

/// One of `steps`; `duration` is in milliseconds.
#[derive(Debug, Serialize)]
struct StepEntry {
    label: &'static str,
    conn: &'static str,
    duration: u64,
    duration_pretty: String,
    concurrency: u32,
    bytes: u64,
}

/// One of `tables`; durations are in milliseconds.
#[derive(Debug, Serialize)]
struct TableEntry<'a> {
    oid: u32,
    schema: &'a str,
    name: &'a str,
    duration: u64,
    network: Network,
    index: IndexTotals,
    indexes: Vec<BuiltEntry<'a>>,
    constraints: Vec<BuiltEntry<'a>>,
    parts: u32,
    rows: u64,
}

/// `network` of a table.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Network {
    bytes: u64,
    bytes_pretty: String,
    transmit_rate: String,
}

/// `index` of a table.
#[derive(Debug, Serialize)]
struct IndexTotals {
    count: usize,
    duration: u64,
}

/// One of `indexes` or `constraints`.
#[derive(Debug, Serialize)]
struct BuiltEntry<'a> {
    oid: u32,
    schema: &'a str,
    name: &'a str,
    sql: &'a str,
    ms: u64,
}

/// One of `findings`.
#[derive(Debug, Serialize)]
pub(super) struct FindingEntry<'a> {
    severity: &'static str,
    object: &'a str,
    reason: &'a str,
    hint: Option<&'a str>,
}

/// The first of `steps`, which programs that count entries rely on.
const UNKNOWN_STEP: StepEntry = StepEntry {
    label: "Unknown Top Level Timing Section",
    conn: "",
    duration: 0,
    duration_pretty: String::new(),
    concurrency: 0,
    bytes: 0,
};

/// The document as indented text that ends with a newline.
pub fn render(summary: &RunSummary) -> Result<String> {
    let document = Document {
        setup: Setup { table_jobs: summary.table_jobs, index_jobs: summary.index_jobs },
        steps: steps(summary),
        tables: summary.tables.iter().map(table).collect(),
        findings: summary.findings.iter().map(finding).collect(),
    };
    serde_json::to_string_pretty(&document)
        .map(|text| text + "\n")
        .map_err(|error| Error::internal(format!("could not write summary.json: {error}")))
}

/// All steps, ours included that took no time.
fn steps(summary: &RunSummary) -> Vec<StepEntry> {
    let known = Step::ALL.into_iter().map(|step| {
        let timing = timing(summary, step);
        let words = step::text(step);
        StepEntry {
            label: words.label,
            conn: words.connection,
            duration: millis(timing.duration),
            duration_pretty: ShortDuration(timing.duration).to_string(),
            concurrency: timing.concurrency,
            bytes: timing.bytes,
        }
    });
    std::iter::once(UNKNOWN_STEP).chain(known).collect()
}

/// One table.
fn table(table: &TableSummary) -> TableEntry<'_> {
    let rate = BitRate::of(table.bytes, table.copy_duration);
    TableEntry {
        oid: table.oid,
        schema: &table.schema,
        name: &table.name,
        duration: millis(table.copy_duration),
        network: Network {
            bytes: table.bytes,
            bytes_pretty: ByteSize(table.bytes).to_string(),
            transmit_rate: rate.to_string(),
        },
        index: IndexTotals {
            count: table.indexes.len(),
            duration: millis(table.indexes.iter().map(|index| index.duration).sum()),
        },
        indexes: table.indexes.iter().map(built).collect(),
        constraints: table.constraints.iter().map(built).collect(),
        parts: table.parts,
        rows: table.rows,
    }
}

/// One index or constraint.
fn built(object: &BuiltObject) -> BuiltEntry<'_> {
    BuiltEntry {
        oid: object.oid,
        schema: &object.schema,
        name: &object.name,
        sql: &object.sql,
        ms: millis(object.duration),
    }
}

/// One finding.
pub(super) fn finding(finding: &Finding) -> FindingEntry<'_> {
    FindingEntry {
        severity: severity_name(finding.severity),
        object: &finding.object,
        reason: &finding.reason,
        hint: finding.hint.as_deref(),
    }
}

/// Milliseconds, saturating.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::summary::{Severity, StepTiming};
    use serde_json::{Value, json};

    #[test]
    fn document_has_exactly_the_known_keys_and_ours_last() {
        let summary = RunSummary {
            steps: vec![(
                Step::Copy,
                StepTiming { duration: Duration::from_millis(119), bytes: 7, concurrency: 4 },
            )],
            tables: vec![TableSummary {
                oid: 16398,
                schema: "public".into(),
                name: "t".into(),
                parts: 1,
                rows: 2,
                bytes: 12_500,
                copy_duration: Duration::from_millis(10),
                indexes: vec![BuiltObject {
                    oid: 5,
                    schema: "public".into(),
                    name: "i".into(),
                    sql: "CREATE INDEX i ON t (a)".into(),
                    duration: Duration::from_millis(3),
                }],
                constraints: vec![],
            }],
            findings: vec![Finding {
                severity: Severity::Warning,
                object: "public.t".into(),
                reason: "r".into(),
                hint: None,
            }],
            table_jobs: 4,
            index_jobs: 8,
        };
        let document: Value = serde_json::from_str(&render(&summary).unwrap()).unwrap();
        assert_eq!(document["setup"], json!({"table-jobs": 4, "index-jobs": 8}));
        assert_eq!(document["steps"].as_array().map(Vec::len), Some(13));
        assert_eq!(document["steps"][0]["label"], "Unknown Top Level Timing Section");
        assert_eq!(
            document["steps"][5],
            json!({"label": "COPY (cumulative)", "conn": "both", "duration": 119,
                "duration_pretty": "119ms", "concurrency": 4, "bytes": 7})
        );
        assert_eq!(
            document["tables"][0],
            json!({"oid": 16398, "schema": "public", "name": "t", "duration": 10,
                "network": {"bytes": 12500, "bytes-pretty": "12 kB",
                    "transmit-rate": "10 MBit/s"},
                "index": {"count": 1, "duration": 3},
                "indexes": [{"oid": 5, "schema": "public", "name": "i",
                    "sql": "CREATE INDEX i ON t (a)", "ms": 3}],
                "constraints": [], "parts": 1, "rows": 2})
        );
        assert_eq!(
            document["findings"][0],
            json!({"severity": "warning", "object": "public.t", "reason": "r", "hint": null})
        );
    }
}
