//! Findings about extensions: missing, in other versions, and with members that a user has changed.
//!
//! `pg_dump` writes CREATE EXTENSION, and of the members their privileges and security labels.
//! Whatever else was changed on a member stays behind: a function that was replaced, an index or a column
//! that was added, rows of a table that is no configuration table. Where both ends have the extension in
//! one version the members are compared; where the target does not have it yet, the source's catalog shows
//! what was written after the extension.

use std::collections::BTreeSet;

use super::Facts;
use super::names::{counted, listed};
use crate::base::error::Side;
use crate::base::ident::{quote_identifier, quote_literal};
use crate::base::preflight::{Concern, Topic};
use crate::base::summary::Severity::{self, Error, Notice, Warning};
use crate::catalog::model::members::{MemberRows, Members};
use crate::catalog::model::{Extension, TableKind};

/// Everything about extensions.
pub(super) fn findings(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    if facts.wishes.skip.extensions {
        return;
    }
    for extension in &facts.catalog.extensions {
        if !facts.selection.keeps_extension(&extension.name) {
            continue;
        }
        let installed = version_of(&facts.target.extensions, &extension.name);
        if let Some(installed) = installed {
            other_version(extension, installed, found);
            continue;
        }
        match version_of(&facts.target.available_extensions, &extension.name) {
            Some(default) => {
                to_install(facts, extension, default, found);
                touched(facts, extension, found);
            }
            None => found.push(missing(facts, extension)),
        }
    }
    closed_config(facts, found);
    let (source, target) = facts.members;
    for change in changes(source, target) {
        let (side, object) = (Side::Source, change.object);
        let concern = Concern::new(change.severity, Topic::Extension, side, object, change.reason);
        found.push(concern.fix(change.fix));
    }
}

/// The version of an extension in a list.
fn version_of<'a>(list: &'a [(String, String)], name: &str) -> Option<&'a str> {
    list.iter().find(|(found, _)| found == name).map(|(_, version)| version.as_str())
}

/// A finding about an extension on the target.
fn about(
    extension: &Extension,
    severity: Severity,
    reason: impl Into<String>,
    fix: impl Into<String>,
) -> Concern {
    let object = format!("extension {}", extension.name);
    Concern::new(severity, Topic::Extension, Side::Target, object, reason).fix(fix)
}

/// An extension that the target has in another version.
fn other_version(extension: &Extension, installed: &str, found: &mut Vec<Concern>) {
    if installed == extension.version {
        return;
    }
    let reason = format!(
        "version {installed} is installed, the source has {}: its types are sent as text",
        extension.version
    );
    let name = quote_identifier(&extension.name);
    let fix = format!("ALTER EXTENSION {name} UPDATE TO {};", quote_literal(&extension.version));
    found.push(about(extension, Notice, reason, fix));
}

/// An extension that the target's server does not have, with what depends on it.
fn missing(facts: &Facts<'_>, extension: &Extension) -> Concern {
    let dependents: Vec<&str> = (facts.source_condition.dependents.iter())
        .filter(|(of, _)| *of == extension.name)
        .map(|(_, dependent)| dependent.as_str())
        .collect();
    let needed = match dependents.len() {
        0 => "nothing else depends on it".to_owned(),
        count => format!(
            "{} on it: {}",
            counted(count, "object depends", "objects depend"),
            listed(&dependents)
        ),
    };
    let reason = format!("the target's server cannot install it; {needed}");
    let fix = format!(
        "Install the package that holds it on the target's machine, DROP EXTENSION {} on the source, \
         or leave it out with --skip-extensions or [exclude-extension].",
        quote_identifier(&extension.name)
    );
    about(extension, Error, reason, fix)
}

