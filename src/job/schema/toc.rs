//! The list of an archive's objects: what `pg_restore --list --verbose` prints. Pure.
//!
//! ```text
//! ; comment
//! 2785; 0 0 COMMENT plain TYPE mood postgres
//! ;       depends on: 905
//! 905; 1247 854254 TYPE plain mood postgres
//! │    │    │      │    └ schema, name, owner: `rest`
//! │    │    │      └ description
//! │    │    └ object's oid
//! │    └ oid of the object's catalog
//! └ dump id: what `--use-list` goes by
//! ```
//!
//! `pg_restore` reads the dump id of each line that does not begin with `;` and ignores the rest, so
//! an edited list is the same text with semicolons put in front of lines. Schema, name and owner are
//! separated by single spaces and may hold spaces themselves, so `rest` is not taken apart: objects
//! are known by catalog and oid, what hangs on them by the `depends on` lines.
//!
//! Bytes, not text: names are in the source's encoding. Line breaks in names are printed as spaces,
//! so a line is an entry whatever its name holds.

/// Identity of a database object: its catalog's oid and its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId {
    /// `pg_class.oid` of the catalog that describes it, for example 1259 for a table.
    pub catalog: u32,
    /// Its oid there.
    pub oid: u32,
}

/// A parsed list: its text and what the lines mean.
#[derive(Debug, Clone)]
pub struct Toc<'a> {
    /// Every line in order, without line ends.
    pub(super) lines: Vec<Line<'a>>,
}

/// One line of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A comment, an empty line, or something that is no entry; kept as it is.
    Other(&'a [u8]),
    /// An entry.
    Entry(Entry<'a>),
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Identity inside the archive.
    pub dump_id: u32,
    /// The object; both parts 0 for entries that are no objects of their own, like comments.
    pub object: ObjectId,
    /// Kind of entry, for example `TABLE` or `FK CONSTRAINT`.
    pub description: &'a [u8],
    /// Schema (`-` for none), name and owner (may be missing).
    pub rest: &'a [u8],
    /// Dump ids that must be restored before; empty when the list was made without `--verbose`.
    pub depends_on: Vec<u32>,
    /// The whole line.
    pub line: &'a [u8],
}

impl<'a> Toc<'a> {
    /// Parses a list; never fails, because what is no entry is kept as a comment would be.
    pub fn parse(text: &'a [u8]) -> Self {
        let mut lines = Vec::new();
        for line in text.split(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            // The line of dependencies is kept in the entry before it and not written out again.
            if let Some(ids) = parse_depends_on(line)
                && let Some(Line::Entry(entry)) = lines.last_mut()
            {
                entry.depends_on.extend(ids);
                continue;
            }
            lines.push(match parse_entry(line) {
                Some(entry) => Line::Entry(entry),
                None => Line::Other(line),
            });
        }
        // The text ends with a line end: no line after it.
        if lines.last() == Some(&Line::Other(b"")) {
            lines.pop();
        }
        Self { lines }
    }

    /// The entries in order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry<'a>> {
        self.lines.iter().filter_map(|line| match line {
            Line::Entry(entry) => Some(entry),
            Line::Other(_) => None,
        })
    }
}

impl Entry<'_> {
    /// The entry as people know it: description, schema, name, owner.
    pub fn display(&self) -> String {
        let mut text = String::from_utf8_lossy(self.description).into_owned();
        text.push(' ');
        text.push_str(&String::from_utf8_lossy(self.rest));
        text
    }
}

/// Parses `dump id; catalog oid, oid, description and rest`.
fn parse_entry(line: &[u8]) -> Option<Entry<'_>> {
    let (dump_id, after) = parse_number(line)?;
    let after = after.strip_prefix(b"; ")?;
    let (catalog, after) = parse_number(after)?;
    let (oid, after) = parse_number(after.strip_prefix(b" ")?)?;
    let after = after.strip_prefix(b" ")?;
    let length = description_length(after, catalog);
    let (description, rest) = after.split_at_checked(length)?;
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let object = ObjectId { catalog, oid };
    Some(Entry { dump_id, object, description, rest, depends_on: Vec::new(), line })
}

