//! Which entries of an archive are restored: a list in, an edited list and the reasons out. Pure.

use std::collections::{HashMap, HashSet};

use super::toc::{Entry, Line, ObjectId, Toc};

/// Catalogs by their oid, the same on every server.
pub mod catalog {
    /// `pg_class`: tables, indexes, sequences, views.
    pub const CLASS: u32 = 1259;
    /// `pg_constraint`.
    pub const CONSTRAINT: u32 = 2606;
    /// `pg_attrdef`: column defaults.
    pub const ATTRDEF: u32 = 2604;
    /// `pg_namespace`.
    pub const NAMESPACE: u32 = 2615;
    /// `pg_proc`.
    pub const PROC: u32 = 1255;
    /// `pg_type`.
    pub const TYPE: u32 = 1247;
    /// `pg_extension`.
    pub const EXTENSION: u32 = 3079;
    /// `pg_trigger`.
    pub const TRIGGER: u32 = 2620;
    /// `pg_publication`.
    pub const PUBLICATION: u32 = 6104;
}

/// What to leave out.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Objects that will not exist on the target, by their identity on the source. What cannot be
    /// without them (comments, privileges, indexes, triggers, OWNED BY, …) goes with them. The
    /// sequence of an identity column must be named here together with its table: the list does not
    /// tell it from a sequence that others use.
    pub excluded: HashSet<ObjectId>,
    /// Objects that other jobs create: only their own entries go, so that comments on them are
    /// restored afterwards.
    pub built: HashSet<ObjectId>,
    /// Source oids of schemas whose names exist on the target: the schema stays as it is there, its
    /// comment and privileges are restored.
    pub existing_schemas: HashSet<u32>,
    /// Source oids of materialized views that are not refreshed.
    pub not_refreshed: HashSet<u32>,
    /// Extensions are there already or not wanted; their comments go, too.
    pub skip_extensions: bool,
    /// Schemas that hold members of extensions; without the extensions they go, unless they hold more.
    pub extension_schemas: HashSet<String>,
    /// COMMENT ON EXTENSION needs the extension's owner, which managed services do not give.
    pub skip_extension_comments: bool,
    /// Collations are there already or not wanted; their comments go, too.
    pub skip_collations: bool,
}

/// Why an entry is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// It is about the database itself, which the target brings.
    Database,
    /// The schema exists on the target.
    SchemaExists,
    /// It is in [`Rules::excluded`].
    Excluded,
    /// It cannot be without another entry that is left out; the number is that entry's dump id.
    BelongsTo(u32),
    /// It is in [`Rules::built`].
    Built,
    /// `--skip-extensions`: an extension, or a schema that holds nothing else.
    Extension,
    /// `--skip-ext-comments`.
    ExtensionComment,
    /// `--skip-collations`.
    Collation,
    /// It is in [`Rules::not_refreshed`].
    NotRefreshed,
}

/// The result of filtering.
#[derive(Debug, Clone)]
pub struct Filtered<'a> {
    /// The list for `pg_restore --use-list`.
    pub list: Vec<u8>,
    /// How many entries stay.
    pub kept_count: u64,
    /// What is left out, in the order of the list.
    pub left_out: Vec<(Entry<'a>, Reason)>,
}

/// Edits a list by rules.
pub fn filter<'a>(toc: &Toc<'a>, rules: &Rules) -> Filtered<'a> {
    let reasons = decide(toc, rules);
    let mut filtered = Filtered { list: Vec::new(), kept_count: 0, left_out: Vec::new() };
    for line in &toc.lines {
        match line {
            Line::Other(text) => filtered.list.extend_from_slice(text),
            Line::Entry(entry) => {
                match reasons.get(&entry.dump_id) {
                    Some(reason) => {
                        filtered.list.push(b';');
                        filtered.left_out.push((entry.clone(), *reason));
                    }
                    None => filtered.kept_count += 1,
                }
                filtered.list.extend_from_slice(entry.line);
            }
        }
        filtered.list.push(b'\n');
    }
    filtered
}

