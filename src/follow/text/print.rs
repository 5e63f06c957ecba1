//! Prints changes as SQL.

use std::fmt::Write as _;
use std::io::Write;

use proto::lsn::Lsn;
use proto::time::PgTimestamp;

use crate::base::error::{Error, Result, Side};
use crate::base::ident::{QualifiedName, quote_identifier};
use crate::follow::change::{
    Begin, Change, ChangeEvent, Column, Commit, OldTuple, Relation, ReplicaIdentity, Tuple, Value,
};

/// Prints changes as SQL text, transaction by transaction.
///
/// A transaction whose commit position is known when it begins is printed as it comes; others are
/// kept until they end, since one beyond the end position must not appear.
#[derive(Debug)]
pub struct SqlPrinter<W> {
    out: W,
    endpos: Option<Lsn>,
    start: Lsn,
    keep_no_ops: bool,
    open: Option<Open>,
    reached: bool,
    transactions: u64,
}

/// The transaction that has not ended.
#[derive(Debug)]
struct Open {
    xid: u32,
    /// Not wanted: before the start or beyond the end.
    skipped: bool,
    /// Its lines go out as they come.
    direct: bool,
    lines: Vec<u8>,
}

impl<W: Write> SqlPrinter<W> {
    /// Prints transactions that end after `start` and not after `endpos`.
    pub fn new(out: W, start: Lsn, endpos: Option<Lsn>, keep_no_ops: bool) -> Self {
        let endpos = endpos.filter(|lsn| lsn.is_valid());
        Self { out, endpos, start, keep_no_ops, open: None, reached: false, transactions: 0 }
    }

    /// Whether the end position is reached: nothing more will be printed.
    pub fn reached(&self) -> bool {
        self.reached
    }

    /// Transactions printed.
    pub fn transactions(&self) -> u64 {
        self.transactions
    }

    /// Prints what an event means.
    ///
    /// # Errors
    /// `File` when the output cannot be written, `Data` for a change that identifies no row,
    /// `Unsupported` for values in binary form.
    pub fn print(&mut self, event: &ChangeEvent) -> Result<()> {
        match event {
            ChangeEvent::Begin(begin) => self.begin(begin),
            ChangeEvent::Change(change) => self.change(change),
            ChangeEvent::Commit(commit) => self.commit(commit),
            ChangeEvent::Abandon => self.abandon(),
            ChangeEvent::Position(lsn) => self.position(*lsn),
            ChangeEvent::End(lsn) => {
                self.reached |= self.endpos.is_some_and(|end| *lsn >= end);
                Ok(())
            }
        }
    }

    /// Pushes out what is buffered.
    ///
    /// # Errors
    /// `File` when the output cannot be written.
    pub fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(output_error)
    }

    fn begin(&mut self, begin: &Begin) -> Result<()> {
        let beyond = begin.commit_lsn.is_some_and(|at| self.endpos.is_some_and(|end| at >= end));
        self.reached |= beyond;
        let before = begin.commit_lsn.is_some_and(|at| at < self.start);
        let mut open = Open {
            xid: begin.xid,
            skipped: before || self.reached,
            // Known not to be wanted or, but for its last record, to be wanted.
            direct: begin.commit_lsn.is_some() && self.endpos.is_none(),
            lines: Vec::new(),
        };
        let comment = comment(Some(begin.xid), begin.commit_lsn, begin.commit_time);
        put_line(&mut open.lines, "BEGIN;", &comment);
        self.open = Some(open);
        self.pass_on()
    }

    fn change(&mut self, change: &Change) -> Result<()> {
        let keep_no_ops = self.keep_no_ops;
        let Some(open) = self.open.as_mut().filter(|open| !open.skipped) else { return Ok(()) };
        if let Some(statement) = statement(change, keep_no_ops)? {
            open.lines.extend_from_slice(statement.as_bytes());
            open.lines.extend_from_slice(b";\n");
        }
        self.pass_on()
    }

    fn commit(&mut self, commit: &Commit) -> Result<()> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let beyond = self.endpos.is_some_and(|end| commit.end_lsn > end);
        self.reached |= beyond;
        if open.skipped || beyond || commit.end_lsn <= self.start {
            return Ok(());
        }
        self.start = commit.end_lsn;
        self.reached |= self.endpos == Some(commit.end_lsn);
        self.transactions += 1;
        let comment = comment(Some(open.xid), Some(commit.end_lsn), commit.commit_time);
        put_line(&mut open.lines, "COMMIT;", &comment);
        self.write(&open.lines)
    }

    fn abandon(&mut self) -> Result<()> {
        match self.open.take() {
            Some(open) if open.direct && !open.skipped => self.write(b"ROLLBACK;\n"),
            _ => Ok(()),
        }
    }

    fn position(&mut self, lsn: Lsn) -> Result<()> {
        if self.reached || lsn <= self.start {
            return Ok(());
        }
        self.start = lsn;
        self.reached = self.endpos.is_some_and(|end| lsn >= end);
        let mut line = Vec::new();
        put_line(&mut line, "KEEPALIVE;", &comment(None, Some(lsn), None));
        self.write(&line)
    }

    /// Writes the lines of the open transaction where they need not be kept.
    fn pass_on(&mut self) -> Result<()> {
        let Some(open) = self.open.as_mut().filter(|open| open.direct && !open.skipped) else {
            return Ok(());
        };
        let lines = std::mem::take(&mut open.lines);
        self.write(&lines)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(output_error)
    }
}

