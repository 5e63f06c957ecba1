//! `pg_restore` of one section, by an edited list.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::{Endpoint, Surroundings};
use crate::base::error::{Result, Side};
use crate::config::SchemaOptions;
use crate::local::child::Command;
use crate::local::child::pgtools::{PgVersion, Tool};

/// First major whose `pg_restore` knows `--transaction-size`.
const TRANSACTION_SIZE_MAJOR: u32 = 17;

/// Locks that restoring one entry leaves held until its transaction ends: a table, its TOAST table
/// and that one's index, a sequence.
const LOCKS_PER_ENTRY: u64 = 4;

/// Share of the server's lock table that we use: others work on the target, too.
const LOCK_TABLE_SHARE: u64 = 2;

/// Entries per transaction when one transaction for all would not do; large enough to make commits
/// cheap, small enough for a server with few connections (64 locks for each of 25).
const TRANSACTION_ENTRIES_MAX: u32 = 200;

/// A section of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// What must exist before rows: schemas, types, functions, tables, views, sequences.
    PreData,
    /// What comes after rows: triggers, rules, policies, publications, what is left of indexes.
    PostData,
}

impl Section {
    /// The name that `--section` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::PreData => "pre-data",
            Self::PostData => "post-data",
        }
    }
}

/// How a restore is cut into transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transactions {
    /// All or nothing: nothing to clean up after a failure.
    One,
    /// So many entries in each; stops at the first error.
    Of(u32),
    /// Each statement by itself, in this many sessions.
    Each {
        /// `--jobs`.
        jobs: u32,
    },
}

impl Transactions {
    /// Chooses for pre-data.
    ///
    /// One transaction is best: it is atomic. It must hold a lock on everything it creates, and the
    /// server's lock table has room for `max_locks_per_transaction * (max_connections +
    /// max_prepared_transactions)` (`lock_slots`); 6400 with the defaults, too few for two thousand
    /// tables with TOAST. Beyond that, transactions of limited size where the tool has them
    /// (version 17), else single statements.
    /// Source: <https://www.postgresql.org/docs/current/runtime-config-locks.html>.
    pub fn for_pre_data(entry_count: u64, lock_slots: u64, tool: PgVersion) -> Self {
        if entry_count.saturating_mul(LOCKS_PER_ENTRY) <= lock_slots / LOCK_TABLE_SHARE {
            Self::One
        } else if tool.major() >= TRANSACTION_SIZE_MAJOR {
            Self::Of(TRANSACTION_ENTRIES_MAX)
        } else {
            Self::Each { jobs: 1 }
        }
    }
}

/// What to restore.
#[derive(Debug, Clone)]
pub struct Restore<'a> {
    /// `pg_restore`.
    pub tool: &'a Tool,
    /// The target.
    pub target: &'a Endpoint,
    /// Which section.
    pub section: Section,
    /// The edited list, with the entries of this section only: see [`super::section_entries`].
    pub list: &'a Path,
    /// How it is cut into transactions.
    pub transactions: Transactions,
    /// What the user wants to be left out, and whether existing objects are dropped first.
    pub options: SchemaOptions,
    /// An earlier attempt may have restored some of it into a target that was empty before: drop
    /// what exists first.
    pub repeat: bool,
}

/// Restores a section of an archive.
///
/// # Errors
/// `Child` with the first error messages, each with the statement that failed; `Cancelled`.
pub async fn restore(
    what: &Restore<'_>,
    archive: &Path,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<()> {
    let clean = what.options.drop_if_exists || what.repeat;
    let command = surroundings.command_to(what.tool, what.target);
    let command = with_options(command, what.list, what.options, clean);
    let command = match what.transactions {
        Transactions::One => command.argument("--single-transaction"),
        Transactions::Of(entries) => command.argument(format!("--transaction-size={entries}")),
        Transactions::Each { jobs } => command.argument(format!("--jobs={}", jobs.max(1))),
    };
    let output = command.argument(archive).run(cancel).await.map_err(|error| {
        error.during(format!("{}: restore {}", Side::Target, what.section.name()))
    })?;
    tracing::info!(
        section = what.section.name(),
        tool = %what.tool.version,
        elapsed_ms = output.elapsed.as_millis(),
        "restored a section of the schema"
    );
    Ok(())
}

/// Adds the options that say what is restored. No `--section`: the list says it, see
/// [`super::section_entries`].
pub(super) fn with_options(
    command: Command,
    list: &Path,
    options: SchemaOptions,
    clean: bool,
) -> Command {
    command
        .argument("--use-list")
        .argument(list)
        .argument_if(clean, "--clean")
        .argument_if(clean, "--if-exists")
        .argument_if(options.no_owner, "--no-owner")
        .argument_if(options.no_acl, "--no-privileges")
        .argument_if(options.no_comments, "--no-comments")
        .argument_if(options.no_tablespaces, "--no-tablespaces")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_transaction_only_where_the_lock_table_has_room() {
        let [old, new] = [150_020, 180_004].map(PgVersion::from_number);
        // 64 * 100 slots, the defaults of every version.
        assert_eq!(Transactions::for_pre_data(800, 6400, old), Transactions::One);
        assert_eq!(Transactions::for_pre_data(801, 6400, old), Transactions::Each { jobs: 1 });
        assert_eq!(Transactions::for_pre_data(801, 6400, new), Transactions::Of(200));
        assert_eq!(Transactions::for_pre_data(u64::MAX, 6400, new), Transactions::Of(200));
        assert_eq!(Transactions::for_pre_data(4000, 64 * 600, new), Transactions::One);
    }
}
