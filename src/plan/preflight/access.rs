//! Findings about what our roles may do, and about the roles that objects need.

use std::collections::{BTreeMap, BTreeSet};

use super::Facts;
use super::names::{NAMES_MAX, counted, listed};
use crate::base::error::Side;
use crate::base::ident::{QualifiedName, quote_identifier};
use crate::base::preflight::{Concern, Topic};
use crate::base::summary::Severity::{Error, Notice, Warning};
use crate::catalog::model::TableKind;

/// What our role may not read on the source.
pub(super) fn source(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    let role = quote_identifier(&facts.catalog.server.role);
    let with_rows = [TableKind::Ordinary, TableKind::Partitioned, TableKind::MaterializedView];
    // pg_dump locks tables that the filters leave out as well.
    let tables = facts.catalog.tables.iter().filter(|table| {
        !table.may_select
            && facts.is_copied(table.oid, table.extension.as_deref())
            && with_rows.contains(&table.kind)
    });
    for (schema, names) in by_schema(tables.map(|table| &table.name)) {
        let objects = match names.len() {
            0..=NAMES_MAX => listed(names.iter().map(|name| name.sql())),
            _ => format!("ALL TABLES IN SCHEMA {}", quote_identifier(schema)),
        };
        let count = counted(names.len(), "table", "tables");
        let reason = format!("role {role} may not read {count}: {}", listed(&names));
        let fix = format!(
            "GRANT USAGE ON SCHEMA {} TO {role}; GRANT SELECT ON {objects} TO {role};",
            quote_identifier(schema)
        );
        let object = format!("schema {schema}");
        found.push(Concern::new(Error, Topic::Privilege, Side::Source, object, reason).fix(fix));
    }
    sequences(facts, &role, found);
    if !facts.wishes.skip.large_objects {
        large_objects(facts, &role, found);
    }
    for name in &facts.source_condition.row_security {
        let reason = format!("its policies would hide rows from role {role}");
        found.push(
            Concern::new(Error, Topic::RowSecurity, Side::Source, format!("table {name}"), reason)
                .fix(format!(
                    "ALTER ROLE {role} BYPASSRLS; on the source, or connect as a superuser."
                )),
        );
    }
    passwords(facts, &role, found);
}

/// Sequences whose value our role may not read.
fn sequences(facts: &Facts<'_>, role: &str, found: &mut Vec<Concern>) {
    let unreadable = facts.catalog.sequences.iter().filter(|sequence| {
        !sequence.may_select
            && facts.is_copied(sequence.oid, sequence.extension.as_deref())
            && facts.selection.keeps_sequence(sequence.oid)
    });
    for (schema, names) in by_schema(unreadable.map(|sequence| &sequence.name)) {
        let reason = format!(
            "role {role} may not read {}: {}",
            counted(names.len(), "sequence", "sequences"),
            listed(&names)
        );
        let fix = format!(
            "GRANT SELECT ON ALL SEQUENCES IN SCHEMA {} TO {role};",
            quote_identifier(schema)
        );
        let object = format!("schema {schema}");
        found.push(Concern::new(Error, Topic::Privilege, Side::Source, object, reason).fix(fix));
    }
}

/// Large objects that our role may not read.
fn large_objects(facts: &Facts<'_>, role: &str, found: &mut Vec<Concern>) {
    let condition = &facts.source_condition.facts;
    if condition.large_objects_unreadable == 0 || facts.catalog.server.superuser {
        return;
    }
    let example = condition.large_object_example.unwrap_or_default();
    let reason = format!(
        "role {role} may not read {} of {} large objects",
        condition.large_objects_unreadable, facts.catalog.large_objects
    );
    found.push(Concern::new(Error, Topic::LargeObject, Side::Source, "large objects", reason).fix(
        format!(
            "GRANT SELECT ON LARGE OBJECT {example} TO {role}; and the others, or connect as a \
             superuser, or leave them out with --skip-large-objects."
        ),
    ));
}

