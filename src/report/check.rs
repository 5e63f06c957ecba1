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
    findings(examination) + &conclusion(std::iter::once(examination))
}

/// For people, of every database: its name, what [`text`] says of it, and the sum at the end.
pub fn text_of_databases(databases: &[(String, Examination)]) -> String {
    let mut text = String::new();
    for (name, examination) in databases {
        let _ = writeln!(text, "Database {name}\n");
        text.push_str(&findings(examination));
        if examination.concerns.is_empty() {
            text.push_str("Nothing was found.\n\n");
        }
    }
    text + &conclusion(databases.iter().map(|(_, examination)| examination))
}

/// The ends and the findings.
fn findings(examination: &Examination) -> String {
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
    text
}

/// How many findings there are, and what they mean.
fn conclusion<'a>(examinations: impl Iterator<Item = &'a Examination> + Clone) -> String {
    let count = |severity, one: &str, many: &str| match sum(examinations.clone(), severity) {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    };
    let verdict = if examinations.clone().any(Examination::blocks) {
        "A migration would be refused: resolve what is marked as an error."
    } else {
        "Nothing stands in the way of a migration."
    };
    format!(
        "Findings: {}, {}, {}\n{verdict}\n",
        count(Severity::Error, "error", "errors"),
        count(Severity::Warning, "warning", "warnings"),
        count(Severity::Notice, "info", "infos")
    )
}

/// How many findings of all have a severity.
fn sum<'a>(examinations: impl Iterator<Item = &'a Examination>, severity: Severity) -> usize {
    examinations.map(|one| one.count(severity)).sum()
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
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<&'a str>,
    source: Option<End<'a>>,
    target: Option<End<'a>>,
    errors: usize,
    warnings: usize,
    infos: usize,
    findings: Vec<Entry<'a>>,
}

/// The document of all databases.
#[derive(Serialize)]
struct Documents<'a> {
    errors: usize,
    warnings: usize,
    infos: usize,
    databases: Vec<Document<'a>>,
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
    print(&document(None, examination))
}

/// For programs, of every database: the sums, and an array of what [`json`] says of each.
///
/// # Errors
/// Those of [`json`].
pub fn json_of_databases(databases: &[(String, Examination)]) -> Result<String> {
    let all = || databases.iter().map(|(_, examination)| examination);
    print(&Documents {
        errors: sum(all(), Severity::Error),
        warnings: sum(all(), Severity::Warning),
        infos: sum(all(), Severity::Notice),
        databases: databases.iter().map(|(name, one)| document(Some(name), one)).collect(),
    })
}

/// Prints a document.
fn print(document: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(document)
        .map(|text| text + "\n")
        .map_err(|error| Error::internal(format!("could not print the findings: {error}")))
}

/// The document of one examination.
fn document<'a>(database: Option<&'a str>, examination: &'a Examination) -> Document<'a> {
    Document {
        database,
        source: examination.source.as_ref().map(end),
        target: examination.target.as_ref().map(end),
        errors: examination.count(Severity::Error),
        warnings: examination.count(Severity::Warning),
        infos: examination.count(Severity::Notice),
        findings: examination.concerns.iter().map(entry).collect(),
    }
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
    fn findings_of_all_databases_are_added_up() {
        let databases = [("a".to_owned(), examination()), ("b".to_owned(), Examination::default())];
        let text = text_of_databases(&databases);
        assert!(text.starts_with("Database a\n\nSide "), "{text}");
        assert!(
            text.contains("\nDatabase b\n\nNothing was found.\n\nFindings: 1 error, "),
            "{text}"
        );
        assert!(text.ends_with("marked as an error.\n"));
        let value: serde_json::Value =
            serde_json::from_str(&json_of_databases(&databases).unwrap()).unwrap();
        assert_eq!((&value["errors"], &value["databases"][0]["errors"]), (&1.into(), &1.into()));
        assert_eq!(value["databases"][1]["database"], "b");
        let one: serde_json::Value = serde_json::from_str(&json(&examination()).unwrap()).unwrap();
        assert!(one.get("database").is_none());
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
