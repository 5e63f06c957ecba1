//! Compares definitions: the same `pg_dump` reads both sides, its output is cut into statements,
//! the statements are compared without regard to their order.
//!
//! Servers of different versions print the same view or expression differently (version 16 drops
//! the table name in `SELECT t.id FROM t`). So when the versions and the statements differ, the
//! source's dump is loaded into a scratch database of the target's server, and what that server
//! says about it takes the place of the source's own words.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Comparison, Difference, Side, both, multiset_diff, session};
use crate::cluster::quote_ident;
use crate::install::{Installation, Major};
use crate::process::{self, HELPER_SECONDS_MAX};

/// Kinds of entries that are kept in one piece, because their text may hold `;` at a line's end.
const WHOLE: [&str; 9] = [
    "FUNCTION",
    "PROCEDURE",
    "AGGREGATE",
    "VIEW",
    "MATERIALIZED VIEW",
    "RULE",
    "TRIGGER",
    "COMMENT",
    "EVENT TRIGGER",
];

/// Compares definitions; returns the number of the source's statements, and what differs.
///
/// # Errors
/// When no installed `pg_dump` can read both servers, or it fails.
pub(super) fn diff(comparison: &Comparison) -> Result<(usize, Vec<Difference>)> {
    let (source_version, target_version) = both(|side| session::version_num(comparison.uri(side)))?;
    let tools = pg_dump_for(source_version.max(target_version))?;
    let (source, target) = both(|side| dump(comparison, comparison.uri(side), &tools))?;
    let (of_source, of_target) = (statements(&source), statements(&target));
    let count = of_source.len();
    let differences = multiset_diff(of_source, of_target.clone());
    if differences.is_empty() || source_version / 10_000 == target_version / 10_000 {
        return Ok((count, differences));
    }
    let source = in_words_of_target(comparison, &source, &tools)?;
    Ok((count, multiset_diff(statements(&source), of_target)))
}

/// Loads a dump into a scratch database of the target's server and dumps it again from there.
///
/// Statements that the server refuses are left out, so they show up as differences.
fn in_words_of_target(
    comparison: &Comparison,
    dump_of_source: &str,
    tools: &Installation,
) -> Result<String> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let scratch = format!("testbed_scratch_{}_{number}", std::process::id());
    let target = comparison.uri(Side::Target);
    let psql = |uri: &str, stop: bool, sql: &str| {
        let mut command = tools.command("psql");
        command.args(["-X", "-q", "-A", "-t", "--file", "-", "--dbname", uri]);
        command.args(["-v", if stop { "ON_ERROR_STOP=1" } else { "ON_ERROR_STOP=0" }]);
        process::run_ok(&mut command, Some(sql.as_bytes().to_vec()))
    };
    let create = format!(
        "select format('create database {scratch} template template0 encoding %L'
                       ' lc_collate %L lc_ctype %L',
                       pg_encoding_to_char(encoding), datcollate, datctype)
           from pg_database where datname = current_database() \\gexec"
    );
    psql(target, true, &create)?;
    let uri = with_database(target, &scratch);
    let again = psql(&uri, false, &without_attver(dump_of_source))
        .and_then(|_| dump(comparison, &uri, tools));
    psql(target, true, &format!("drop database {scratch} with (force)"))?;
    again
}

/// The connection string with another database name, which needs no encoding.
fn with_database(uri: &str, database: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else {
        // The last of several `dbname` counts.
        return format!("{uri} dbname={database}");
    };
    let (address, parameters) = match rest.split_once('?') {
        Some((address, parameters)) => (address, format!("?{parameters}")),
        None => (rest, String::new()),
    };
    let authority = address.split_once('/').map_or(address, |(authority, _)| authority);
    format!("{scheme}://{authority}/{database}{parameters}")
}

/// The oldest installed programs that can read a server of this version: the closer to the
/// server, the more of what it prints was tested with it.
fn pg_dump_for(version_num: u32) -> Result<Installation> {
    Major::ALL
        .into_iter()
        .filter(|major| major.number() >= version_num / 10_000)
        .find_map(Installation::find_installed)
        .with_context(|| format!("no pg_dump installed that can read a server {version_num}"))
}

/// Runs `pg_dump --schema-only` on a database.
fn dump(comparison: &Comparison, uri: &str, tools: &Installation) -> Result<String> {
    let mut command = tools.command("pg_dump");
    command.args(["--schema-only", "--encoding=UTF8"]).args(&comparison.dump_arguments);
    for schema in &comparison.excluded_schemas {
        command.arg(format!("--exclude-schema={}", quote_ident(schema)));
    }
    command.arg("--dbname").arg(uri);
    let output = process::run(&mut command, None, Duration::from_secs(HELPER_SECONDS_MAX))?;
    Ok(output.success()?.stdout)
}