/// Comments out of an edited list what is not among `wanted`, by dump id; returns the list and how many
/// entries stay.
pub fn keep_only(list: &[u8], wanted: &HashSet<u32>) -> (Vec<u8>, u64) {
    let mut kept = Vec::with_capacity(list.len());
    let mut count = 0;
    for line in &Toc::parse(list).lines {
        match line {
            Line::Other(text) => kept.extend_from_slice(text),
            Line::Entry(entry) => {
                if wanted.contains(&entry.dump_id) {
                    count += 1;
                } else {
                    kept.push(b';');
                }
                kept.extend_from_slice(entry.line);
            }
        }
        kept.push(b'\n');
    }
    (kept, count)
}

/// Entries that must come after everything else, by dump id: event triggers, which would fire on our
/// own statements, and what hangs on them (D-22).
pub fn last_of_all(toc: &Toc<'_>) -> HashSet<u32> {
    let triggers: HashSet<u32> = toc
        .entries()
        .filter(|entry| entry.description == b"EVENT TRIGGER")
        .map(|entry| entry.dump_id)
        .collect();
    let hanging = toc.entries().filter(|entry| {
        is_attached(entry) && entry.depends_on.iter().any(|id| triggers.contains(id))
    });
    let hanging: Vec<u32> = hanging.map(|entry| entry.dump_id).collect();
    triggers.into_iter().chain(hanging).collect()
}

/// Finds the entries to leave out, by dump id.
fn decide(toc: &Toc<'_>, rules: &Rules) -> HashMap<u32, Reason> {
    let mut reasons = HashMap::new();
    // Entries whose absence takes along what hangs on them; not those that others create.
    let mut gone = HashSet::new();
    let mut extensions = HashSet::new();
    let mut collations = HashSet::new();
    // OWNED BY entries name only the sequence; the table is among what the sequence depends on.
    let mut sequences: HashMap<u32, &[u32]> = HashMap::new();
    for entry in toc.entries() {
        if entry.description == b"EXTENSION" {
            extensions.insert(entry.dump_id);
        } else if entry.description == b"COLLATION" {
            collations.insert(entry.dump_id);
        } else if entry.description == b"SEQUENCE" {
            sequences.insert(entry.dump_id, &entry.depends_on);
        }
        let alone = decide_alone(entry, rules)
            .or_else(|| holds_extensions_only(entry, toc, rules).then_some(Reason::Extension));
        if let Some(reason) = alone {
            reasons.insert(entry.dump_id, reason);
            let schema = entry.description == b"SCHEMA" && reason == Reason::Extension;
            if matches!(reason, Reason::Database | Reason::Excluded) || schema {
                gone.insert(entry.dump_id);
            }
        }
    }
    let skip_extension_comments = rules.skip_extensions || rules.skip_extension_comments;
    // An entry may stand before what it depends on (dependencies are no order), and may hang on one
    // that hangs on another (a comment on an index of an excluded table): repeat until nothing
    // changes. The depth of such chains is about three.
    loop {
        let before = reasons.len();
        for entry in toc.entries().filter(|entry| is_attached(entry)) {
            if reasons.contains_key(&entry.dump_id) {
                continue;
            }
            let of_extension = || entry.depends_on.iter().any(|id| extensions.contains(id));
            let through = entry.depends_on.iter().filter_map(|id| sequences.get(id)).copied();
            let through = through.flatten().filter(|_| entry.description == b"SEQUENCE OWNED BY");
            let owner = entry.depends_on.iter().chain(through).find(|id| gone.contains(*id));
            if let Some(owner) = owner {
                reasons.insert(entry.dump_id, Reason::BelongsTo(*owner));
                gone.insert(entry.dump_id);
            } else if skip_extension_comments && entry.description == b"COMMENT" && of_extension() {
                reasons.insert(entry.dump_id, Reason::ExtensionComment);
            } else if rules.skip_collations
                && entry.description == b"COMMENT"
                && entry.depends_on.iter().any(|id| collations.contains(id))
            {
                reasons.insert(entry.dump_id, Reason::Collation);
            }
        }
        if reasons.len() == before {
            return reasons;
        }
    }
}

