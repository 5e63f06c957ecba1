//! Findings about the two servers as such: versions, settings, limits, age.

use super::Facts;
use crate::base::error::Side;
use crate::base::ident::quote_identifier;
use crate::base::preflight::{Concern, Topic};
use crate::base::summary::Severity::{Error, Notice, Warning};

/// Transaction identifiers before a database must be frozen.
const WRAPAROUND_AGE: u64 = 1 << 31;

/// Versions and their direction.
pub(super) fn versions(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    let (source, target) = (&facts.catalog.server, &facts.target.server);
    if target.major() < source.major() {
        let reason = format!(
            "server has version {}, older than the source's {}: its schema may not be understood \
             there",
            target.version_text, source.version_text
        );
        let fix = "PostgreSQL restores into the same or a newer major version only: name a target \
                   of version "
            .to_owned()
            + &source.major().to_string()
            + " or newer.";
        found.push(
            Concern::new(Error, Topic::Version, Side::Target, database(target), reason).fix(fix),
        );
    }
    let same_server = source.system_identifier == target.system_identifier
        && source.system_identifier != 0
        && !source.standby;
    if same_server && source.database_oid == target.database_oid {
        let reason = "it is the source itself";
        found.push(
            Concern::new(Error, Topic::Connection, Side::Target, database(target), reason)
                .fix("Name another database for --target."),
        );
    }
    if target.standby {
        let reason = "the server is a standby, which cannot be written to";
        found.push(
            Concern::new(Error, Topic::Connection, Side::Target, database(target), reason)
                .fix("Name its primary for --target, or SELECT pg_promote(); on it."),
        );
    }
}

/// Settings that stand in the way, or that people should know of.
pub(super) fn settings(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    let source = &facts.catalog.server;
    if let Some(minutes) = source.old_snapshot_threshold {
        let reason = format!("{minutes} minutes: a copy that takes longer loses its snapshot");
        found.push(
            Concern::new(Error, Topic::Setting, Side::Source, "old_snapshot_threshold", reason).fix(
                "ALTER SYSTEM SET old_snapshot_threshold = -1; and restart the source's server.",
            ),
        );
    }
    let settings = &facts.target_condition.facts;
    if settings.log_statement == "all" {
        let reason = "all: the target's server writes every statement to its log, which costs time \
                      and keeps what the statements hold";
        found.push(
            Concern::new(Warning, Topic::Setting, Side::Target, "log_statement", reason)
                .fix(alter_role(facts, "log_statement = 'none'")),
        );
    }
    if settings.auto_explain {
        let reason = "auto_explain is on: the target's server plans and logs slow statements again";
        found.push(
            Concern::new(
                Warning,
                Topic::Setting,
                Side::Target,
                "auto_explain.log_min_duration",
                reason,
            )
            .fix(alter_role(facts, "auto_explain.log_min_duration = -1")),
        );
    }
    if settings.read_only {
        let reason = "on for new sessions: those of pgcopydb switch it off for themselves, and so \
                      must whoever writes afterwards";
        found.push(
            Concern::new(
                Notice,
                Topic::Setting,
                Side::Target,
                "default_transaction_read_only",
                reason,
            )
            .fix(format!(
                "ALTER DATABASE {} RESET default_transaction_read_only;",
                quote_identifier(&facts.target.server.database)
            )),
        );
    }
}

/// A setting for our role on the target.
fn alter_role(facts: &Facts<'_>, setting: &str) -> String {
    format!("ALTER ROLE {} SET {setting};", quote_identifier(&facts.target.server.role))
}

/// Sessions and locks that may run out.
pub(super) fn limits(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    let jobs = facts.wishes.jobs;
    // One session holds the snapshot, one belongs to pg_dump; on the target one holds the lock.
    let wanted = [
        (Side::Source, &facts.catalog.server, jobs.table + jobs.large_objects + 2),
        (Side::Target, &facts.target.server, jobs.table + jobs.index + jobs.large_objects + 1),
    ];
    for (side, server, sessions) in wanted {
        if server.connections_max < sessions {
            let reason = format!(
                "role \"{}\" may open {} sessions, up to {sessions} are wanted: fewer workers will \
                 run at once",
                server.role, server.connections_max
            );
            found.push(
                Concern::new(Warning, Topic::Limit, side, "max_connections", reason)
                    .fix("Lower --table-jobs, --index-jobs and --large-objects-jobs."),
            );
        }
    }
    let tables = facts.catalog.tables.len() as u64;
    let slots = facts.source_condition.facts.lock_slots;
    if slots > 0 && tables > slots {
        let reason = format!(
            "pg_dump locks all {tables} tables at once, and the server's lock table has room for \
             about {slots}"
        );
        let each = tables / u64::from(facts.catalog.server.connections_max.max(1)) + 64;
        found.push(
            Concern::new(Warning, Topic::Limit, Side::Source, "max_locks_per_transaction", reason)
                .fix(format!(
                    "ALTER SYSTEM SET max_locks_per_transaction = {each}; and restart the source's \
                     server."
                )),
        );
    }
}

/// Age of transaction identifiers (S-23) and of collations' libraries.
pub(super) fn ages(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    let age = u64::from(facts.catalog.server.frozen_xid_age);
    let percent = age * 100 / WRAPAROUND_AGE;
    if percent >= 75 {
        let severity = if percent >= 95 { Error } else { Warning };
        let reason = format!(
            "{age} transactions old, {percent} % of what ends in a shutdown; the snapshot of a copy \
             keeps VACUUM from making it younger"
        );
        found.push(
            Concern::new(
                severity,
                Topic::Wraparound,
                Side::Source,
                database(&facts.catalog.server),
                reason,
            )
            .fix("VACUUM FREEZE; in the source database, before the copy."),
        );
    }
    let (source, target) = (&facts.source_condition.facts, &facts.target_condition.facts);
    let ends = [
        (Side::Source, &facts.catalog.server, &source.collation_recorded, &source.collation_actual),
        (Side::Target, &facts.target.server, &target.collation_recorded, &target.collation_actual),
    ];
    for (side, server, recorded, actual) in ends {
        let (Some(recorded), Some(actual)) = (recorded, actual) else { continue };
        if recorded == actual {
            continue;
        }
        let reason = format!(
            "its collation was version {recorded} when it was made, the system's library now has \
             {actual}: indexes on text may be in the wrong order there"
        );
        let name = quote_identifier(&server.database);
        found.push(Concern::new(Warning, Topic::Collation, side, database(server), reason).fix(
            format!("REINDEX DATABASE {name}; ALTER DATABASE {name} REFRESH COLLATION VERSION;"),
        ));
    }
}

/// What could not be examined.
pub(super) fn unchecked(facts: &Facts<'_>, found: &mut Vec<Concern>) {
    let lines = [
        (Side::Source, &facts.source_condition.unchecked),
        (Side::Target, &facts.target_condition.unchecked),
    ];
    for (side, lines) in lines {
        found.extend(lines.iter().map(|line| {
            Concern::new(Notice, Topic::Unchecked, side, "a part of this examination", line)
        }));
    }
}

/// A database as people name it.
pub(super) fn database(server: &crate::catalog::model::ServerFacts) -> String {
    format!("database \"{}\"", server.database)
}