/// An extension that is going to be created on the target.
fn to_install(facts: &Facts<'_>, extension: &Extension, default: &str, found: &mut Vec<Concern>) {
    let (server, condition) = (&facts.target.server, facts.target_condition);
    let (role, name) = (quote_identifier(&server.role), quote_identifier(&extension.name));
    if default != extension.version {
        let reason = format!(
            "the target installs version {default}, the source has {}: its types are sent as text",
            extension.version
        );
        let fix = format!(
            "CREATE EXTENSION {name} VERSION {}; on the target, or --requirements, when the same \
             version matters.",
            quote_literal(&extension.version)
        );
        found.push(about(extension, Notice, reason, fix));
    }
    if server.superuser {
        return;
    }
    let version = (condition.extensions.iter())
        .find(|found| found.name == extension.name && found.version == default);
    let Some(version) = version.filter(|version| version.superuser) else { return };
    if !version.trusted {
        let managed = condition.facts.managed_role.is_some();
        let severity = if managed { Warning } else { Error };
        let reason = format!("only a superuser can install it; {role} is none");
        let fix = format!("CREATE EXTENSION {name}; as a superuser in the target database.");
        found.push(about(extension, severity, reason, fix));
        return;
    }
    // The script of a trusted extension runs as the first superuser, who owns what it makes.
    let filled: Vec<_> = (facts.catalog.tables.iter())
        .filter(|table| table.kind == TableKind::Ordinary && table.heap_bytes > 0)
        .filter(|table| table.extension.as_ref() == Some(&extension.name))
        .filter(|table| facts.is_copied(table.oid, table.extension.as_deref()))
        .map(|table| table.name.sql())
        .collect();
    if !filled.is_empty() {
        let reason = format!(
            "its configuration tables will belong to a superuser: role {role} may not add the \
             source's rows to them"
        );
        let fix = format!(
            "CREATE EXTENSION {name}; GRANT INSERT ON {} TO {role}; as a superuser in the target \
             database.",
            listed(filled)
        );
        found.push(about(extension, Warning, reason, fix));
    }
}

/// Members that were written after the extension, where the target cannot be compared yet.
fn touched(facts: &Facts<'_>, extension: &Extension, found: &mut Vec<Concern>) {
    let of = facts.source_condition.touched.iter().filter(|(name, _)| *name == extension.name);
    for (name, object) in of {
        let reason = "it was written after the extension was installed, and pg_dump leaves members of \
                      extensions out: the target gets the extension's own";
        let object = format!("{object} of extension {name}");
        found
            .push(Concern::new(Warning, Topic::Extension, Side::Source, object, reason).fix(format!(
            "CREATE EXTENSION {}; on the target, then run check again: it compares both ends and \
                 names the statement for each difference.",
            quote_identifier(name)
        )));
    }
}

/// Configuration tables and sequences of the source that our role may not write on the target.
fn closed_config(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    let tables = (facts.catalog.tables.iter())
        .filter(|table| facts.is_copied(table.oid, table.extension.as_deref()))
        .map(|table| ("table", "INSERT ON", &table.name, &table.extension));
    let sequences = (facts.catalog.sequences.iter())
        .filter(|sequence| facts.is_copied(sequence.oid, sequence.extension.as_deref()))
        .map(|one| ("sequence", "SELECT, UPDATE ON SEQUENCE", &one.name, &one.extension));
    let role = quote_identifier(&facts.target.server.role);
    for (class, right, name, extension) in tables.chain(sequences) {
        let Some(extension) = extension else { continue };
        if !facts.target_condition.closed_config.contains(name) {
            continue;
        }
        let reason = format!(
            "it is configuration of extension {extension}, and role {role} may not bring it to what \
             the source has"
        );
        let fix = format!(
            "GRANT USAGE ON SCHEMA {} TO {role}; GRANT {right} {} TO {role};",
            quote_identifier(&name.schema),
            name.sql()
        );
        let object = format!("{class} {name}");
        found.push(Concern::new(Warning, Topic::Extension, Side::Target, object, reason).fix(fix));
    }
}

/// A member that is not the same on both ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberChange {
    /// How much it matters.
    pub severity: Severity,
    /// The member and its extension: `function public.f(integer) of extension x`.
    pub object: String,
    /// What differs, one line without a full stop.
    pub reason: String,
    /// The statement that carries it over, or where to find it.
    pub fix: String,
}

