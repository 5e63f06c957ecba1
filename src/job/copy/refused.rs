//! Names the rows that an end refused because of their characters: place and columns.
//!
//! The error of a COPY knows the line at best, and with several parts and two conversions that is no
//! way to find a row. So the source is asked, under the same snapshot: an anonymous block reads the rows
//! one by one and does to each column what its way to the target does to it.
//!
//! ```text
//! do: for each row: convert(convert_to(column::text, wire), wire, target) … ── error 22021, 22P05 ──┐
//!     set_config('pgcopydb.refused_rows', …)  ◄── "(0,7) 0 2" ── which columns, one by one ◄────────┘
//! ```
//!
//! Nothing is written: a standby will do. Where the role may not use `plpgsql`, or the snapshot is gone,
//! the error stays as the server sent it.

use std::fmt::Write as _;

use super::encoding::Encodings;
use super::{CopyPart, begin_source};
use crate::base::error::{Error, Result};
use crate::base::ident::{quote_identifier, quote_literal};
use crate::connect::client::Session;

/// Columns that may hold text; see the file's header.
const TEXT_COLUMNS_SQL: &str = include_str!("sql/text_columns.sql");

/// Rows that are named at most: enough to see what is wrong.
const ROWS_MAX: usize = 10;

/// How long rows are looked for, in seconds: some ten million rows.
const SEARCH_SECONDS_MAX: u32 = 300;

/// How long the search waits for a lock, in seconds: it is no longer needed once somebody repairs.
const LOCK_SECONDS_MAX: u32 = 10;

/// A row that cannot arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RefusedRow {
    /// Its place on the source, as `(0,7)`.
    ctid: String,
    /// Names of the columns, unquoted.
    columns: Vec<String>,
}

/// Adds to an error of [`super::copy_part`] about characters which rows it is about, and what to do.
///
/// `source` is a session of the source that is in no transaction; `target_encoding` is what the
/// target reported. Takes minutes on a large table.
///
/// Not cancel safe: drop the session when this is dropped.
pub async fn name_refused_rows(
    error: Error,
    source: &mut Session,
    part: &CopyPart,
    snapshot: Option<&str>,
    target_encoding: &str,
) -> Error {
    let encodings = Encodings {
        source: source.parameter("server_encoding").unwrap_or("UTF8").to_owned(),
        target: target_encoding.to_owned(),
    };
    let found = search(source, part, snapshot, &encodings).await;
    if !source.is_broken() && source.execute("rollback").await.is_err() {
        source.abandon();
    }
    let rows = match found {
        Ok(rows) => rows,
        Err(reason) => {
            tracing::warn!(error = %reason, table = %part.table, "could not look for refused rows");
            Vec::new()
        }
    };
    let hint = hint(&encodings, part, rows.first());
    let error = if rows.is_empty() { error } else { error.during(described(&rows)) };
    error.hint(hint)
}

/// Looks for refused rows under the snapshot.
async fn search(
    source: &mut Session,
    part: &CopyPart,
    snapshot: Option<&str>,
    encodings: &Encodings,
) -> Result<Vec<RefusedRow>> {
    begin_source(source, snapshot).await?;
    let oid = part.oid.to_string();
    let columns = source.query(TEXT_COLUMNS_SQL, &[Some(&oid)]).await?;
    let mut names = Vec::new();
    for row in &columns.rows {
        let name = row.text(0)?;
        // Without a list everything is sent that is not generated, and that is not text.
        if part.columns.iter().any(|sent| sent == name) {
            names.push(name.to_owned());
        }
    }
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let block = quote_literal(&block(part, &names, encodings));
    source
        .execute(&format!(
            "set local statement_timeout = '{}s'; set local lock_timeout = '{LOCK_SECONDS_MAX}s'; \
             do {block}",
            SEARCH_SECONDS_MAX * 2
        ))
        .await?;
    let sql = "select pg_catalog.current_setting('pgcopydb.refused_rows', true)";
    let found = source.query(sql, &[]).await?;
    Ok(parse(found.one()?.optional_text(0)?.unwrap_or_default(), &names))
}

