//! Whose run a work directory belongs to, and whether it may be continued.

use std::time::SystemTime;

use ring::rand::{SecureRandom as _, SystemRandom};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::epoch_seconds;
use crate::base::error::{Error, Result};

/// How much of a long option value a message shows, in characters.
const SHOWN_VALUE_MAX: usize = 80;

/// A database and the server it is on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Database {
    /// `system_identifier` of the cluster; 0 where the role may not read it.
    pub system_identifier: u64,
    /// `pg_database.oid`.
    pub oid: u32,
    /// Name.
    pub name: String,
    /// Connection string without secrets, for messages.
    pub uri: String,
}

/// What must be the same for a run to be continued.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The database that is read.
    pub source: Database,
    /// The database that is written.
    pub target: Database,
    /// Options that may not change in between, by name: text of the filter file, split settings,
    /// what is skipped.
    pub options: Vec<(String, String)>,
    /// The command line, for the log of commands; no secrets.
    pub command_line: String,
}

/// What the user wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// Continue what there is, begin when there is nothing.
    Continue,
    /// Nothing is on the target yet: forget a run that did nothing, whatever its options were.
    Begin,
    /// Continue what there is with options of its own: a step of a migration.
    Step,
    /// Forget what there is (`--restart`).
    Restart,
}

/// A run that may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Random identity, 32 hexadecimal digits.
    pub run_id: String,
    /// How many times it has been started, this time included.
    pub epoch: u32,
    /// The snapshot that the start before this one exported or was given.
    pub snapshot: Option<String>,
    /// When it was begun, in seconds since 1970.
    pub created_at: i64,
}

/// What a work directory says about a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// Nothing was here; a run begins.
    Fresh(Run),
    /// An earlier start of the same run did not come to its end.
    Resume(Run),
    /// The run is complete: nothing is left to do.
    Complete(Run),
}

/// Compares, refuses or registers one more start.
pub(super) fn open_run(
    connection: &mut Connection,
    identity: &Identity,
    intent: Intent,
) -> Result<Result<Opening>, rusqlite::Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let forget = match (intent, read_run(&transaction)?) {
        (Intent::Restart, _) => true,
        (Intent::Begin, Some((recorded, _, false))) => {
            if let Err(error) = compare_ends(&recorded, identity) {
                return Ok(Err(error));
            }
            true
        }
        (Intent::Begin | Intent::Continue | Intent::Step, _) => false,
    };
    if forget {
        transaction.execute_batch(
            "delete from run; delete from setup; delete from summary; delete from process; \
             delete from timings; delete from s_table; delete from s_index;",
        )?;
    }
    let opening = match read_run(&transaction)? {
        None => {
            let run_id = match random_id() {
                Ok(id) => id,
                Err(error) => return Ok(Err(error)),
            };
            let created_at = epoch_seconds(SystemTime::now());
            let run = Run { run_id, epoch: 1, snapshot: None, created_at };
            insert_run(&transaction, identity, &run)?;
            Opening::Fresh(run)
        }
        Some((recorded, run, finished)) => {
            let compared = match intent {
                Intent::Step => compare_ends(&recorded, identity),
                _ => compare(&recorded, identity),
            };
            if let Err(error) = compared {
                return Ok(Err(error));
            }
            let run = Run { epoch: run.epoch + 1, ..run };
            transaction.execute("update run set epoch = ?1", params![run.epoch])?;
            if finished { Opening::Complete(run) } else { Opening::Resume(run) }
        }
    };
    let (Opening::Fresh(run) | Opening::Resume(run) | Opening::Complete(run)) = &opening;
    transaction.execute(
        "insert into command_log(started_at, cmdline, epoch) values (?1, ?2, ?3)",
        params![epoch_seconds(SystemTime::now()), identity.command_line, run.epoch],
    )?;
    // What the start before this one had in hand is not running any more.
    transaction
        .execute_batch("delete from process; delete from summary where done_time_epoch is null;")?;
    transaction.commit()?;
    Ok(Ok(opening))
}

/// Remembers the snapshot.
pub(super) fn set_snapshot(
    connection: &Connection,
    snapshot: Option<&str>,
) -> Result<(), rusqlite::Error> {
    connection.execute("update run set snapshot = ?1", params![snapshot])?;
    connection.execute("update setup set snapshot = ?1", params![snapshot])?;
    Ok(())
}

/// Marks the run as complete.
pub(super) fn finish(connection: &Connection) -> Result<(), rusqlite::Error> {
    let now = epoch_seconds(SystemTime::now());
    connection.execute("update run set finished_at = ?1", params![now])?;
    Ok(())
}

