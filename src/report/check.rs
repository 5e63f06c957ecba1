//! What `check` prints: both ends and the findings, for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;

use super::table::{self, Column};
use crate::base::error::{Error, Result, Side};
use crate::base::preflight::{Concern, Examination, Examined};
use crate::base::summary::Severity;

/// For people: the ends, a table of findings, what resolves each.
///
/// ```text
///        | Version | Database | Role     | Encoding | Collation
/// -------+---------+----------+----------+----------+----------
/// source | 15.20   | app      | postgres | UTF8     | C.UTF-8
/// target | 18.4    | app      | postgres | UTF8     | C.UTF-8
///
/// error: target: role "app": it owns objects on the source and does not exist on the target
///    fix: CREATE ROLE "app"; on the target, …
///
/// Findings: 1 error, 0 warnings, 0 infos
/// ```
pub fn text(examination: &Examination) -> String {
    let mut text = ends(examination);
    for concern in &examination.concerns {
        let _ = writeln!(
            text,
            "{}: {}: {}: {}",
            severity_name(concern.severity),
            concern.side,
            concern.object,
            concern.reason
        );
        if let Some(fix) = &concern.fix {
            let _ = writeln!(text, "    fix: {fix}");
        }
    }
    if !examination.concerns.is_empty() {
        text.push('\n');
    }
    let count = |severity, one: &str, many: &str| match examination.count(severity) {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    };
    let _ = writeln!(
        text,
        "Findings: {}, {}, {}",
        count(Severity::Error, "error", "errors"),
        count(Severity::Warning, "warning", "warnings"),
        count(Severity::Notice, "info", "infos")
    );
    let verdict = if examination.blocks() {
        "A migration would be refused: resolve what is marked as an error."
    } else {
        "Nothing stands in the way of a migration."
    };
    text.push_str(verdict);
    text.push('\n');
    text
}

/// A table of the ends that could be examined.
fn ends(examination: &Examination) -> String {
    let ends = [("source", &examination.source), ("target", &examination.target)];
    let rows: Vec<Vec<String>> = ends
        .into_iter()
        .filter_map(|(side, end)| {
            let end = end.as_ref()?;
            let role = if end.superuser { " (superuser)" } else { "" };
            Some(vec![
                side.to_owned(),
                end.version.clone(),
                end.database.clone(),
                format!("{}{role}", end.role),
                end.encoding.clone(),
                end.collation.clone(),
            ])
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let columns = ["Side", "Version", "Database", "Role", "Encoding", "Collation"];
    table::render(&columns.map(Column::left), &rows) + "\n"
}

/// A severity as `check` names it.
fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Notice => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

/// The document for programs.
#[derive(Serialize)]
struct Document<'a> {
    source: Option<End<'a>>,
    target: Option<End<'a>>,
    errors: usize,
    warnings: usize,
    infos: usize,
    findings: Vec<Entry<'a>>,
}

/// One end.
#[derive(Serialize)]
struct End<'a> {
    version: &'a str,
    database: &'a str,
    role: &'a str,
    superuser: bool,
    encoding: &'a str,
    collation: &'a str,
}

/// One finding.
#[derive(Serialize)]
struct Entry<'a> {
    severity: &'static str,
    side: &'static str,
    topic: &'static str,
    object: &'a str,
    reason: &'a str,
    fix: Option<&'a str>,
}

/// For programs: one JSON object.
///
/// # Errors
/// `Internal` when it cannot be written.
pub fn json(examination: &Examination) -> Result<String> {
    let document = Document {
        source: examination.source.as_ref().map(end),
        target: examination.target.as_ref().map(end),
        errors: examination.count(Severity::Error),
        warnings: examination.count(Severity::Warning),
        infos: examination.count(Severity::Notice),
        findings: examination.concerns.iter().map(entry).collect(),
    };
    serde_json::to_string_pretty(&document)
        .map(|text| text + "\n")
        .map_err(|error| Error::internal(format!("could not print the findings: {error}")))
}

/// One end of the document.
fn end(end: &Examined) -> End<'_> {
    End {
        version: &end.version,
        database: &end.database,
        role: &end.role,
        superuser: end.superuser,
        encoding: &end.encoding,
        collation: &end.collation,
    }
}

/// One finding of the document.
fn entry(concern: &Concern) -> Entry<'_> {
    Entry {
        severity: severity_name(concern.severity),
        side: match concern.side {
            Side::Source => "source",
            Side::Target => "target",
            Side::Local => "local",
        },
        topic: concern.topic.word(),
        object: &concern.object,
        reason: &concern.reason,
        fix: concern.fix.as_deref(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::preflight::Topic;

    fn examination() -> Examination {
        let end = Examined {
            version: "15.20".into(),
            database: "app".into(),
            role: "me".into(),
            superuser: true,
            encoding: "UTF8".into(),
            collation: "C".into(),
        };
        let concern = Concern::new(Severity::Error, Topic::Role, Side::Target, "role x", "missing");
        Examination {
            source: Some(end),
            target: None,
            concerns: vec![concern.fix("CREATE ROLE x;")],
        }
    }

    #[test]
    fn text_names_the_finding_and_what_resolves_it() {
        let text = text(&examination());
        let expected = "Side   | Version | Database | Role           | Encoding | Collation\n\
                        -------+---------+----------+----------------+----------+----------\n\
                        source | 15.20   | app      | me (superuser) | UTF8     | C\n\n\
                        error: target: role x: missing\n    fix: CREATE ROLE x;\n\n\
                        Findings: 1 error, 0 warnings, 0 infos\n";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.ends_with("marked as an error.\n"));
    }

    #[test]
    fn json_has_an_entry_per_finding() {
        let value: serde_json::Value =
            serde_json::from_str(&json(&examination()).unwrap()).unwrap();
        assert_eq!(value["errors"], 1);
        assert_eq!(value["source"]["superuser"], true);
        assert!(value["target"].is_null());
        let entry = &value["findings"][0];
        for (key, expected) in [
            ("severity", "error"),
            ("side", "target"),
            ("topic", "role"),
            ("object", "role x"),
            ("reason", "missing"),
            ("fix", "CREATE ROLE x;"),
        ] {
            assert_eq!(entry[key], expected);
        }
    }
}
