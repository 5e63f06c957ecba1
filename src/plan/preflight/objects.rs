//! Findings about objects: what the target already has, and what it lacks.

use std::collections::{BTreeSet, HashSet};

use super::Facts;
use super::names::{counted, listed};
use crate::base::error::Side;
use crate::base::ident::{QualifiedName, quote_identifier};
use crate::base::preflight::{Concern, Topic};
use crate::base::summary::Severity::{Error, Notice, Warning};
use crate::base::units::ByteSize;
use crate::catalog::model::{Oid, Table, TableKind};

/// Relations of the target that have the name of something that is going to be created.
pub(super) fn conflicts(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    let (catalog, selection) = (facts.catalog, facts.selection);
    let tables = catalog.tables.iter();
    let sequences = catalog.sequences.iter();
    let wanted: HashSet<&QualifiedName> = tables
        .filter(|table| selection.keeps_table(table.oid) && table.extension.is_none())
        .map(|table| &table.name)
        .chain(
            sequences
                .filter(|sequence| selection.keeps_sequence(sequence.oid))
                .filter(|sequence| sequence.extension.is_none())
                .map(|sequence| &sequence.name),
        )
        .collect();
    let there = facts.target.relations.iter().map(|(name, _)| name);
    let (same, others): (Vec<_>, Vec<_>) = there.partition(|name| wanted.contains(name));
    let database = || format!("database \"{}\"", facts.target.server.database);
    if !same.is_empty() && !facts.wishes.schema.drop_if_exists {
        let reason = format!("it already has {}", listed(&same));
        found.push(
            Concern::new(Error, Topic::TargetNotEmpty, Side::Target, database(), reason).fix(
                "Name an empty database, or let pgcopydb drop what it is going to create: \
                 --drop-if-exists.",
            ),
        );
    }
    if !others.is_empty() {
        let reason = format!("it has relations that the source does not have: {}", listed(&others));
        found.push(Concern::new(Notice, Topic::TargetNotEmpty, Side::Target, database(), reason));
    }
}

/// Collations that the target lacks, and those whose library has changed.
pub(super) fn collations(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    for collation in &facts.source_condition.collations {
        let object = format!("collation {}", collation.name);
        if let (Some(recorded), Some(actual)) = (&collation.recorded, &collation.actual)
            && recorded != actual
        {
            let reason = format!(
                "it was version {recorded} when it was made, the system's library now has {actual}: \
                 indexes that use it may be in the wrong order on the source"
            );
            found.push(Concern::new(Warning, Topic::Collation, Side::Source, &object, reason).fix(
                format!(
                    "REINDEX what uses it, then ALTER COLLATION {} REFRESH VERSION;",
                    collation.name.sql()
                ),
            ));
        }
        if collation.of_user && collation.provider == "i" && !facts.target_condition.facts.icu {
            let reason = "it is one of ICU, and the target's server was built without ICU";
            found.push(Concern::new(Error, Topic::Collation, Side::Target, &object, reason).fix(
                format!(
                    "Take a server that was built with ICU, or ALTER the columns that use {} on the \
                     source and leave collations out with --skip-collations.",
                    collation.name.sql()
                ),
            ));
        }
        let same =
            |other: &&crate::catalog::model::condition::UsedCollation| other.name == collation.name;
        if collation.of_user || facts.target_condition.collations.iter().any(|other| same(&other)) {
            continue;
        }
        let reason = format!("the target does not have it (locale \"{}\")", collation.locale);
        found.push(Concern::new(Error, Topic::Collation, Side::Target, &object, reason).fix(format!(
            "Install the locale on the target's machine and SELECT \
             pg_import_system_collations('pg_catalog'); or ALTER the columns that use {} on the source.",
            collation.name.sql()
        )));
    }
}