/// Passwords that cannot be copied (P-4).
fn passwords(facts: &Facts<'_>, role: &str, found: &mut Vec<Concern>) {
    let wishes = facts.wishes;
    if !wishes.roles || wishes.no_role_passwords || facts.source_condition.facts.may_read_passwords
    {
        return;
    }
    let reason = format!(
        "role {role} may not read pg_catalog.pg_authid, where the passwords of roles are: roles are \
         copied without"
    );
    found.push(Concern::new(Warning, Topic::Role, Side::Source, "passwords of roles", reason).fix(
        "Say so with --no-role-passwords and set them on the target, or connect as a superuser.",
    ));
}

/// What our role may not do on the target.
pub(super) fn target(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    let server = &facts.target.server;
    let role = quote_identifier(&server.role);
    if !server.may_create {
        let reason = format!("role {role} may not create schemas in it");
        let database = quote_identifier(&server.database);
        found.push(
            Concern::new(
                Error,
                Topic::Privilege,
                Side::Target,
                format!("database \"{}\"", server.database),
                reason,
            )
            .fix(format!("GRANT CREATE ON DATABASE {database} TO {role};")),
        );
    }
    closed_schemas(facts, &role, found);
    if !server.superuser {
        superuser_objects(facts, &role, found);
        if !facts.wishes.schema.no_owner {
            owners_without_schema(facts, found);
        }
    }
    if !facts.target.may_set_replication_role {
        let reason = format!(
            "role {role} may not set it: triggers that exist on the target would fire; the copy \
             creates triggers and foreign keys after the rows"
        );
        let fix = if server.version >= 150_000 {
            format!("GRANT SET ON PARAMETER session_replication_role TO {role};")
        } else {
            "Connect as a superuser.".to_owned()
        };
        // Following changes with triggers in place would run them twice.
        let severity = if facts.wishes.follow { Warning } else { Notice };
        found.push(
            Concern::new(
                severity,
                Topic::Privilege,
                Side::Target,
                "session_replication_role",
                reason,
            )
            .fix(fix),
        );
    }
}

/// Schemas that exist, hold something on the source, and may not be created in.
fn closed_schemas(facts: &Facts<'_>, role: &str, found: &mut Vec<Concern>) {
    let used: BTreeSet<&str> = (facts.catalog.tables.iter())
        .filter(|table| facts.selection.keeps_table(table.oid))
        .map(|table| table.name.schema.as_str())
        .chain(facts.catalog.sequences.iter().map(|sequence| sequence.name.schema.as_str()))
        .collect();
    for schema in &facts.target_condition.closed_schemas {
        if !used.contains(schema.as_str()) {
            continue;
        }
        let reason = format!("role {role} may not create tables in it");
        let fix = format!("GRANT USAGE, CREATE ON SCHEMA {} TO {role};", quote_identifier(schema));
        let object = format!("schema {schema}");
        found.push(Concern::new(Error, Topic::Privilege, Side::Target, object, reason).fix(fix));
    }
}

/// Owners that may not create in the schema of their table: ALTER TABLE … OWNER TO demands it of whoever
/// gives a table away, superusers apart, and privileges on schemas are restored after owners.
fn owners_without_schema(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    let of_schema: BTreeMap<&str, &str> = (facts.catalog.schemas.iter())
        .map(|schema| (schema.name.as_str(), schema.owner.as_str()))
        .collect();
    let owners: BTreeSet<(&str, &str)> = (facts.catalog.tables.iter())
        .filter(|table| table.extension.is_none() && facts.selection.keeps_table(table.oid))
        .map(|table| (table.name.schema.as_str(), table.owner.as_str()))
        .collect();
    for (schema, owner) in owners {
        let there = facts.target.schemas.iter().any(|found| found == schema);
        let may = match there {
            true => {
                let creators = &facts.target_condition.creators;
                creators.iter().any(|(found, role)| found == schema && role == owner)
            }
            // It is created with its owner.
            false => of_schema.get(schema) == Some(&owner),
        };
        let known = facts.target.roles.iter().any(|role| role == owner);
        if may || !known || owner == facts.target.server.role {
            continue;
        }
        let (name, role) = (quote_identifier(schema), quote_identifier(owner));
        let reason = format!(
            "it owns tables in schema {schema} and may not create there: only a superuser can give them \
             to it"
        );
        let create = if there { String::new() } else { format!("CREATE SCHEMA {name}; ") };
        found.push(
            Concern::new(Error, Topic::Role, Side::Target, format!("role {role}"), reason).fix(
                format!(
                    "{create}GRANT CREATE ON SCHEMA {name} TO {role}; on the target, or leave owners \
                     out with --no-owner."
                ),
            ),
        );
    }
}

