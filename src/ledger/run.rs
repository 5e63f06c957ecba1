//! Whose migration the target holds, and how far its stages came.

use crate::base::error::{Error, Result};
use crate::connect::client::Session;

/// Key of the advisory lock that a run holds on the target database for as long as it lives.
///
/// The number spells "pgcopydb" in ASCII; nothing else should use it.
const LOCK_KEY: i64 = i64::from_be_bytes(*b"pgcopydb");

/// How far a run came. Stages are passed in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The ledger exists, nothing else was created.
    Started,
    /// Pre-data is being restored: any part of it may exist.
    PreData,
    /// Pre-data is complete; rows, indexes and constraints are being made.
    Data,
    /// Rows, indexes and constraints are complete; post-data is being restored.
    PostData,
    /// Everything is on the target.
    Complete,
}

impl Stage {
    /// The word in the ledger.
    pub fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::PreData => "pre-data",
            Self::Data => "data",
            Self::PostData => "post-data",
            Self::Complete => "complete",
        }
    }

    /// The stage of a word.
    fn from_word(word: &str) -> Option<Self> {
        [Self::Started, Self::PreData, Self::Data, Self::PostData, Self::Complete]
            .into_iter()
            .find(|stage| stage.word() == word)
    }
}

/// The one row of `pgcopydb.run`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    /// Random identity of the run, 32 hex digits; the same over all its restarts.
    pub run_id: String,
    /// How often the run was started; 1 the first time.
    pub epoch: u32,
    /// `system_identifier` of the source; 0 when the role may not read it.
    pub source_system_identifier: u64,
    /// Source database.
    pub source_database: String,
    /// Its oid.
    pub source_database_oid: u32,
    /// Digest of the options that must not change between starts.
    pub options_digest: String,
    /// Those options in words, for messages.
    pub options: String,
    /// How far it came.
    pub stage: Stage,
    /// `pg_current_snapshot` of the snapshot that the copy reads: two equal ones see the same rows.
    pub snapshot_identity: String,
}

/// Takes the advisory lock of the target database for this session; `false` when another run
/// holds it.
///
/// # Errors
/// Those of the query.
pub async fn lock(session: &mut Session) -> Result<bool> {
    let sql = "select pg_catalog.pg_try_advisory_lock($1::bigint)";
    session.query(sql, &[Some(&LOCK_KEY.to_string())]).await?.one()?.flag(0)
}

/// Reads the run that the target holds, if any.
///
/// # Errors
/// `State` when a schema `pgcopydb` exists that is not ours.
pub async fn open(session: &mut Session) -> Result<Option<RunRecord>> {
    let found = session.query(include_str!("found.sql"), &[]).await?;
    let row = found.one()?;
    match (row.flag(0)?, row.flag(1)?) {
        (true, _) => {}
        (false, false) => return Ok(None),
        (false, true) => {
            return Err(Error::state(
                "the target has a schema \"pgcopydb\" that this program did not make",
            )
            .hint("Rename or drop it: the name is reserved for the ledger of a migration."));
        }
    }
    let sql = "select run_id, epoch, source_system_identifier, source_database, \
               source_database_oid, options_digest, options, stage, snapshot_identity \
               from pgcopydb.run";
    let rows = session.query(sql, &[]).await?;
    let Some(row) = rows.rows.first() else { return Ok(None) };
    let word = row.text(7)?;
    let stage = Stage::from_word(word).ok_or_else(|| {
        Error::state(format!("the ledger on the target has an unknown stage \"{word}\""))
            .hint("It was written by another version of pgcopydb: use that one, or --restart.")
    })?;
    Ok(Some(RunRecord {
        run_id: row.text(0)?.to_owned(),
        epoch: row.parse(1)?,
        source_system_identifier: row.parse(2)?,
        source_database: row.text(3)?.to_owned(),
        source_database_oid: row.parse(4)?,
        options_digest: row.text(5)?.to_owned(),
        options: row.text(6)?.to_owned(),
        stage,
        snapshot_identity: row.text(8)?.to_owned(),
    }))
}