/// What differs between the members of extensions that both ends have in one version and schema.
pub fn changes(source: &Members, target: &Members) -> Vec<MemberChange> {
    let place = |members: &Members, name: &str| {
        let key = (name.to_owned(), "extension".to_owned(), "schema".to_owned());
        members.properties.get(&key).cloned()
    };
    let same: BTreeSet<&str> = (source.versions.iter())
        .filter(|(name, version)| target.versions.get(*name) == Some(version))
        .map(|(name, _)| name.as_str())
        .filter(|name| place(source, name) == place(target, name))
        .collect();
    let is_same = |name: &str| same.contains(name);
    let keys: BTreeSet<_> = (source.properties.keys().chain(target.properties.keys()))
        .filter(|(name, _, _)| is_same(name))
        .collect();
    let mut changes = Vec::new();
    for key in keys {
        let (ours, theirs) = (source.properties.get(key), target.properties.get(key));
        let (extension, object, property) = key;
        // What is said of an object that only one end has is said by its existence.
        let existence = (extension.clone(), object.clone(), "existence".to_owned());
        let on_both = |members: &Members| members.properties.contains_key(&existence);
        let alone = property != "existence" && !(on_both(source) && on_both(target));
        if ours != theirs && !alone {
            changes.push(change(extension, object, property, (ours, theirs)));
        }
    }
    for ((extension, object), ours) in source.rows.iter().filter(|((name, _), _)| is_same(name)) {
        let theirs = target.rows.get(&(extension.clone(), object.clone()));
        if let Some(theirs) = theirs.filter(|theirs| *theirs != ours) {
            changes.push(changed_rows(extension, object, ours, theirs));
        }
    }
    changes
}

/// The finding of one property.
fn change(
    extension: &str,
    object: &str,
    property: &str,
    (ours, theirs): (Option<&String>, Option<&String>),
) -> MemberChange {
    let reason = match (property, ours, theirs) {
        ("existence", Some(_), _) => {
            "it belongs to the extension on the source only: nothing of it is \
             copied, because pg_dump leaves members of extensions out"
                .to_owned()
        }
        ("existence", None, _) => "it belongs to the extension on the target only".to_owned(),
        (_, Some(_), Some(_)) => format!(
            "its {property} is not what the extension brings to the target, and pg_dump leaves members \
             of extensions out: the target keeps the extension's own"
        ),
        (_, Some(_), None) => format!(
            "its {property} is not the extension's, and pg_dump leaves members of extensions out: the \
             target does not have it"
        ),
        (_, None, _) => format!("its {property} is on the target only: the source has dropped it"),
    };
    MemberChange {
        severity: Warning,
        object: format!("{object} of extension {extension}"),
        reason,
        fix: fix(extension, object, property, (ours.map(String::as_str), theirs.is_some())),
    }
}