/// Objects that only a superuser can create.
fn superuser_objects(facts: &Facts<'_>, role: &str, found: &mut Vec<Concern>) {
    let mut classes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for object in &facts.source_condition.superuser_objects {
        classes.entry(&object.class).or_default().push(&object.name);
    }
    // A cloud's administrator may do some of this: only trying shows which.
    let managed = facts.target_condition.facts.managed_role.as_ref();
    let severity = if managed.is_some() { Warning } else { Error };
    for (class, names) in classes {
        let reason = match managed {
            None => format!("only a superuser can create {}; {role} is none", listed(&names)),
            Some(managed) => format!(
                "only a superuser can create {}, or a role of the cloud such as \"{managed}\"",
                listed(&names)
            ),
        };
        found.push(Concern::new(severity, Topic::Privilege, Side::Target, class, reason).fix(
            format!(
                "ALTER ROLE {role} SUPERUSER; on the target for the time of the migration, or drop \
                 them on the source."
            ),
        ));
    }
}

/// Roles that objects need.
pub(super) fn roles(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    let schema = facts.wishes.schema;
    let server = &facts.target.server;
    let ours = quote_identifier(&server.role);
    for role in &facts.source_condition.roles {
        let owns = role.owns && !schema.no_owner;
        let granted = role.granted && !schema.no_acl;
        if !(owns || granted || role.in_policy) {
            continue;
        }
        let name = quote_identifier(&role.name);
        let object = format!("role {name}");
        let exists = facts.target.roles.contains(&role.name);
        let may_act = || {
            let known = facts.target_condition.roles.iter().find(|(found, _)| *found == role.name);
            known.is_none_or(|(_, may_act)| *may_act)
        };
        if !exists && !facts.wishes.roles {
            let uses = [
                (owns, "owns objects"),
                (granted, "is granted privileges"),
                (role.in_policy, "is named by policies"),
            ];
            let uses: Vec<&str> =
                uses.iter().filter(|(holds, _)| *holds).map(|(_, text)| *text).collect();
            let reason =
                format!("it {} on the source and does not exist on the target", uses.join(", "));
            let without = match (owns, granted, role.in_policy) {
                (_, _, true) => String::new(),
                (true, true, _) => {
                    ", or leave owners and privileges out with --no-owner --no-acl".into()
                }
                (true, false, _) => ", or leave owners out with --no-owner".into(),
                _ => ", or leave privileges out with --no-acl".into(),
            };
            found.push(Concern::new(Error, Topic::Role, Side::Target, object, reason).fix(
                format!("CREATE ROLE {name}; on the target, or copy roles with --roles{without}."),
            ));
        } else if exists && owns && !server.superuser && !may_act() {
            let reason = format!("it owns objects, and role {ours} may not give objects to it");
            found.push(Concern::new(Error, Topic::Role, Side::Target, object, reason).fix(
                format!(
                    "GRANT {name} TO {ours}; on the target, or leave owners out with --no-owner."
                ),
            ));
        }
    }
}

/// Names by schema, both in order.
fn by_schema<'a>(
    names: impl Iterator<Item = &'a QualifiedName>,
) -> BTreeMap<&'a str, Vec<&'a QualifiedName>> {
    let mut grouped: BTreeMap<&str, Vec<&QualifiedName>> = BTreeMap::new();
    for name in names {
        grouped.entry(&name.schema).or_default().push(name);
    }
    for names in grouped.values_mut() {
        names.sort();
    }
    grouped
}