/// The anonymous block. Its variables have names that no column has; where one had, the column would
/// be meant.
fn block(part: &CopyPart, columns: &[String], encodings: &Encodings) -> String {
    let table = part.table.sql();
    let condition = part.predicate.as_ref().map_or_else(String::new, |sql| format!(" where {sql}"));
    let (wire, target) = (quote_literal(encodings.wire()), quote_literal(&encodings.target));
    let tests: Vec<String> = columns
        .iter()
        .map(|name| {
            format!(
                "pg_catalog.convert(pg_catalog.convert_to(pgcopydb_t.{}::pg_catalog.text, {wire}), \
                 {wire}, {target})",
                quote_identifier(name)
            )
        })
        .collect();
    let row =
        format!("from only {table} as pgcopydb_t where pgcopydb_t.ctid = pgcopydb_row.place;");
    let refused = "exception when character_not_in_repertoire or untranslatable_character then";
    let mut each = String::new();
    for (number, test) in tests.iter().enumerate() {
        let _ = writeln!(
            each,
            "begin perform {test} {row} {refused} \
             pgcopydb_columns := pgcopydb_columns || ' {number}'; end;"
        );
    }
    format!(
        "#variable_conflict use_column\n\
         declare pgcopydb_row record; pgcopydb_columns text; pgcopydb_rows text := '';\n\
         pgcopydb_count int := 0; pgcopydb_begin timestamptz := pg_catalog.clock_timestamp();\n\
         begin\n\
         for pgcopydb_row in select ctid as place from only {table}{condition} loop\n\
         begin perform {tests} {row}\n\
         {refused}\n\
         pgcopydb_columns := '';\n\
         {each}\
         pgcopydb_rows := pgcopydb_rows || pgcopydb_row.place::text || pgcopydb_columns || ';';\n\
         pgcopydb_count := pgcopydb_count + 1;\n\
         end;\n\
         exit when pgcopydb_count >= {ROWS_MAX} or pg_catalog.clock_timestamp() > \
         pgcopydb_begin + interval '{SEARCH_SECONDS_MAX} s';\n\
         end loop;\n\
         perform pg_catalog.set_config('pgcopydb.refused_rows', pgcopydb_rows, true);\n\
         end",
        tests = tests.join(", ")
    )
}

/// Reads `(0,7) 0 2;(3,1) 1;`.
fn parse(text: &str, columns: &[String]) -> Vec<RefusedRow> {
    let rows = text.split_terminator(';').filter_map(|row| {
        let mut words = row.split(' ');
        let ctid = words.next()?.to_owned();
        let numbers = words.filter_map(|word| word.parse::<usize>().ok());
        let columns = numbers.filter_map(|number| columns.get(number).cloned()).collect();
        Some(RefusedRow { ctid, columns })
    });
    rows.collect()
}

/// The rows in one line: `rows at ctid (0,7) (column "a"), …`.
fn described(rows: &[RefusedRow]) -> String {
    let each: Vec<String> = rows
        .iter()
        .map(|row| {
            let names: Vec<String> =
                row.columns.iter().map(|name| quote_identifier(name)).collect();
            let word = if names.len() == 1 { "column" } else { "columns" };
            format!("{} ({word} {})", row.ctid, names.join(", "))
        })
        .collect();
    let word = if rows.len() == 1 { "row" } else { "rows" };
    let more = if rows.len() < ROWS_MAX { "" } else { " and perhaps more" };
    format!("{word} at ctid {}{more}", each.join(", "))
}

/// What to do about it, with the statement for the first row found.
fn hint(encodings: &Encodings, part: &CopyPart, row: Option<&RefusedRow>) -> String {
    let Encodings { source, target } = encodings;
    let again = "Then run the same command again.";
    let corrupt = source == target || source == "SQL_ASCII";
    if !corrupt {
        return format!(
            "{target} does not have these characters: copy into a database made with CREATE DATABASE … \
             TEMPLATE template0 ENCODING '{}' LOCALE 'C', or change the values on the source. {again}",
            if target == "UTF8" { source } else { "UTF8" }
        );
    }
    let lead = if source == "SQL_ASCII" {
        format!("Nothing checks the bytes of a source in SQL_ASCII, and these are no {target}.")
    } else {
        format!("The source holds bytes that are no {source}.")
    };
    let wanted = if source == "SQL_ASCII" { encodings.wire() } else { source };
    let repair = row.and_then(|row| Some((row, row.columns.first()?))).map(|(row, column)| {
        let column = quote_identifier(column);
        // Neither function checks what it is given against the database's encoding in a session whose
        // client_encoding is the database's.
        format!(
            " Where they are WIN1252, say: SET client_encoding = '{source}'; UPDATE {} SET {column} = \
             convert_from(convert(textsend({column}::text), 'WIN1252', '{wanted}'), '{source}') \
             WHERE ctid = '{}'; on the source.",
            part.table.sql(),
            row.ctid
        )
    });
    let elsewhere = if source == "SQL_ASCII" && target != "SQL_ASCII" {
        " Or copy into a database made with CREATE DATABASE … TEMPLATE template0 ENCODING 'SQL_ASCII' \
         LOCALE 'C', which takes any byte."
    } else {
        ""
    };
    format!("{lead}{}{elsewhere} {again}", repair.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_columns_are_read_back() {
        let columns = ["a".to_owned(), "b;c".to_owned()];
        let rows = parse("(0,7) 0 1;(4294967294,65535) 1;", &columns);
        assert_eq!(
            described(&rows),
            "rows at ctid (0,7) (columns \"a\", \"b;c\"), (4294967294,65535) (column \"b;c\")"
        );
        assert_eq!(parse("", &columns), []);
    }
}
