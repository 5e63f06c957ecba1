//! Reads the SQL text of changes, ours and that of earlier versions of this tool.
//!
//! Earlier versions printed prepared statements: `PREPARE 1f2e AS …;` and `EXECUTE 1f2e["a", null];`,
//! where the arguments are a JSON array of strings and nulls.

use proto::lsn::Lsn;

use crate::base::error::{Error, Result};

/// One line of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line<'a> {
    /// A transaction begins.
    Begin {
        /// Its number on the source.
        xid: u32,
        /// Where its commit record starts.
        start: Option<Lsn>,
        /// Where its commit record ends; earlier versions say so here already.
        end: Option<Lsn>,
    },
    /// A transaction ends.
    Commit {
        /// Its end.
        lsn: Lsn,
    },
    /// A transaction is void.
    Rollback,
    /// Nothing at or before this position is still to come.
    Position(Lsn),
    /// A statement to run.
    Statement(&'a str),
    /// A statement to be run later with arguments.
    Prepare {
        /// Its name.
        name: &'a str,
        /// Its text.
        sql: &'a str,
    },
    /// A prepared statement to run.
    Execute {
        /// Its name.
        name: &'a str,
        /// Its arguments.
        arguments: Vec<Option<String>>,
    },
    /// Nothing.
    Empty,
}

/// The comment behind BEGIN, COMMIT and KEEPALIVE.
#[derive(Debug, Default, serde::Deserialize)]
struct Comment {
    #[serde(default)]
    xid: u32,
    #[serde(default)]
    lsn: Option<String>,
    #[serde(default)]
    commit_lsn: Option<String>,
}

/// Takes a line apart.
///
/// # Errors
/// `Config` for a line that is neither ours nor of an earlier version.
pub fn parse_line(line: &str) -> Result<Line<'_>> {
    let line = line.trim();
    let word = line.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    match word {
        "" if line.is_empty() || line.starts_with("--") => Ok(Line::Empty),
        "BEGIN" => {
            let comment = comment(line)?;
            let end = comment.commit_lsn.as_deref().map(position).transpose()?;
            // Beside the end the other position is that of the first change.
            let start =
                comment.lsn.as_deref().filter(|_| end.is_none()).map(position).transpose()?;
            Ok(Line::Begin { xid: comment.xid, start, end })
        }
        "COMMIT" => Ok(Line::Commit { lsn: required(line)? }),
        "ROLLBACK" => Ok(Line::Rollback),
        "KEEPALIVE" | "ENDPOS" => Ok(Line::Position(required(line)?)),
        // Where earlier versions went on to the next file.
        "SWITCH" => Ok(Line::Empty),
        "PREPARE" => prepare(line),
        "EXECUTE" => execute(line),
        "INSERT" | "UPDATE" | "DELETE" | "TRUNCATE" | "REFRESH" | "SET" => {
            Ok(Line::Statement(line.trim_end_matches(';')))
        }
        _ => Err(unexpected(line)),
    }
}

/// The fields of a line's comment.
fn comment(line: &str) -> Result<Comment> {
    match line.split_once("-- ") {
        Some((_, json)) => serde_json::from_str(json).map_err(|_| unexpected(line)),
        None => Ok(Comment::default()),
    }
}

/// The position of a line that must have one.
fn required(line: &str) -> Result<Lsn> {
    let comment = comment(line)?;
    let text = comment.lsn.or(comment.commit_lsn);
    position(&text.ok_or_else(|| unexpected(line))?)
}

/// A position out of text.
fn position(text: &str) -> Result<Lsn> {
    text.parse().map_err(|_| Error::config(format!("\"{text}\" is not a position of the form X/X")))
}

/// `PREPARE name AS statement;`
fn prepare(line: &str) -> Result<Line<'_>> {
    let rest = line.trim_start_matches("PREPARE").trim_start();
    let (name, rest) = rest.split_once(' ').ok_or_else(|| unexpected(line))?;
    let (_, sql) = rest.split_once("AS ").ok_or_else(|| unexpected(line))?;
    Ok(Line::Prepare { name, sql: sql.trim_end_matches(';') })
}

/// `EXECUTE name["argument", null];`
fn execute(line: &str) -> Result<Line<'_>> {
    let rest = line.trim_start_matches("EXECUTE").trim().trim_end_matches(';');
    let (name, json) = match rest.find('[') {
        Some(at) => rest.split_at(at),
        None => (rest, "[]"),
    };
    let arguments = serde_json::from_str(json).map_err(|_| unexpected(line))?;
    Ok(Line::Execute { name: name.trim(), arguments })
}

/// Longest part of a line shown, in characters.
const SHOWN_CHARACTERS: usize = 20;

/// An error for a line that nobody here wrote. Only its beginning is shown: the rest may be data.
fn unexpected(line: &str) -> Error {
    let shown: String = line.chars().take(SHOWN_CHARACTERS).collect();
    Error::config(format!("a line of the changes begins with \"{shown}\", which cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_formats_are_taken_apart() {
        let lsn = Lsn(0x1566D10);
        for (text, line) in [
            (
                "BEGIN; -- {\"xid\":7,\"lsn\":\"0/1566D10\"}",
                Line::Begin { xid: 7, start: Some(lsn), end: None },
            ),
            (
                "BEGIN; -- {\"xid\":7,\"lsn\":\"0/1\",\"commit_lsn\":\"0/1566D10\"}",
                Line::Begin { xid: 7, start: None, end: Some(lsn) },
            ),
            (
                "COMMIT; -- {\"xid\":7,\"lsn\":\"0/1566D10\",\"timestamp\":\"x\"}",
                Line::Commit { lsn },
            ),
            ("KEEPALIVE; -- {\"lsn\":\"0/1566D10\",\"timestamp\":\"x\"}", Line::Position(lsn)),
            (
                "INSERT INTO \"t\" VALUES (E'a\\n; -- b');",
                Line::Statement("INSERT INTO \"t\" VALUES (E'a\\n; -- b')"),
            ),
            (
                "PREPARE 1f2e AS INSERT INTO t VALUES ($1);",
                Line::Prepare { name: "1f2e", sql: "INSERT INTO t VALUES ($1)" },
            ),
            (
                "EXECUTE 1f2e[\"a]b\",null];",
                Line::Execute { name: "1f2e", arguments: vec![Some("a]b".into()), None] },
            ),
            ("SWITCH WAL; -- {\"lsn\":\"0/2000000\"}", Line::Empty),
            ("ROLLBACK;", Line::Rollback),
            ("", Line::Empty),
        ] {
            assert_eq!(parse_line(text).unwrap(), line, "{text}");
        }
    }

    #[test]
    fn what_nobody_wrote_is_refused_without_its_data() {
        for text in
            ["DROP TABLE customers_of_somebody;", "COMMIT;", "EXECUTE x[1];", "COMMIT; -- {}"]
        {
            let error = parse_line(text).unwrap_err().to_string();
            assert!(!error.contains("somebody"), "{error}");
        }
    }
}
