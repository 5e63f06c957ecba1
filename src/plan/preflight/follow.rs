//! Findings about following changes; notices where they are not asked for.

use std::collections::HashSet;

use super::Facts;
use super::names::listed;
use crate::base::error::Side;
use crate::base::ident::{QualifiedName, quote_identifier};
use crate::base::preflight::{Concern, Topic};
use crate::base::summary::Severity::{self, Error, Notice, Warning};
use crate::base::units::ByteSize;
use crate::catalog::model::{Index, Oid, Persistence, ReplicaIdentity, Table, TableKind};

/// Age from which an open transaction is worth a line, in seconds.
///
/// Slots wait for transactions that are open, and VACUUM keeps what they may still see; what ends
/// within a minute does so before anybody could act.
const TRANSACTION_SECONDS_MIN: u64 = 60;

/// First major version whose standbys can decode changes.
const DECODING_STANDBY_MAJOR: u32 = 16;

/// The severity where changes are followed; a notice where not.
fn when_followed(facts: &Facts<'_>, severity: Severity) -> Severity {
    if facts.wishes.follow { severity } else { Notice }
}

/// What the source needs for a slot, and what keeps one waiting.
pub(super) fn replication(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    let server = &facts.catalog.server;
    let condition = &facts.source_condition.facts;
    let role = quote_identifier(&server.role);
    let mut push = |severity, object: &str, reason: String, fix: String| {
        found.push(
            Concern::new(
                when_followed(facts, severity),
                Topic::Replication,
                Side::Source,
                object,
                reason,
            )
            .fix(fix),
        );
    };
    if server.wal_level != "logical" {
        push(
            Error,
            "wal_level",
            format!("{}: changes can be followed with logical only", server.wal_level),
            "ALTER SYSTEM SET wal_level = logical; and restart the source's server.".into(),
        );
    }
    if condition.slots_left <= 0 {
        push(
            Error,
            "max_replication_slots",
            "no replication slot is left".into(),
            "SELECT pg_drop_replication_slot('…'); of one that is not used, or ALTER SYSTEM SET \
             max_replication_slots and restart."
                .into(),
        );
    }
    if condition.wal_senders_left <= 0 {
        push(
            Error,
            "max_wal_senders",
            "no WAL sender is left".into(),
            "ALTER SYSTEM SET max_wal_senders and restart the source's server.".into(),
        );
    }
    if !server.replication {
        push(
            Error,
            &format!("role {role}"),
            "it may not start replication".into(),
            format!("ALTER ROLE {role} REPLICATION; on the source."),
        );
    }
    if server.standby && server.major() < DECODING_STANDBY_MAJOR {
        push(
            Error,
            "standby",
            format!("version {} cannot decode changes on a standby", server.major()),
            "Name the primary for --source.".into(),
        );
    }
    if condition.slot_wal_keep_bytes >= 0 {
        let bytes = ByteSize(condition.slot_wal_keep_bytes.cast_unsigned());
        push(
            Warning,
            "max_slot_wal_keep_size",
            format!("{bytes}: a slot that falls behind by more is lost, and the migration with it"),
            "ALTER SYSTEM SET max_slot_wal_keep_size = -1; SELECT pg_reload_conf();".into(),
        );
    }
    transactions(facts, found);
}

/// Transactions that a slot would wait for.
fn transactions(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    for open in &facts.source_condition.transactions {
        let age = format!("open for {} s in database \"{}\"", open.seconds, open.database);
        let (object, fix, severity) = match (&open.gid, open.pid) {
            (Some(gid), _) => (
                format!("prepared transaction '{gid}'"),
                format!("COMMIT PREPARED '{gid}'; or ROLLBACK PREPARED '{gid}';"),
                Error,
            ),
            (None, Some(pid)) if open.seconds >= TRANSACTION_SECONDS_MIN => {
                let application = match open.application.as_str() {
                    "" => String::new(),
                    name => format!(" ({name})"),
                };
                let object = format!("transaction of process {pid}{application}");
                (object, format!("Wait, or SELECT pg_terminate_backend({pid});"), Warning)
            }
            _ => continue,
        };
        let reason = format!("{age}: a replication slot is created only when it has ended");
        found.push(
            Concern::new(
                when_followed(facts, severity),
                Topic::Transaction,
                Side::Source,
                object,
                reason,
            )
            .fix(fix),
        );
    }
}

/// Tables whose changes are not in the stream, or only inserts.
pub(super) fn tables(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    let catalog = facts.catalog;
    let ordinary = || {
        catalog.tables.iter().filter(|table| {
            table.kind == TableKind::Ordinary
                && table.extension.is_none()
                && facts.selection.copies_data(table.oid)
        })
    };
    let keyed: HashSet<Oid> = catalog
        .indexes
        .iter()
        .filter(|index| index.primary && index.valid)
        .map(|index| index.table_oid)
        .collect();
    let identity: HashSet<Oid> = catalog
        .indexes
        .iter()
        .filter(|index: &&Index| index.replica_identity)
        .map(|index| index.table_oid)
        .collect();
    let without = |table: &&Table| match table.replica_identity {
        ReplicaIdentity::Default => !keyed.contains(&table.oid),
        ReplicaIdentity::Index => !identity.contains(&table.oid),
        ReplicaIdentity::Nothing => true,
        ReplicaIdentity::Full => false,
    };
    let permanent = |table: &&Table| table.persistence == Persistence::Permanent;
    let names: Vec<_> =
        ordinary().filter(permanent).filter(without).map(|table| &table.name).collect();
    found.extend(not_followed(
        facts,
        "tables without replica identity",
        "updates and deletes cannot be followed",
        &names,
        |table| format!("ALTER TABLE {table} REPLICA IDENTITY FULL; or a primary key."),
    ));
    let names: Vec<_> = ordinary()
        .filter(|table| table.persistence == Persistence::Unlogged)
        .map(|table| &table.name)
        .collect();
    found.extend(not_followed(
        facts,
        "unlogged tables",
        "they are copied once, later changes are in no log",
        &names,
        |table| format!("ALTER TABLE {table} SET LOGGED; on the source."),
    ));
}

/// The finding of tables whose changes do not arrive, if there are any; the fix is for the first.
fn not_followed(
    facts: &Facts<'_>,
    what: &str,
    consequence: &str,
    names: &[&QualifiedName],
    fix: impl Fn(String) -> String,
) -> Option<Concern> {
    let first = names.first()?;
    let reason = format!("{} of them: {consequence}: {}", names.len(), listed(names));
    let severity = when_followed(facts, Warning);
    let concern = Concern::new(severity, Topic::Table, Side::Source, what, reason);
    Some(concern.fix(fix(first.sql())))
}
