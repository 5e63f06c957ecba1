//! The SQL that `pg_restore` would run, cut into one piece per entry of the archive. Pure.
//!
//! `pg_restore --file=- --verbose` prints settings, then (with `--clean`) DROP statements, then each
//! entry under a header:
//!
//! ```text
//! --
//! -- TOC entry 220 (class 1259 OID 61764)
//! -- Dependencies: 954 9 958
//! -- Name: t; Type: TABLE; Schema: plain; Owner: postgres
//! -- Data Pos: 0
//! --
//!
//! CREATE TABLE plain.t ( …
//! ```
//!
//! A line is taken for a header only when its numbers are those of an entry of the list that has not
//! been seen yet, so the text of a function or a comment is not cut by accident; if it were, the
//! server would refuse the halves.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64;

use super::toc::{Entry, ObjectId, Toc};
use crate::local::child::pgtools::PgVersion;

/// First major that knows `transaction_timeout`, which newer tools set for every target.
const TRANSACTION_TIMEOUT_MAJOR: u32 = 17;

/// A section's SQL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    /// Settings that hold for the session.
    pub settings: String,
    /// DROP statements; empty without `--clean`.
    pub drops: String,
    /// The entries in the order in which they must run.
    pub pieces: Vec<Piece>,
}

/// One entry's SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The entry in the archive.
    pub dump_id: u32,
    /// Kind, schema, name and owner, for messages.
    pub name: String,
    /// When it may run.
    pub kind: PieceKind,
    /// Dump ids of entries that must run before.
    pub depends_on: Vec<u32>,
    /// Default tablespace and access method that hold for it.
    pub settings: String,
    /// The statements.
    pub sql: String,
    /// Digest of the statements: identifies the piece over several dumps of the same schema.
    pub digest: i64,
}

/// First major version with the MAINTAIN privilege.
pub const MAINTAIN_MAJOR: u32 = 17;

impl Script {
    /// Keeps MAINTAIN for owners when an older `pg_dump` wrote the script and the target has it.
    ///
    /// Where an owner's privileges were changed, `pg_dump` revokes all and grants what is left. Before
    /// version 17 vacuuming came with ownership; a later server takes REVOKE ALL to mean that too.
    /// `pg_dump` of 17 and later names the privileges instead.
    #[must_use]
    pub fn keeping_maintain(mut self) -> Self {
        const ALL: &str = "REVOKE ALL ON TABLE ";
        const OLD: &str =
            "REVOKE SELECT,INSERT,REFERENCES,DELETE,TRIGGER,TRUNCATE,UPDATE ON TABLE ";
        let privileges = |piece: &&mut Piece| piece.kind == PieceKind::Privileges;
        for piece in self.pieces.iter_mut().filter(privileges) {
            let lines: Vec<String> = (piece.sql.split('\n'))
                .map(|line| match line.strip_prefix(ALL) {
                    Some(rest) if !rest.ends_with("FROM PUBLIC;") => format!("{OLD}{rest}"),
                    _ => line.to_owned(),
                })
                .collect();
            piece.sql = lines.join("\n");
        }
        self
    }

    /// Whether something is to be compressed with lz4.
    pub fn asks_for_lz4(&self) -> bool {
        self.pieces.iter().any(|piece| piece.sql.lines().any(|line| sets_lz4(piece, line)))
    }

    /// Leaves out what asks for lz4, for a target whose server was built without (V-31): the columns get
    /// the server's default.
    #[must_use]
    pub fn without_lz4(mut self) -> Self {
        for piece in &mut self.pieces {
            if piece.sql.lines().any(|line| sets_lz4(piece, line)) {
                let lines: Vec<&str> =
                    piece.sql.split('\n').filter(|line| !sets_lz4(piece, line)).collect();
                piece.sql = lines.join("\n");
            }
        }
        self
    }

    /// The whole script as statements for one transaction, in order; empty when there are none.
    pub fn statements(&self) -> String {
        let mut sql = String::new();
        for piece in &self.pieces {
            sql.push_str(&piece.settings);
            sql.push_str(&piece.sql);
            sql.push('\n');
        }
        if sql.is_empty() { sql } else { format!("{}\n{sql}", self.settings) }
    }
}

/// Whether a line of a piece is the statement that `pg_dump` writes for a column in lz4. Only behind
/// tables and materialized views: elsewhere it is text.
fn sets_lz4(piece: &Piece, line: &str) -> bool {
    let table = ["TABLE ", "MATERIALIZED VIEW "].iter().any(|kind| piece.name.starts_with(kind));
    table && line.starts_with("ALTER ") && line.ends_with(" SET COMPRESSION lz4;")
}