/// Decides by an entry alone.
fn decide_alone(entry: &Entry<'_>, rules: &Rules) -> Option<Reason> {
    let oid = entry.object.oid;
    if entry.object != (ObjectId { catalog: 0, oid: 0 }) {
        if rules.excluded.contains(&entry.object) {
            return Some(Reason::Excluded);
        }
        if rules.built.contains(&entry.object) {
            return Some(Reason::Built);
        }
    }
    match entry.description {
        b"DATABASE" | b"DATABASE PROPERTIES" => Some(Reason::Database),
        b"SCHEMA" if rules.existing_schemas.contains(&oid) => Some(Reason::SchemaExists),
        b"EXTENSION" if rules.skip_extensions => Some(Reason::Extension),
        b"COLLATION" if rules.skip_collations => Some(Reason::Collation),
        b"MATERIALIZED VIEW DATA" if rules.not_refreshed.contains(&oid) => {
            Some(Reason::NotRefreshed)
        }
        _ => None,
    }
}

/// Whether an entry is a schema that is of no use without the extensions that are left out.
fn holds_extensions_only(entry: &Entry<'_>, toc: &Toc<'_>, rules: &Rules) -> bool {
    if !rules.skip_extensions || entry.description != b"SCHEMA" {
        return false;
    }
    // The rest of a schema's entry is `- name owner`; names may hold blanks.
    let is_it = |name: &&String| {
        entry.rest.strip_prefix(b"- ").is_some_and(|rest| begins_with_word(rest, name.as_bytes()))
    };
    let Some(name) = rules.extension_schemas.iter().find(is_it) else { return false };
    !toc.entries().any(|other| begins_with_word(other.rest, name.as_bytes()))
}

/// Whether a text begins with a word and a blank after it.
fn begins_with_word(text: &[u8], word: &[u8]) -> bool {
    text.strip_prefix(word).is_some_and(|rest| rest.first() == Some(&b' '))
}