/// Reads the recorded run, and whether it is complete.
fn read_run(connection: &Connection) -> Result<Option<(Identity, Run, bool)>, rusqlite::Error> {
    let sql = "select source_system_identifier, source_database_oid, source_database, source_uri, \
               target_system_identifier, target_database_oid, target_database, target_uri, \
               options, run_id, epoch, snapshot, created_at, finished_at is not null from run";
    connection
        .query_row(sql, [], |row| {
            let database = |first: usize| -> Result<Database, rusqlite::Error> {
                let identifier: String = row.get(first)?;
                Ok(Database {
                    system_identifier: identifier.parse().unwrap_or(0),
                    oid: row.get(first + 1)?,
                    name: row.get(first + 2)?,
                    uri: row.get(first + 3)?,
                })
            };
            let options: String = row.get(8)?;
            let identity = Identity {
                source: database(0)?,
                target: database(4)?,
                options: serde_json::from_str(&options).unwrap_or_default(),
                command_line: String::new(),
            };
            let run = Run {
                run_id: row.get(9)?,
                epoch: row.get(10)?,
                snapshot: row.get(11)?,
                created_at: row.get(12)?,
            };
            Ok((identity, run, row.get(13)?))
        })
        .optional()
}

/// Records a new run.
fn insert_run(
    connection: &Connection,
    identity: &Identity,
    run: &Run,
) -> Result<(), rusqlite::Error> {
    let Identity { source, target, options, .. } = identity;
    let options_json = serde_json::to_string(options).unwrap_or_default();
    connection.execute(
        "insert into run(id, run_id, epoch, source_system_identifier, source_database_oid, \
         source_database, source_uri, target_system_identifier, target_database_oid, \
         target_database, target_uri, options, created_at) \
         values (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            run.run_id,
            run.epoch,
            source.system_identifier.to_string(),
            source.oid,
            source.name,
            source.uri,
            target.system_identifier.to_string(),
            target.oid,
            target.name,
            target.uri,
            options_json,
            run.created_at,
        ],
    )?;
    let option = |name: &str| options.iter().find(|(n, _)| n == name).map(|(_, value)| value);
    connection.execute(
        "insert into setup(id, source_pg_uri, target_pg_uri, split_tables_larger_than, \
         split_max_parts, filters) values (1, ?1, ?2, ?3, ?4, ?5)",
        params![
            source.uri,
            target.uri,
            option("split-tables-larger-than"),
            option("split-max-parts"),
            option("filters")
        ],
    )?;
    Ok(())
}

/// Refuses to continue a run with another identity.
fn compare(recorded: &Identity, current: &Identity) -> Result<()> {
    compare_ends(recorded, current)?;
    let value = |identity: &Identity, name: &str| {
        identity.options.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
    };
    // A step of a migration recorded none: each has its own.
    if recorded.options.is_empty() {
        return Ok(());
    }
    for (name, _) in recorded.options.iter().chain(&current.options) {
        let (before, now) = (value(recorded, name), value(current, name));
        if before != now {
            return Err(other_run(format!(
                "with {name} {} and is called with {}",
                shown(before.as_deref()),
                shown(now.as_deref())
            ))
            .hint(format!("Give {name} as before, or start over with --restart.")));
        }
    }
    Ok(())
}

/// Refuses other databases.
fn compare_ends(recorded: &Identity, current: &Identity) -> Result<()> {
    compare_database("source", &recorded.source, &current.source)?;
    compare_database("target", &recorded.target, &current.target)
}

/// Refuses another database.
///
/// The cluster's identifier and the database's oid decide where they are known: an address may
/// change, and two addresses may lead to the same server. An address that changed is told, because
/// a restored copy has the same identifiers.
fn compare_database(side: &str, recorded: &Database, current: &Database) -> Result<()> {
    let known = recorded.system_identifier != 0 && current.system_identifier != 0;
    let refuse = |before: String, now: String| {
        Err(other_run(format!("for the {side} {before} and is called for {now}")).hint(
            "Name the same databases as before, use another --dir, or start over with --restart.",
        ))
    };
    if known && recorded.system_identifier != current.system_identifier {
        let text = |database: &Database| {
            format!("\"{}\" (system identifier {})", database.uri, database.system_identifier)
        };
        return refuse(text(recorded), text(current));
    }
    if recorded.oid != current.oid {
        let text = |database: &Database| {
            format!("\"{}\" (database \"{}\", oid {})", database.uri, database.name, database.oid)
        };
        return refuse(text(recorded), text(current));
    }
    if recorded.uri != current.uri {
        if !known {
            return refuse(format!("\"{}\"", recorded.uri), format!("\"{}\"", current.uri));
        }
        tracing::warn!(
            side,
            before = recorded.uri,
            now = current.uri,
            "the address differs from the earlier start, the server is the same one or a copy of it"
        );
    }
    Ok(())
}

/// The refusal.
fn other_run(difference: String) -> Error {
    Error::state(format!("the run in this work directory was begun {difference}"))
}

/// An option's value for a message.
fn shown(value: Option<&str>) -> String {
    match value {
        None => "unset".to_owned(),
        Some(value) if value.chars().count() > SHOWN_VALUE_MAX => {
            let start: String = value.chars().take(SHOWN_VALUE_MAX).collect();
            format!("\"{start}…\" ({} characters)", value.chars().count())
        }
        Some(value) => format!("\"{value}\""),
    }
}

/// 128 random bits as 32 hexadecimal digits.
fn random_id() -> Result<String> {
    let mut bytes = [0_u8; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::internal("the system gives no random numbers"))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