/// When a piece may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    /// After what it depends on.
    Ordinary,
    /// Privileges: after every ordinary piece, which they might keep from running.
    Privileges,
    /// REFRESH MATERIALIZED VIEW: last, and after what it depends on; takes long.
    Refresh,
}

/// Why a script cannot be cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// The text holds bytes that are no UTF-8: the source is SQL_ASCII.
    #[error("the schema holds text that is not UTF-8")]
    Encoding,
    /// Something that only `psql` understands.
    #[error("the script of pg_restore has an unexpected line {0:?}")]
    Line(String),
}

/// Cuts the output of `pg_restore --file=- --verbose` by the list that it was made with.
///
/// # Errors
/// [`ScriptError`]; then `pg_restore` must be left to run the section by itself.
pub fn parse(text: &[u8], list: &Toc<'_>, target: PgVersion) -> Result<Script, ScriptError> {
    let text = std::str::from_utf8(text).map_err(|_| ScriptError::Encoding)?;
    let mut waiting: HashMap<u32, &Entry<'_>> =
        list.entries().map(|entry| (entry.dump_id, entry)).collect();
    let mut script = Script::default();
    let mut settings = String::new();
    // Byte position where the current entry's text begins, and the entry; none in the preamble.
    let mut current: Option<(usize, &Entry<'_>)> = None;
    let mut position = 0;
    let mut previous: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let start = position;
        position += line.len();
        let header = parse_header(line.trim_end())
            .filter(|(dump_id, object)| {
                waiting.get(dump_id).is_some_and(|entry| entry.object == *object)
            })
            // The line before is `--`.
            .and_then(|(dump_id, _)| Some((previous?, waiting.remove(&dump_id)?)));
        previous = (line.trim_end() == "--").then_some(start);
        let Some((rule, entry)) = header else { continue };
        finish(&mut script, &mut settings, current, text.get(..rule).unwrap_or(""), target)?;
        current = Some((start, entry));
    }
    finish(&mut script, &mut settings, current, text, target)?;
    Ok(script)
}