/// Creates the ledger and its one run, in one transaction.
///
/// # Errors
/// `Permission` when the role may not create a schema in the target database.
pub async fn create(session: &mut Session, run: &RunRecord) -> Result<()> {
    // The schema without its run would be taken for somebody else's: both or none.
    session.execute("begin").await?;
    let created = create_in_transaction(session, run).await;
    let end = if created.is_ok() { "commit" } else { "rollback" };
    let ended = session.execute(end).await;
    created?;
    ended.map(drop)
}

/// The statements of [`create`].
async fn create_in_transaction(session: &mut Session, run: &RunRecord) -> Result<()> {
    session.execute(include_str!("create.sql")).await.map_err(|error| {
        let error = error.during("create schema pgcopydb for the ledger");
        if error.sqlstate() == Some("42501") {
            error.hint(
                "The role of the target needs CREATE on the database: GRANT CREATE ON DATABASE … TO …;",
            )
        } else {
            error
        }
    })?;
    let sql = "insert into pgcopydb.run (run_id, epoch, source_system_identifier, \
               source_database, source_database_oid, options_digest, options, stage, \
               snapshot_identity) \
               values ($1, $2::int, $3::numeric, $4, $5::bigint, $6, $7, $8, $9)";
    session
        .query(
            sql,
            &[
                Some(&run.run_id),
                Some(&run.epoch.to_string()),
                Some(&run.source_system_identifier.to_string()),
                Some(&run.source_database),
                Some(&run.source_database_oid.to_string()),
                Some(&run.options_digest),
                Some(&run.options),
                Some(run.stage.word()),
                Some(&run.snapshot_identity),
            ],
        )
        .await?;
    Ok(())
}

/// Counts one more start of the run, under a new snapshot.
///
/// # Errors
/// Those of the statement.
pub async fn start_again(session: &mut Session, snapshot_identity: &str) -> Result<()> {
    let sql = "update pgcopydb.run set epoch = epoch + 1, snapshot_identity = $1";
    session.query(sql, &[Some(snapshot_identity)]).await.map(drop)
}

/// Waits until everything that was committed so far survives a crash of the server, although
/// `synchronous_commit` is off for the rows.
///
/// # Errors
/// Those of the statement.
pub async fn make_durable(session: &mut Session) -> Result<()> {
    let sql = "begin; set local synchronous_commit = on; \
               update pgcopydb.run set changed_at = pg_catalog.now(); commit";
    session.execute(sql).await.map(drop)
}

/// Moves the run to a stage, durably: the session must not be inside a transaction.
///
/// # Errors
/// Those of the statement.
pub async fn set_stage(session: &mut Session, stage: Stage) -> Result<()> {
    // The stage is what decides about dropping and repeating: it must survive a crash of the
    // server, whatever synchronous_commit says for the rows.
    let sql = format!(
        "begin; set local synchronous_commit = on; \
         update pgcopydb.run set stage = '{}', changed_at = pg_catalog.now(); commit",
        stage.word()
    );
    session.execute(&sql).await.map(drop)
}

/// Removes the ledger. What change data capture keeps in the same schema stays.
///
/// # Errors
/// Those of the statement.
pub async fn remove(session: &mut Session) -> Result<()> {
    remove_and(session, "").await
}

/// Removes the ledger and runs the last statements of all in the same transaction: they are done if
/// and only if the ledger is gone.
///
/// # Errors
/// Those of the statements; then the ledger is still there.
pub async fn remove_and(session: &mut Session, last: &str) -> Result<()> {
    let remove = concat!(include_str!("remove.sql"), include_str!("remove_schema.sql"));
    if last.is_empty() {
        return session.execute(remove).await.map(drop);
    }
    let done = session.execute(&format!("begin;\n{remove};\n{last}\n;commit")).await;
    if let Err(error) = done {
        if !session.is_broken() {
            session.execute("rollback").await?;
        }
        return Err(error.during("run the last statements of the migration"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_read_back_and_keep_their_order() {
        let stages =
            [Stage::Started, Stage::PreData, Stage::Data, Stage::PostData, Stage::Complete];
        assert!(stages.is_sorted());
        for stage in stages {
            assert_eq!(Stage::from_word(stage.word()), Some(stage));
        }
        assert_eq!(Stage::from_word("done"), None);
    }
}