/// Parses the line that follows an entry in a verbose list: `;<tab>depends on: 12 34`.
fn parse_depends_on(line: &[u8]) -> Option<Vec<u32>> {
    let ids = line.strip_prefix(b";")?.trim_ascii_start().strip_prefix(b"depends on:")?;
    let ids = ids.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    Some(ids.filter_map(|word| parse_number(word).map(|(id, _)| id)).collect())
}

/// Splits a decimal number off the front.
fn parse_number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let length = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = bytes.split_at_checked(length)?;
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

/// Length in bytes of the description at the front of a line.
///
/// Several descriptions begin like a shorter one followed by a schema of that name (`TABLE DATA` may
/// be a table of schema DATA). The catalog decides; then the longest known; an unknown one is taken
/// to be one word.
fn description_length(text: &[u8], catalog: u32) -> usize {
    let begins = |known: &str| {
        text.strip_prefix(known.as_bytes())
            .is_some_and(|after| after.is_empty() || after.starts_with(b" "))
    };
    DESCRIPTIONS
        .iter()
        .filter(|(known, _)| begins(known))
        .max_by_key(|(known, of)| (*of == catalog, known.len()))
        .map(|(known, _)| known.len())
        .unwrap_or_else(|| text.iter().position(|&byte| byte == b' ').unwrap_or(text.len()))
}