/// The statement that makes the target's member like the source's; `on_target` says whether the target
/// has the property, too, as something else.
fn fix(
    extension: &str,
    object: &str,
    property: &str,
    (ours, on_target): (Option<&str>, bool),
) -> String {
    let (class, name) = object.split_once(' ').unwrap_or((object, ""));
    // The words of pg_identify_object() that differ from those of statements.
    let class = match class {
        "table" | "view" | "function" | "type" | "sequence" => class,
        _ => object.rsplit_once(' ').map_or(class, |(class, _)| class),
    };
    let part = property.split_once(' ').map(|(_, part)| part).unwrap_or_default();
    let extension = quote_identifier(extension);
    match (property.split(' ').next().unwrap_or_default(), ours) {
        ("existence", Some(_)) => format!(
            "ALTER EXTENSION {extension} DROP {} {name}; on the source: then it is copied like any \
             other.",
            class.to_uppercase()
        ),
        ("comment", Some(text)) => {
            format!("COMMENT ON {} {name} IS {};", class.to_uppercase(), quote_literal(text))
        }
        ("definition", Some(_)) if class == "view" => {
            format!(
                "SELECT pg_get_viewdef('{name}'); on the source shows what to run on the target."
            )
        }
        ("definition", Some(_)) => format!(
            "SELECT pg_get_functiondef({}::regprocedure); on the source shows what to run on the \
             target.",
            quote_literal(name)
        ),
        ("column", Some(definition)) if on_target => {
            format!("ALTER TABLE {name} ALTER COLUMN {part} …; so that it is: {definition}.")
        }
        ("attribute", Some(definition)) if on_target => {
            format!("ALTER TYPE {name} ALTER ATTRIBUTE {part} TYPE {definition};")
        }
        ("trigger", Some(definition)) => trigger(name, part, definition, on_target),
        ("index" | "policy" | "constraint", Some(_)) if on_target => format!(
            "Drop {property} of {name} on the target, then run check again: it says how to make it."
        ),
        ("index" | "policy", Some(definition)) => format!("{definition};"),
        ("row", Some(words)) => format!("ALTER TABLE {name} {words} ROW LEVEL SECURITY;"),
        ("constraint", Some(definition)) => {
            let class = if class == "type" { "DOMAIN" } else { "TABLE" };
            format!("ALTER {class} {name} ADD CONSTRAINT {part} {definition};")
        }
        ("column", Some(definition)) => {
            format!(
                "ALTER TABLE {name} ADD COLUMN {part} {definition}; and copy its values by hand."
            )
        }
        ("attribute", Some(definition)) => {
            format!("ALTER TYPE {name} ADD ATTRIBUTE {part} {definition};")
        }
        ("value", Some(_)) => format!("ALTER TYPE {name} ADD VALUE {part};"),
        _ => format!(
            "Change {object} on the target as it is on the source, or DROP EXTENSION {extension} and \
             create its objects as your own."
        ),
    }
}

/// The statements that make a trigger what it is on the source. Behind its definition stands in brackets
/// when it fires, unless that is the default.
fn trigger(table: &str, trigger: &str, definition: &str, on_target: bool) -> String {
    let (create, when) = match definition.rsplit_once(" [") {
        Some((create, state)) => (create, state.trim_end_matches(']')),
        None => (definition, "O"),
    };
    let when = match when {
        "D" => "DISABLE",
        "R" => "ENABLE REPLICA",
        "A" => "ENABLE ALWAYS",
        _ => "ENABLE",
    };
    let drop = match on_target {
        true => format!("DROP TRIGGER {trigger} ON {table}; "),
        false => String::new(),
    };
    match when {
        "ENABLE" => format!("{drop}{create};"),
        when => format!("{drop}{create}; ALTER TABLE {table} {when} TRIGGER {trigger};"),
    }
}