/// An error for an output that cannot be written.
fn output_error(error: std::io::Error) -> Error {
    Error::file(std::path::Path::new("standard output"), error)
}

/// Appends a line with its comment.
fn put_line(out: &mut Vec<u8>, word: &str, comment: &str) {
    out.extend_from_slice(word.as_bytes());
    out.extend_from_slice(comment.as_bytes());
    out.push(b'\n');
}

/// ` -- {"xid":…,"lsn":"…","timestamp":"…"}`, with what is known.
fn comment(xid: Option<u32>, lsn: Option<Lsn>, time: Option<PgTimestamp>) -> String {
    let mut fields = Vec::new();
    fields.extend(xid.map(|xid| format!("\"xid\":{xid}")));
    fields.extend(lsn.map(|lsn| format!("\"lsn\":\"{lsn}\"")));
    fields.extend(time.map(|time| format!("\"timestamp\":\"{time}\"")));
    format!(" -- {{{}}}", fields.join(","))
}

/// The statement of a change, without its semicolon; `None` when it changes nothing.
fn statement(change: &Change, keep_no_ops: bool) -> Result<Option<String>> {
    Ok(match change {
        Change::Insert { relation, new } => Some(insert(relation, new)?),
        Change::Update { relation, old, new } => update(relation, old.as_ref(), new, keep_no_ops)?,
        Change::Delete { relation, old } => Some(format!(
            "DELETE FROM {} WHERE {}",
            table(relation),
            found(relation, Some(old), &[])?
        )),
        Change::Truncate { relations, restart_identity, .. } => {
            let tables: Vec<String> =
                relations.iter().map(|relation| format!("ONLY {}", table(relation))).collect();
            let restart = if *restart_identity { " RESTART IDENTITY" } else { "" };
            Some(format!("TRUNCATE {}{restart}", tables.join(", ")))
        }
    })
}