/// Descriptions that `pg_dump` 9.x to 18 writes, with the catalog that their objects are in; 0 for
/// entries that carry no catalog.
///
/// Source: output of `pg_restore --list`; catalog oids are those of `pg_class` on every server.
const DESCRIPTIONS: &[(&str, u32)] = &[
    ("ACCESS METHOD", 2601),
    ("ACL", 0),
    ("AGGREGATE", 1255),
    ("BLOB", 2613),
    ("BLOB COMMENTS", 0),
    ("BLOB METADATA", 2613),
    ("BLOBS", 0),
    ("CAST", 2605),
    ("CHECK CONSTRAINT", 2606),
    ("COLLATION", 3456),
    ("COMMENT", 0),
    ("CONSTRAINT", 2606),
    ("CONVERSION", 2607),
    ("DATABASE", 1262),
    ("DATABASE PROPERTIES", 0),
    ("DEFAULT", 2604),
    ("DEFAULT ACL", 826),
    ("DOMAIN", 1247),
    ("ENCODING", 0),
    ("EVENT TRIGGER", 3466),
    ("EXTENSION", 3079),
    ("FK CONSTRAINT", 2606),
    ("FOREIGN DATA WRAPPER", 2328),
    ("FOREIGN SERVER", 1417),
    ("FOREIGN TABLE", 1259),
    ("FUNCTION", 1255),
    ("INDEX", 1259),
    ("INDEX ATTACH", 0),
    ("LARGE OBJECT", 2613),
    ("MATERIALIZED VIEW", 1259),
    ("MATERIALIZED VIEW DATA", 0),
    ("OPERATOR", 2617),
    ("OPERATOR CLASS", 2616),
    ("OPERATOR FAMILY", 2753),
    ("POLICY", 3256),
    ("PROCEDURAL LANGUAGE", 2612),
    ("PROCEDURE", 1255),
    ("PUBLICATION", 6104),
    ("PUBLICATION TABLE", 6106),
    ("PUBLICATION TABLES IN SCHEMA", 6237),
    ("ROW SECURITY", 0),
    ("RULE", 2618),
    ("SCHEMA", 2615),
    ("SEARCHPATH", 0),
    ("SECURITY LABEL", 0),
    ("SEQUENCE", 1259),
    ("SEQUENCE OWNED BY", 0),
    ("SEQUENCE SET", 0),
    ("SERVER", 1417),
    ("SHELL TYPE", 1247),
    ("STATISTICS", 3381),
    ("STATISTICS DATA", 0),
    ("STDSTRINGS", 0),
    ("SUBSCRIPTION", 6100),
    ("SUBSCRIPTION TABLE", 0),
    ("TABLE", 1259),
    ("TABLE ATTACH", 0),
    ("TABLE DATA", 0),
    ("TABLESPACE", 1213),
    ("TEXT SEARCH CONFIGURATION", 3602),
    ("TEXT SEARCH DICTIONARY", 3600),
    ("TEXT SEARCH PARSER", 3601),
    ("TEXT SEARCH TEMPLATE", 3764),
    ("TRANSFORM", 3576),
    ("TRIGGER", 2620),
    ("TYPE", 1247),
    ("USER MAPPING", 0),
    ("VIEW", 1259),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The list of `everything.sql` as made by versions 15 and 18.
    const EVERYTHING: [&[u8]; 2] = [
        include_bytes!("../../../tests/fixtures/toc/everything-15.list"),
        include_bytes!("../../../tests/fixtures/toc/everything-18.list"),
    ];

    fn entry(line: &str) -> Entry<'_> {
        parse_entry(line.as_bytes()).unwrap()
    }

    #[test]
    fn every_line_of_real_lists_is_an_entry_or_a_comment() {
        let pagila: [&[u8]; 2] = [
            include_bytes!("../../../tests/fixtures/toc/pagila-15.list"),
            include_bytes!("../../../tests/fixtures/toc/pagila-18.list"),
        ];
        for text in EVERYTHING.into_iter().chain(pagila) {
            let toc = Toc::parse(text);
            let lines = text.split(|&byte| byte == b'\n');
            let expected =
                lines.filter(|line| line.first().is_some_and(u8::is_ascii_digit)).count();
            assert_eq!(toc.entries().count(), expected);
            assert!(expected > 100, "{expected}");
            for entry in toc.entries() {
                let known = DESCRIPTIONS.iter().any(|(d, _)| d.as_bytes() == entry.description);
                assert!(known, "{}", entry.display());
            }
        }
    }

    #[test]
    fn dependencies_belong_to_the_entry_before_them() {
        for text in EVERYTHING {
            let toc = Toc::parse(text);
            let comment =
                toc.entries().find(|e| e.display() == "COMMENT - PUBLICATION pub postgres");
            let publication = toc.entries().find(|e| e.display() == "PUBLICATION - pub postgres");
            assert_eq!(comment.unwrap().depends_on, [publication.unwrap().dump_id]);
        }
    }

    #[test]
    fn the_catalog_tells_a_long_description_from_a_schema_of_that_name() {
        assert_eq!(entry("1; 0 16384 TABLE DATA public t joe").description, b"TABLE DATA");
        assert_eq!(entry("1; 1259 16384 TABLE DATA t joe").description, b"TABLE");
        assert_eq!(entry("1; 1259 16384 TABLE TABLE TABLE DATA joe").rest, b"TABLE TABLE DATA joe");
        assert_eq!(entry("1; 826 5 DEFAULT ACL - DEFAULT x").description, b"DEFAULT ACL");
        assert_eq!(entry("1; 2604 5 DEFAULT ACL t a joe").description, b"DEFAULT");
        assert_eq!(entry("1; 6237 5 PUBLICATION TABLES IN SCHEMA s p s joe").rest, b"s p s joe");
    }

    #[test]
    fn unknown_descriptions_and_odd_rests_are_kept() {
        let unknown = entry("12; 9999 7 GRAPH public g joe");
        assert_eq!((unknown.description, unknown.rest), (&b"GRAPH"[..], &b"public g joe"[..]));
        assert_eq!(entry("12; 2605 7 CAST - CAST (a AS b) ").rest, b"- CAST (a AS b) ");
        assert_eq!(entry("12; 1259 7 TABLE public \u{fc} joe").object.oid, 7);
        for line in
            ["", ";1; 2 3 TABLE a b c", "1; 2", "1 2 3 TABLE", "99999999999; 1 2 TABLE a b", "x"]
        {
            assert_eq!(parse_entry(line.as_bytes()), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_parse_and_keep_their_lines(text in proptest::collection::vec(any::<u8>(), 0..400)) {
            let toc = Toc::parse(&text);
            prop_assert!(toc.lines.len() <= text.len() + 1);
        }

        #[test]
        fn any_words_parse(text in "([0-9]{1,3};? ?|TABLE |DATA |;|\tdepends on: |\n|-| [a-z]{1,3}){0,60}") {
            for entry in Toc::parse(text.as_bytes()).entries() {
                prop_assert!(entry.line.len() >= entry.description.len() + entry.rest.len());
            }
        }
    }
}