/// Cuts a dump into statements, each led by kind and name of the entry it stands in.
fn statements(dump: &str) -> Vec<String> {
    // Before the first entry stand session settings and the versions of the programs.
    let dump = without_attver(dump);
    let entries = dump.split("\n--\n-- Name: ").skip(1);
    entries.flat_map(entry_statements).collect()
}

/// Cuts one entry.
///
/// Shape: `name; Type: kind; Schema: schema; Owner: owner[; Tablespace: name]`, a line `--`, the
/// statements.
fn entry_statements(entry: &str) -> Vec<String> {
    let (header, body) = entry.split_once("\n--\n").unwrap_or((entry, ""));
    let (name, attributes) = header.split_once("; Type: ").unwrap_or((header, ""));
    let (kind, place) = attributes.split_once("; Schema: ").unwrap_or((attributes, ""));
    let tablespace = place.split_once("; Tablespace: ").map_or("", |(_, name)| name);
    let schema = place.split_once("; Owner: ").map_or(place, |(schema, _)| schema);
    let body: Vec<&str> = body.lines().filter(|line| !is_noise(line)).collect();
    let body = body.join("\n");
    let mut label = format!("{kind} {schema}.{name}");
    if !tablespace.is_empty() {
        label.push_str(&format!(" in tablespace {tablespace}"));
    }
    let pieces: Vec<&str> =
        if WHOLE.contains(&kind) { vec![&body] } else { body.split_inclusive(";\n").collect() };
    pieces
        .into_iter()
        .map(str::trim)
        .filter(|piece| !piece.is_empty())
        .map(|piece| format!("{label}\n{piece}"))
        .collect()
}

/// Whether a line of a dump says nothing about the database.
fn is_noise(line: &str) -> bool {
    let prefixes =
        ["SET default_table_access_method = ", "SET default_tablespace = ", "\\unrestrict "];
    prefixes.iter().any(|prefix| line.starts_with(prefix))
        || line == "-- PostgreSQL database dump complete"
        || line == "--"
}

/// Removes the internal column option `pg_attver` of late version 15 minors from a dump; a pg_dump
/// of an older date prints it, one statement to a line, and no server takes it.
fn without_attver(dump: &str) -> String {
    let mut kept = String::with_capacity(dump.len());
    for line in dump.split_inclusive('\n') {
        match line.split_once("pg_attver=") {
            Some((before, after)) if before.starts_with("ALTER ") => {
                kept.push_str(&without_first_option(before, after));
            }
            _ => kept.push_str(line),
        }
    }
    kept
}

/// Removes an option from the list it stands in, between what is before its name and after its
/// `=`; the whole statement when the list would be empty.
fn without_first_option(before: &str, after: &str) -> String {
    let end = after.find([',', ')']).unwrap_or(after.len());
    let after = &after[end..];
    if let Some(after) = after.strip_prefix(',') {
        return format!("{before}{}", after.trim_start());
    }
    let before = before.trim_end();
    if before.ends_with('(') {
        return "\n".to_owned();
    }
    format!("{}{after}", before.trim_end_matches(','))
}

#[cfg(test)]
mod tests {
    use super::*;

    // trap D-43
    #[test]
    fn internal_column_option_is_left_out() {
        let alter = "ALTER TABLE ONLY public.t ALTER COLUMN a SET";
        assert_eq!(without_attver(&format!("a;\n{alter} (pg_attver='1');\nb;")), "a;\n\nb;");
        for list in ["(pg_attver='1', n_distinct='5')", "(n_distinct='5', pg_attver='1')"] {
            let kept = without_attver(&format!("{alter} {list};\n"));
            assert_eq!(kept, format!("{alter} (n_distinct='5');\n"));
        }
    }

    #[test]
    fn database_is_replaced_in_every_form_of_connection_string() {
        for (uri, expected) in [
            ("postgresql://u:p@h:1/db?sslmode=require", "postgresql://u:p@h:1/x?sslmode=require"),
            ("postgresql://h", "postgresql://h/x"),
            ("postgresql:///db?host=/tmp", "postgresql:///x?host=/tmp"),
            ("host=h dbname=db", "host=h dbname=db dbname=x"),
        ] {
            assert_eq!(with_database(uri, "x"), expected);
        }
    }

    #[test]
    fn statements_carry_their_entry_and_lose_version_noise() {
        let dump = "--\n-- PostgreSQL database dump\n--\n\nSET x = 1;\n\n\
            --\n-- Name: t; Type: TABLE; Schema: public; Owner: me\n--\n\n\
            CREATE TABLE public.t (\n    a integer\n);\n\n\n\
            ALTER TABLE public.t OWNER TO me;\n\n\
            SET default_tablespace = '';\n\n\
            --\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n";
        let expected = [
            "TABLE public.t\nCREATE TABLE public.t (\n    a integer\n);",
            "TABLE public.t\nALTER TABLE public.t OWNER TO me;",
        ];
        assert_eq!(statements(dump), expected);
    }
}