/// Whether an entry is a part or a property of what it depends on, so that it goes with it. Views,
/// functions and other objects of their own are not: that they depend on something left out is for
/// the filter to settle, and an error of `pg_restore` when it did not.
fn is_attached(entry: &Entry<'_>) -> bool {
    matches!(
        entry.description,
        b"ACL"
            | b"BLOB METADATA"
            | b"CHECK CONSTRAINT"
            | b"COMMENT"
            | b"CONSTRAINT"
            | b"DEFAULT"
            | b"DEFAULT ACL"
            | b"FK CONSTRAINT"
            | b"INDEX"
            | b"INDEX ATTACH"
            | b"MATERIALIZED VIEW DATA"
            | b"POLICY"
            | b"PUBLICATION TABLE"
            | b"PUBLICATION TABLES IN SCHEMA"
            | b"ROW SECURITY"
            | b"RULE"
            | b"SECURITY LABEL"
            | b"SEQUENCE OWNED BY"
            | b"SEQUENCE SET"
            | b"STATISTICS"
            | b"STATISTICS DATA"
            | b"SUBSCRIPTION TABLE"
            | b"TABLE ATTACH"
            | b"TABLE DATA"
            | b"TRIGGER"
            | b"USER MAPPING"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_commented_out_stays_so_and_other_sections_join_it() {
        let list = b"; head\n1; 2615 5 SCHEMA - s postgres\n;2; 1259 6 TABLE s t postgres\n\
                     3; 2606 7 CONSTRAINT s t t_pkey postgres\n";
        let (kept, count) = keep_only(list, &HashSet::from([2, 3]));
        let text = String::from_utf8(kept).expect("a list is text here");
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines[1], ";1; 2615 5 SCHEMA - s postgres");
        assert_eq!(lines[2], ";2; 1259 6 TABLE s t postgres");
        assert_eq!(lines[3], "3; 2606 7 CONSTRAINT s t t_pkey postgres");
        assert_eq!(count, 1);
    }

    // trap D-22
    #[test]
    fn event_triggers_and_their_comments_come_last_of_all() {
        for text in EVERYTHING {
            let toc = Toc::parse(text);
            let last = last_of_all(&toc);
            let names: Vec<String> = toc
                .entries()
                .filter(|entry| last.contains(&entry.dump_id))
                .map(Entry::display)
                .collect();
            let expected = [
                "COMMENT - EVENT TRIGGER evt_start postgres",
                "EVENT TRIGGER - evt_start postgres",
            ];
            let mut sorted = names.clone();
            sorted.sort();
            assert_eq!(sorted, expected);
        }
    }

    const EVERYTHING: [&[u8]; 2] = [
        include_bytes!("../../../tests/fixtures/toc/everything-15.list"),
        include_bytes!("../../../tests/fixtures/toc/everything-18.list"),
    ];

    /// The object that an entry of a list stands for.
    fn object(toc: &Toc<'_>, display: &str) -> ObjectId {
        toc.entries().find(|entry| entry.display() == display).expect(display).object
    }

    /// What is left out by the rules, in words; the database's entry always goes.
    fn left_out(filtered: &Filtered<'_>) -> Vec<String> {
        let by_rule = filtered.left_out.iter().filter(|(_, reason)| *reason != Reason::Database);
        by_rule.map(|(entry, _)| entry.display()).collect()
    }

    #[test]
    fn without_rules_only_the_database_goes_and_the_rest_is_kept_byte_for_byte() {
        for text in EVERYTHING {
            let toc = Toc::parse(text);
            let filtered = filter(&toc, &Rules::default());
            let gone: Vec<_> = filtered
                .left_out
                .iter()
                .map(|(entry, reason)| (entry.display(), *reason))
                .collect();
            assert_eq!(gone, [("DATABASE - ev postgres".to_owned(), Reason::Database)]);
            assert_eq!(filtered.kept_count + 1, toc.entries().count() as u64);
            let mut expected = Vec::new();
            for line in text.split_inclusive(|&byte| byte == b'\n') {
                if line.ends_with(b" DATABASE - ev postgres\n") {
                    expected.push(b';');
                }
                if !line.starts_with(b";\tdepends on:") {
                    expected.extend_from_slice(line);
                }
            }
            assert_eq!(String::from_utf8(filtered.list), String::from_utf8(expected));
        }
    }

    #[test]
    fn what_hangs_on_an_excluded_table_goes_with_it_and_nothing_else() {
        for text in EVERYTHING {
            let toc = Toc::parse(text);
            let table = "TABLE schema with spaces table with spaces; 1; 2 toc owner with spaces";
            let excluded = HashSet::from([object(&toc, table)]);
            let filtered = filter(&toc, &Rules { excluded, ..Rules::default() });
            assert_eq!(
                left_out(&filtered),
                [
                    table,
                    "COMMENT schema with spaces TABLE \"table with spaces; 1; 2\" toc owner with spaces",
                    "COMMENT schema with spaces COLUMN \"table with spaces; 1; 2\".\"col with . dot\" toc owner with spaces",
                    "CONSTRAINT schema with spaces table with spaces; 1; 2 table with spaces; 1; 2_pkey toc owner with spaces",
                ]
            );
        }
    }

    #[test]
    fn every_kind_of_attachment_goes_with_its_table() {
        for text in EVERYTHING {
            let toc = Toc::parse(text);
            let excluded = HashSet::from([object(&toc, "TABLE plain t postgres")]);
            let filtered = filter(&toc, &Rules { excluded, ..Rules::default() });
            let gone = left_out(&filtered);
            for expected in [
                "ACL plain TABLE t postgres",
                "ACL plain COLUMN t.a postgres",
                "COMMENT plain CONSTRAINT a_positive ON t postgres",
                "CONSTRAINT plain t t_pkey postgres",
                "COMMENT plain CONSTRAINT t_pkey ON t postgres",
                "INDEX plain t_expr postgres",
                "COMMENT plain INDEX t_a postgres",
                "STATISTICS plain t_stats postgres",
                "COMMENT plain STATISTICS t_stats postgres",
                "TRIGGER plain t t_cons postgres",
                "COMMENT plain TRIGGER t_before ON t postgres",
                "FK CONSTRAINT plain child child_t_id_fkey postgres",
                "FK CONSTRAINT plain late late_fk postgres",
                "COMMENT plain CONSTRAINT late_fk ON late postgres",
                "POLICY plain t read all postgres",
                "COMMENT plain POLICY \"read all\" ON t postgres",
                "ROW SECURITY plain t postgres",
                "PUBLICATION TABLE plain pub t postgres",
                "SEQUENCE OWNED BY plain owned postgres",
            ] {
                assert!(gone.iter().any(|entry| entry == expected), "{expected}: {gone:#?}");
            }
            for kept in [
                "TABLE plain child postgres",
                "SEQUENCE plain owned postgres",
                "VIEW plain v postgres",
            ] {
                assert!(!gone.iter().any(|entry| entry == kept), "{kept}");
            }
        }
    }

    #[test]
    fn comments_stay_on_what_other_jobs_build() {
        for text in EVERYTHING {
            let toc = Toc::parse(text);
            let entries = [
                "CONSTRAINT plain t t_pkey postgres",
                "FK CONSTRAINT plain late late_fk postgres",
                "INDEX plain t_a postgres",
            ];
            let built = entries.iter().map(|entry| object(&toc, entry)).collect();
            let mut gone = left_out(&filter(&toc, &Rules { built, ..Rules::default() }));
            gone.sort();
            assert_eq!(gone, entries);
        }
    }

    #[test]
    fn existing_schema_goes_without_its_comment_and_privileges() {
        for text in EVERYTHING {
            let toc = Toc::parse(text);
            let plain = object(&toc, "SCHEMA - plain postgres");
            let existing_schemas = HashSet::from([plain.oid]);
            let filtered = filter(&toc, &Rules { existing_schemas, ..Rules::default() });
            assert_eq!(left_out(&filtered), ["SCHEMA - plain postgres"]);
        }
    }

    #[test]
    fn extensions_and_collations_go_when_asked() {
        let toc = Toc::parse(EVERYTHING[0]);
        let comments = Rules { skip_extension_comments: true, ..Rules::default() };
        assert_eq!(left_out(&filter(&toc, &comments)), ["COMMENT - EXTENSION hstore "]);
        let extensions = Rules { skip_extensions: true, ..Rules::default() };
        assert_eq!(
            left_out(&filter(&toc, &extensions)),
            ["EXTENSION - hstore ", "COMMENT - EXTENSION hstore "]
        );
        let collations = Rules { skip_collations: true, ..Rules::default() };
        assert_eq!(left_out(&filter(&toc, &collations)), ["COLLATION plain german postgres"]);
    }

    #[test]
    fn index_tree_of_an_excluded_partition_goes_and_the_rest_stays_attached() {
        for text in EVERYTHING {
            let toc = Toc::parse(text);
            let excluded = HashSet::from([object(&toc, "TABLE plain parted_1 postgres")]);
            let mut gone = left_out(&filter(&toc, &Rules { excluded, ..Rules::default() }));
            gone.sort();
            assert_eq!(
                gone,
                [
                    "CONSTRAINT plain parted_1 parted_1_pkey postgres",
                    "INDEX ATTACH plain parted_1_pkey postgres",
                    "INDEX ATTACH plain parted_1_v_idx postgres",
                    "INDEX plain parted_1_v_idx postgres",
                    "TABLE ATTACH plain parted_1 postgres",
                    "TABLE plain parted_1 postgres",
                ]
            );
        }
    }

    #[test]
    fn unrefreshed_view_keeps_its_definition() {
        for text in EVERYTHING {
            let toc = Toc::parse(text);
            let view = object(&toc, "MATERIALIZED VIEW plain mv postgres");
            let not_refreshed = HashSet::from([view.oid]);
            let filtered = filter(&toc, &Rules { not_refreshed, ..Rules::default() });
            assert_eq!(left_out(&filtered), ["MATERIALIZED VIEW DATA plain mv postgres"]);
        }
    }
}