/// Ends the preamble or the current entry; `text` reaches up to its end.
fn finish(
    script: &mut Script,
    settings: &mut String,
    current: Option<(usize, &Entry<'_>)>,
    text: &str,
    target: PgVersion,
) -> Result<(), ScriptError> {
    match current {
        None => {
            let (text, next) = split_trailer(text);
            keep_defaults(settings, &next);
            preamble(script, text, target)
        }
        Some((start, entry)) => {
            let text = text.get(start..).unwrap_or("");
            script.pieces.extend(piece(entry, text, settings));
            Ok(())
        }
    }
}

/// Reads the preamble: settings first, DROP statements after them.
fn preamble(script: &mut Script, text: &str, target: PgVersion) -> Result<(), ScriptError> {
    let mut in_settings = true;
    for line in text.split_inclusive('\n') {
        let words = line.trim();
        let setting = line.starts_with("SET ") || line.starts_with("SELECT pg_catalog.set_config(");
        if in_settings && (words.is_empty() || words.starts_with("--")) {
            continue;
        }
        if in_settings && words.starts_with("\\restrict ") {
            // For psql only: it keeps a hostile archive from running psql's own commands.
            continue;
        }
        if in_settings && setting {
            let newer = line.starts_with("SET transaction_timeout ");
            if !newer || target.major() >= TRANSACTION_TIMEOUT_MAJOR {
                script.settings.push_str(line);
            }
            continue;
        }
        if in_settings && words.starts_with('\\') {
            return Err(ScriptError::Line(words.to_owned()));
        }
        in_settings = false;
        script.drops.push_str(line);
    }
    Ok(())
}

/// Makes a piece of an entry's text; `None` when it holds no statement. The defaults that the next
/// entries need stand at the end of the text and go to `settings`.
fn piece(entry: &Entry<'_>, text: &str, settings: &mut String) -> Option<Piece> {
    let mut body = text;
    while let Some(line) = body.split_inclusive('\n').next()
        && (line.starts_with("--") || line.trim().is_empty())
    {
        body = body.get(line.len()..).unwrap_or("");
    }
    let (sql, next) = split_trailer(body);
    let made = (!sql.is_empty()).then(|| Piece {
        dump_id: entry.dump_id,
        name: entry.display(),
        kind: match entry.description {
            b"ACL" => PieceKind::Privileges,
            b"MATERIALIZED VIEW DATA" => PieceKind::Refresh,
            _ => PieceKind::Ordinary,
        },
        depends_on: entry.depends_on.clone(),
        settings: settings.clone(),
        sql: sql.to_owned(),
        digest: i64::from_ne_bytes(xxh3_64(sql.as_bytes()).to_ne_bytes()),
    });
    keep_defaults(settings, &next);
    made
}

/// Takes over defaults for what follows, last one first; one value per name, the newest.
fn keep_defaults(settings: &mut String, defaults: &[&str]) {
    for line in defaults.iter().rev() {
        let name = line.split(" = ").next().unwrap_or(line);
        let kept: Vec<&str> = settings.lines().filter(|old| !old.starts_with(name)).collect();
        *settings = kept.iter().chain([line]).map(|line| format!("{line}\n")).collect();
    }
}

/// Splits off what follows an entry's statements: blank lines, comments, psql's counterpart to
/// `\restrict`, and the defaults that the next entry needs, last one first.
fn split_trailer(mut body: &str) -> (&str, Vec<&str>) {
    let mut defaults = Vec::new();
    loop {
        body = body.trim_end();
        let last = body.rfind('\n').map_or(0, |at| at + 1);
        let line = body.get(last..).unwrap_or("");
        if line.starts_with("SET default_") && line.ends_with(';') {
            defaults.push(line);
        } else if !line.starts_with("--") && !line.starts_with("\\unrestrict ") {
            return (body, defaults);
        }
        body = body.get(..last).unwrap_or("");
    }
}

/// Reads `-- TOC entry 220 (class 1259 OID 61764)`.
fn parse_header(line: &str) -> Option<(u32, ObjectId)> {
    let rest = line.strip_prefix("-- TOC entry ")?;
    let (dump_id, rest) = rest.split_once(" (class ")?;
    let (catalog, rest) = rest.split_once(" OID ")?;
    let oid = rest.strip_suffix(')')?;
    let object = ObjectId { catalog: catalog.parse().ok()?, oid: oid.parse().ok()? };
    Some((dump_id.parse().ok()?, object))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\
        1; 2615 10 SCHEMA - s joe\n\
        2; 1259 11 TABLE s t joe\n\
        ;\tdepends on: 1\n\
        3; 0 0 COMMENT s TABLE t joe\n\
        ;\tdepends on: 2\n\
        4; 1255 12 FUNCTION s f() joe\n\
        5; 0 13 MATERIALIZED VIEW DATA s m joe\n";

    fn parsed(text: &str, target: u32) -> Result<Script, ScriptError> {
        parse(text.as_bytes(), &Toc::parse(LIST.as_bytes()), PgVersion::from_number(target))
    }

    /// The header of an entry.
    fn header(dump_id: u32, catalog: u32, oid: u32) -> String {
        format!(
            "--\n-- TOC entry {dump_id} (class {catalog} OID {oid})\n-- Name: x; Type: Y\n\
             -- Data Pos: 0\n--\n\n"
        )
    }

    const PREAMBLE: &str = "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\n\
        -- Dumped from database version 15.20\n\nSET statement_timeout = 0;\n\
        SET transaction_timeout = 0;\nSELECT pg_catalog.set_config('search_path', '', false);\n\n";

    // trap P-1
    #[test]
    fn owners_keep_maintain_where_an_older_tool_revokes_all() {
        let piece = |kind, sql: &str| Piece {
            dump_id: 1,
            name: "x".into(),
            kind,
            depends_on: Vec::new(),
            settings: String::new(),
            sql: sql.into(),
            digest: 1,
        };
        let sql = "REVOKE ALL ON TABLE s.t FROM o;\nREVOKE ALL ON TABLE s.t FROM PUBLIC;\n";
        let pieces = vec![piece(PieceKind::Privileges, sql), piece(PieceKind::Ordinary, sql)];
        let kept = Script { pieces, ..Script::default() }.keeping_maintain().pieces;
        assert_eq!(
            kept[0].sql,
            "REVOKE SELECT,INSERT,REFERENCES,DELETE,TRIGGER,TRUNCATE,UPDATE ON TABLE s.t FROM o;\n\
             REVOKE ALL ON TABLE s.t FROM PUBLIC;\n"
        );
        assert_eq!(kept[1].sql, sql);
    }

    #[test]
    fn settings_drops_and_pieces_are_told_apart() {
        let text = [
            PREAMBLE,
            "DROP TABLE IF EXISTS s.t;\nDROP SCHEMA IF EXISTS s;\nSET default_tablespace = a;\n",
            &header(1, 2615, 10),
            "CREATE SCHEMA s;\n\n\nALTER SCHEMA s OWNER TO joe;\n\n",
            "SET default_tablespace = '';\n\nSET default_table_access_method = heap;\n\n",
            &header(2, 1259, 11),
            "CREATE TABLE s.t (\n    a integer\n);\n\n\nSET default_tablespace = fast;\n\n",
            &header(3, 0, 0),
            "COMMENT ON TABLE s.t IS 'x';\n\n\n-- Completed on 2026-11-22\n\n--\n\
             -- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n",
        ]
        .concat();
        let script = parsed(&text, 180_000).unwrap();
        assert_eq!(
            script.settings,
            "SET statement_timeout = 0;\nSET transaction_timeout = 0;\n\
             SELECT pg_catalog.set_config('search_path', '', false);\n"
        );
        assert_eq!(script.drops, "DROP TABLE IF EXISTS s.t;\nDROP SCHEMA IF EXISTS s;");
        let found: Vec<_> = (script.pieces.iter())
            .map(|piece| (piece.dump_id, piece.sql.as_str(), piece.settings.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                (
                    1,
                    "CREATE SCHEMA s;\n\n\nALTER SCHEMA s OWNER TO joe;",
                    "SET default_tablespace = a;\n"
                ),
                (
                    2,
                    "CREATE TABLE s.t (\n    a integer\n);",
                    "SET default_tablespace = '';\nSET default_table_access_method = heap;\n"
                ),
                (
                    3,
                    "COMMENT ON TABLE s.t IS 'x';",
                    "SET default_table_access_method = heap;\nSET default_tablespace = fast;\n"
                ),
            ]
        );
        assert_eq!(script.pieces[1].depends_on, [1]);
    }

    #[test]
    fn a_text_that_looks_like_a_header_does_not_cut() {
        let body = "CREATE FUNCTION s.f() RETURNS text LANGUAGE sql AS $$\n--\n\
                    -- TOC entry 4 (class 1255 OID 12)\n--\n-- TOC entry 2 (class 1 OID 11)\n\
                    -- TOC entry 2 (class 1259 OID 11)\nselect 'x'\n$$;";
        let text = [PREAMBLE, &header(4, 1255, 12), body, "\n\n\n"].concat();
        let script = parsed(&text, 180_000).unwrap();
        let sql: Vec<_> = script.pieces.iter().map(|piece| piece.sql.as_str()).collect();
        assert_eq!(sql, [body]);
    }

    #[test]
    fn setting_of_newer_servers_is_left_out_for_older_ones() {
        assert!(!parsed(PREAMBLE, 160_014).unwrap().settings.contains("transaction_timeout"));
        assert!(parsed(PREAMBLE, 170_000).unwrap().settings.contains("transaction_timeout"));
    }

    #[test]
    fn what_only_psql_understands_and_foreign_bytes_are_errors() {
        let connect = format!("{PREAMBLE}\\connect other\n");
        assert_eq!(parsed(&connect, 180_000), Err(ScriptError::Line("\\connect other".into())));
        let toc = Toc::parse(b"");
        let found = parse(b"SET x = '\xff';", &toc, PgVersion::from_number(180_000));
        assert_eq!(found, Err(ScriptError::Encoding));
    }

    #[test]
    fn entries_without_statements_make_no_piece_and_refreshes_are_marked() {
        let text =
            [&header(1, 2615, 10), "\n\n", &header(5, 0, 13), "REFRESH MATERIALIZED VIEW s.m;\n"];
        let script = parsed(&text.concat(), 180_000).unwrap();
        let found: Vec<_> = script.pieces.iter().map(|p| (p.dump_id, p.kind)).collect();
        assert_eq!(found, [(5, PieceKind::Refresh)]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_cut_without_losing_statements(
            text in "(--\n-- TOC entry [1-5] \\(class [0-9]{1,4} OID 1[0-3]\\)\n|SET default_x = 1;\n|select 1;\n|--\n|\n|\\$\\$|é){0,40}"
        ) {
            if let Ok(script) = parsed(&text, 180_000) {
                let found = script.pieces.iter().map(|p| p.sql.matches("select 1;").count());
                let found = found.sum::<usize>() + script.drops.matches("select 1;").count();
                proptest::prop_assert_eq!(found, text.matches("select 1;").count());
            }
        }
    }
}