fn insert(relation: &Relation, new: &Tuple) -> Result<String> {
    if relation.columns.is_empty() {
        return Ok(format!("INSERT INTO {} DEFAULT VALUES", table(relation)));
    }
    let names: Vec<String> =
        relation.columns.iter().map(|column| quote_identifier(&column.name)).collect();
    let mut sql = format!(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES (",
        table(relation),
        names.join(", ")
    );
    for (index, value) in new.iter().enumerate() {
        sql.push_str(if index > 0 { ", " } else { "" });
        put_value(relation, value, &mut sql)?;
    }
    sql.push(')');
    Ok(sql)
}

fn update(
    relation: &Relation,
    old: Option<&OldTuple>,
    new: &Tuple,
    keep_no_ops: bool,
) -> Result<Option<String>> {
    let before = |index: usize| match old {
        Some(OldTuple::Full(old)) => old.get(index),
        Some(OldTuple::Key(old)) if relation.columns.get(index).is_some_and(|c| c.is_key) => {
            old.get(index)
        }
        _ => None,
    };
    let mut set = String::new();
    for (index, (column, value)) in relation.columns.iter().zip(new).enumerate() {
        let kept = old.is_none() && column.is_key;
        if *value == Value::Unchanged || (!keep_no_ops && (kept || before(index) == Some(value))) {
            continue;
        }
        let comma = if set.is_empty() { "" } else { ", " };
        let _ = write!(set, "{comma}{} = ", quote_identifier(&column.name));
        put_value(relation, value, &mut set)?;
    }
    if set.is_empty() {
        return Ok(None);
    }
    Ok(Some(format!("UPDATE {} SET {set} WHERE {}", table(relation), found(relation, old, new)?)))
}

/// The condition that finds a row. With replica identity full it finds one of those that look the
/// same, by their text, since not every type has `=`.
fn found(relation: &Relation, old: Option<&OldTuple>, new: &[Value]) -> Result<String> {
    let by_key = |values: &[Value]| condition(relation, values, |column| column.is_key, false);
    match old {
        Some(OldTuple::Full(old)) if relation.identity == ReplicaIdentity::Full => {
            let same = condition(relation, old, |_| true, true)?;
            let table = table(relation);
            Ok(format!("ctid = (SELECT ctid FROM {table} WHERE {same} LIMIT 1)"))
        }
        Some(OldTuple::Full(old) | OldTuple::Key(old)) => by_key(old),
        None => by_key(new),
    }
}

/// `"a" = '1' AND …` over some columns; `as_text`: over their text, NULL included.
fn condition(
    relation: &Relation,
    values: &[Value],
    wanted: impl Fn(&Column) -> bool,
    as_text: bool,
) -> Result<String> {
    let mut sql = String::new();
    for (column, value) in relation.columns.iter().zip(values).filter(|(c, _)| wanted(c)) {
        let and = if sql.is_empty() { "" } else { " AND " };
        let name = quote_identifier(&column.name);
        if *value == Value::Null {
            let _ = write!(sql, "{and}{name} IS NULL");
            continue;
        }
        let cast = if as_text { "::text" } else { "" };
        let _ = write!(sql, "{and}{name}{cast} = ");
        put_value(relation, value, &mut sql)?;
    }
    if sql.is_empty() {
        let text = format!("a change of {} does not identify its row", name(relation));
        return Err(Error::data(Side::Source, text)
            .hint("Give the table a primary key, or replica identity full, on the source."));
    }
    Ok(sql)
}

/// Appends a value as a literal on one line.
fn put_value(relation: &Relation, value: &Value, out: &mut String) -> Result<()> {
    let bytes = match value {
        Value::Null => {
            out.push_str("NULL");
            return Ok(());
        }
        Value::Text(bytes) => bytes,
        Value::Unchanged => {
            let text = format!("a change of {} lacks a value that it needs", name(relation));
            return Err(Error::data(Side::Source, text));
        }
        Value::Binary(_) => {
            let kind = crate::base::error::ErrorKind::Unsupported(format!(
                "values of {} were received in binary form, which SQL text cannot show",
                name(relation)
            ));
            return Err(Error::new(Side::Local, kind));
        }
    };
    let text = std::str::from_utf8(bytes).map_err(|_| {
        Error::data(Side::Source, format!("a value of {} is not UTF-8 text", name(relation)))
    })?;
    let special = text.contains(['\\', '\n', '\r']);
    out.push_str(if special { "E'" } else { "'" });
    for character in text.chars() {
        match character {
            '\'' => out.push_str("''"),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            other => out.push(other),
        }
    }
    out.push('\'');
    Ok(())
}

/// The name of a relation.
fn name(relation: &Relation) -> QualifiedName {
    QualifiedName::new(&relation.namespace, &relation.name)
}

/// The name of a relation for SQL.
fn table(relation: &Relation) -> String {
    name(relation).sql()
}