/// The finding of rows that are the extension's own.
fn changed_rows(
    extension: &str,
    object: &str,
    ours: &MemberRows,
    theirs: &MemberRows,
) -> MemberChange {
    let name = object.split_once(' ').map(|(_, name)| name).unwrap_or(object);
    // The extension's script may have stored the time or a new identifier in a row.
    let (severity, what) = match ours.count == theirs.count {
        true => (Notice, "some differ".to_owned()),
        false => (Warning, format!("the source has {}, the target {}", ours.count, theirs.count)),
    };
    MemberChange {
        severity,
        object: format!("rows of {object} of extension {extension}"),
        reason: format!(
            "the extension does not declare them as configuration, so no tool copies them: {what}"
        ),
        fix: format!(
            "psql source -c 'COPY {name} TO STDOUT' | psql target -c 'COPY {name} FROM STDIN', with a \
             condition for the rows that are yours."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Members of one extension in version 1.
    fn members(properties: &[(&str, &str, &str)], rows: u64) -> Members {
        let key = |object: &str, property: &str| ("x".into(), object.into(), property.into());
        let mut members =
            Members { versions: [("x".into(), "1".into())].into(), ..Members::default() };
        for (object, property, value) in properties {
            members.properties.insert(key(object, "existence"), "member".into());
            members.properties.insert(key(object, property), (*value).into());
        }
        let digest = rows.to_string();
        let found = MemberRows { count: rows.min(2), digest };
        members.rows.insert(("x".into(), "table s.t".into()), found);
        members
    }

    #[test]
    fn what_is_the_same_is_no_change() {
        let one = members(&[("function s.f()", "definition", "a")], 0);
        assert_eq!(changes(&one, &one), []);
    }

    #[test]
    fn each_difference_names_member_and_statement() {
        let source = members(
            &[
                ("function s.f()", "definition", "a"),
                ("table s.t", "index i", "CREATE INDEX i ON s.t USING btree (a)"),
                ("table s.mine", "column a", "integer"),
            ],
            1,
        );
        let target =
            members(&[("function s.f()", "definition", "b"), ("table s.t", "options", "")], 0);
        let found = changes(&source, &target);
        let find = |object: &str, words: &str| {
            let hit = found.iter().any(|one| one.object == object && one.fix.contains(words));
            assert!(hit, "{object} {words}: {found:#?}");
        };
        find("function s.f() of extension x", "pg_get_functiondef('s.f()'::regprocedure)");
        find("table s.t of extension x", "CREATE INDEX i ON s.t USING btree (a);");
        find("table s.mine of extension x", "ALTER EXTENSION \"x\" DROP TABLE s.mine;");
        find("rows of table s.t of extension x", "COPY s.t TO STDOUT");
        assert!(!found.iter().any(|one| one.fix.contains("ADD COLUMN")), "{found:#?}");
        let mine = found.iter().filter(|one| one.object.starts_with("table s.mine")).count();
        assert_eq!(
            mine, 1,
            "the columns of a table that one end lacks are no findings of their own"
        );
    }

    #[test]
    fn what_both_ends_have_in_two_forms_is_not_made_twice() {
        let made = "CREATE TRIGGER g AFTER INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION f()";
        let disabled = format!("{made} [D]");
        let all = |column: &str, trigger: &str, index: &str| {
            let properties = [
                ("table s.t", "column c", column),
                ("table s.t", "trigger g", trigger),
                ("table s.t", "index i", index),
                ("type s.y", "attribute a", column),
            ];
            members(&properties, 0)
        };
        let (source, target) = (all("bigint", &disabled, "A"), all("integer", made, "B"));
        let fixes: Vec<String> = changes(&source, &target).into_iter().map(|one| one.fix).collect();
        assert_eq!(
            fixes,
            [
                "ALTER TABLE s.t ALTER COLUMN c …; so that it is: bigint.".to_owned(),
                "Drop index i of s.t on the target, then run check again: it says how to make it."
                    .to_owned(),
                format!("DROP TRIGGER g ON s.t; {made}; ALTER TABLE s.t DISABLE TRIGGER g;"),
                "ALTER TYPE s.y ALTER ATTRIBUTE a TYPE bigint;".to_owned(),
            ]
        );
        let alone = members(&[("table s.t", "trigger g", &disabled)], 0);
        let found = changes(&alone, &members(&[("table s.t", "options", "")], 0));
        let fix = format!("{made}; ALTER TABLE s.t DISABLE TRIGGER g;");
        assert!(found.iter().any(|one| one.fix == fix), "{found:#?}");
    }

    #[test]
    fn other_versions_and_places_are_not_compared() {
        let source = members(&[("function s.f()", "definition", "a")], 1);
        let mut target = members(&[("function s.f()", "definition", "b")], 0);
        target.versions.insert("x".into(), "2".into());
        assert_eq!(changes(&source, &target), []);
        target.versions.insert("x".into(), "1".into());
        let key = ("x".into(), "extension".into(), "schema".into());
        target.properties.insert(key, "elsewhere".into());
        assert_eq!(changes(&source, &target), []);
    }

    #[test]
    fn rows_that_the_script_makes_anew_are_no_warning() {
        let (source, target) = (members(&[], 3), members(&[], 4));
        assert_eq!(changes(&source, &target)[0].severity, Notice);
        assert_eq!(changes(&members(&[], 1), &members(&[], 0))[0].severity, Warning);
    }
}