/// What relations need of the target's server.
pub(super) fn features(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    if !facts.wishes.schema.no_tablespaces {
        for name in &facts.source_condition.tablespaces {
            if facts.target.tablespaces.contains(name) {
                continue;
            }
            let reason = "relations of the source are in it, and the target does not have it";
            let object = format!("tablespace {name}");
            found.push(Concern::new(Error, Topic::Tablespace, Side::Target, object, reason).fix(
                format!(
                    "CREATE TABLESPACE {} LOCATION '…'; on the target, or leave tablespaces out with \
                     --no-tablespaces.",
                    quote_identifier(name)
                ),
            ));
        }
    }
    let there = &facts.target_condition.access_methods;
    let used: BTreeSet<&str> = (facts.catalog.tables.iter())
        .filter(|table| facts.selection.keeps_table(table.oid))
        .filter_map(|table| table.access_method.as_deref())
        .collect();
    for method in used {
        let comes_with_extension = !facts.catalog.extensions.is_empty();
        if there.is_empty() || there.iter().any(|found| found == method) || comes_with_extension {
            continue;
        }
        let reason = "tables of the source use it, and the target does not have it";
        let object = format!("access method {method}");
        found.push(
            Concern::new(Error, Topic::Feature, Side::Target, object, reason)
                .fix("ALTER TABLE … SET ACCESS METHOD heap; on the source."),
        );
    }
    let condition = &facts.source_condition.facts;
    if condition.lz4_columns > 0 && !facts.target_condition.facts.lz4 {
        let reason = format!(
            "{} of the source ({}) ask for it, and the target's server was built without: they \
             get its default compression",
            counted(
                usize::try_from(condition.lz4_columns).unwrap_or(usize::MAX),
                "column",
                "columns"
            ),
            condition.lz4_example.as_deref().unwrap_or("unknown")
        );
        found.push(
            Concern::new(Warning, Topic::Feature, Side::Target, "compression lz4", reason)
                .fix("ALTER TABLE … ALTER COLUMN … SET COMPRESSION pglz; on the source."),
        );
    }
    xml(facts, found);
    if let Some(providers) = &condition.label_providers {
        let reason = format!(
            "objects of the source have labels of {providers}: labels whose provider the target has \
             not loaded are refused"
        );
        found.push(
            Concern::new(Warning, Topic::Feature, Side::Target, "security labels", reason)
                .fix("Add the provider's library to shared_preload_libraries of the target."),
        );
    }
}

/// Hash partitions that would hold other rows on the target (T-14): they are loaded one by one.
pub(super) fn partitions(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    let tables = &facts.catalog.tables;
    for oid in &facts.source_condition.hashed_by_identifier {
        let Some(root) = tables.iter().find(|table| table.oid == *oid) else { continue };
        let rows = tables.iter().any(|table| {
            table.bytes > 0
                && table.kind == TableKind::Ordinary
                && facts.selection.copies_data(table.oid)
                && is_below(facts, table, *oid)
        });
        if !rows {
            continue;
        }
        let reason = "its rows are divided by a hash of identifiers (of an enum's labels, or of types), \
                      which are others on the target: there they belong to other partitions, and \
                      partitions are loaded one by one";
        let name = root.name.sql();
        let fix = format!(
            "Leave the rows of its partitions out with [exclude-table-data] and send them through the \
             table itself afterwards: psql SOURCE -c 'COPY (SELECT * FROM {name}) TO STDOUT' | psql TARGET \
             -c 'COPY {name} FROM STDIN'"
        );
        let object = format!("partitioned table {}", root.name);
        found.push(Concern::new(Error, Topic::Table, Side::Source, object, reason).fix(fix));
    }
}

/// Whether a partition belongs to a partitioned table, at any level.
fn is_below(facts: &Facts<'_>, table: &Table, root: Oid) -> bool {
    let mut parent = table.partition_of;
    while let Some(oid) = parent {
        if oid == root {
            return true;
        }
        let found = facts.catalog.tables.iter().find(|table| table.oid == oid);
        parent = found.and_then(|table| table.partition_of);
    }
    false
}

/// Values of type xml for a server that cannot read any.
fn xml(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    let condition = &facts.source_condition.facts;
    if condition.xml_columns == 0 || facts.target_condition.facts.xml {
        return;
    }
    let count =
        |columns: u64| counted(usize::try_from(columns).unwrap_or(usize::MAX), "column", "columns");
    let (severity, what) = if condition.xml_defaults > 0 {
        (Error, "a default or computed value cannot be created there")
    } else {
        (Warning, "rows with a value there are refused, those with NULL arrive")
    };
    let example = condition.xml_example.as_deref().unwrap_or("unknown");
    let reason = format!(
        "{} of the source ({example}) have this type, and the target's server was built without \
         libxml: {what}",
        count(condition.xml_columns)
    );
    found.push(Concern::new(severity, Topic::Feature, Side::Target, "type xml", reason).fix(format!(
        "Take a server that was built with libxml, ALTER TABLE {example} ALTER COLUMN … DROP DEFAULT, TYPE \
         text; on the source, or leave the tables out with [exclude-table]."
    )));
}

/// First major version that builds indexes and refreshes views with `pg_catalog` alone in view.
const RESTRICTED_PATH_MAJOR: u32 = 17;

/// What the source still has and the target's version has no more (D-41).
pub(super) fn lost_features(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    let to = facts.target.server.major();
    for (removed_in, object, fix) in &facts.source_condition.lost_features {
        if to < *removed_in {
            continue;
        }
        let reason = format!("version {removed_in} took it away, the target has {to}");
        let fix = format!("{fix} on the source.");
        found.push(Concern::new(Error, Topic::Feature, Side::Source, object, reason).fix(fix));
    }
}

/// Functions that may no longer find what they look for (D-11, D-17).
pub(super) fn search_paths(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    let (from, to) = (facts.catalog.server.major(), facts.target.server.major());
    if from >= RESTRICTED_PATH_MAJOR || to < RESTRICTED_PATH_MAJOR {
        return;
    }
    for (object, function) in &facts.source_condition.search_path {
        let reason = format!(
            "it calls {function}, which has no search_path of its own: version {to} builds it with \
             pg_catalog only, and fails where the function names something else without its schema"
        );
        found.push(Concern::new(Notice, Topic::Feature, Side::Target, object, reason).fix(
            format!(
                "ALTER FUNCTION {function} SET search_path = {}; on the source.",
                facts.catalog.server.search_path
            ),
        ));
    }
}

/// Event triggers of the target that fire on our statements.
pub(super) fn event_triggers(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    let replica = facts.target.may_set_replication_role;
    for (name, enabled) in &facts.target_condition.event_triggers {
        // Sessions in replica mode fire what is enabled for replicas or always.
        let fires = match enabled.as_str() {
            "O" => !replica,
            _ => true,
        };
        if !fires {
            continue;
        }
        let reason =
            "it is enabled on the target and fires on the statements that create the schema";
        found.push(
            Concern::new(
                Warning,
                Topic::EventTrigger,
                Side::Target,
                format!("event trigger {name}"),
                reason,
            )
            .fix(format!(
                "ALTER EVENT TRIGGER {0} DISABLE; before, and ALTER EVENT TRIGGER {0} ENABLE; after.",
                quote_identifier(name)
            )),
        );
    }
}

/// What the copy has to carry, for people who plan room and time.
pub(super) fn contents(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    let catalog = facts.catalog;
    let kept = || catalog.tables.iter().filter(|table| facts.selection.copies_data(table.oid));
    let rows: u64 = kept().map(|table| table.bytes).sum();
    let indexes: u64 = catalog
        .indexes
        .iter()
        .filter(|index| facts.selection.keeps_index(index.oid))
        .map(|index| index.bytes)
        .sum();
    let reason = format!(
        "tables hold {} and indexes {} on the source; SQL does not show what is free on the target's \
         disks",
        ByteSize(rows),
        ByteSize(indexes)
    );
    let fix = "df on the target's machine: twice the size leaves room for sorting and WAL.";
    found.push(Concern::new(Notice, Topic::Disk, Side::Target, "room", reason).fix(fix));
    if catalog.large_objects > 0 && !facts.wishes.skip.large_objects {
        let (severity, reason) = if facts.wishes.follow {
            (Warning, "copied once: changes of large objects are not in the stream of changes")
        } else {
            (Notice, "copied with their owners, privileges and comments")
        };
        let object = counted(
            usize::try_from(catalog.large_objects).unwrap_or(usize::MAX),
            "large object",
            "large objects",
        );
        found.push(Concern::new(severity, Topic::LargeObject, Side::Source, object, reason));
    }
    let condition = &facts.source_condition.facts;
    if condition.subscriptions > 0 {
        let reason =
            "subscriptions arrive disabled and without a slot: nothing is subscribed twice";
        found.push(
            Concern::new(Notice, Topic::Replication, Side::Source, "subscriptions", reason)
                .fix("ALTER SUBSCRIPTION … ENABLE; on the target after DISABLE on the source."),
        );
    }
    if condition.foreign_tables > 0 {
        let reason = "only the definitions of foreign tables are copied, never rows behind them";
        found.push(Concern::new(Notice, Topic::Table, Side::Source, "foreign tables", reason));
    }
    for table in kept().filter(|table| table.with_oids) {
        let reason = "its hidden oid column is not copied";
        let object = format!("table {}", table.name);
        found.push(Concern::new(Warning, Topic::Table, Side::Source, object, reason).fix(format!(
            "ALTER TABLE {} SET WITHOUT OIDS; on the source, after keeping what it holds.",
            table.name.sql()
        )));
    }
}
