//! Statements as one transaction, tried again when another session stood in the way.

use crate::base::error::{Class, Result};
use crate::connect::client::Session;
use crate::connect::client::retry::Backoff;

/// How often a transaction is tried in all.
///
/// Two sessions that add foreign keys can deadlock; the server ends one of them after a second
/// (`deadlock_timeout`). With jittered pauses a second collision is rare and a tenth means that
/// somebody else holds the tables.
const ATTEMPTS_MAX: u32 = 10;

/// Runs the statements in one transaction and one round trip.
///
/// # Errors
/// What the server reports, after a rollback and, for conflicts, after the last attempt. A session
/// that broke stays broken.
pub(super) async fn run(session: &mut Session, statements: &[String]) -> Result<()> {
    if statements.is_empty() {
        return Ok(());
    }
    let sql = format!("begin;\n{};\ncommit", statements.join(";\n"));
    let mut backoff = Backoff::new(u64::from(session.process_id()));
    let mut attempt = 1;
    loop {
        let Err(error) = session.execute(&sql).await else { return Ok(()) };
        if error.as_server().is_none() || session.execute("rollback").await.is_err() {
            return Err(error);
        }
        if error.class() != Class::Conflict || attempt == ATTEMPTS_MAX {
            return Err(error);
        }
        let Some(pause) = backoff.next_pause() else { return Err(error) };
        tracing::debug!(attempt, error = %error, "transaction met another one, trying again");
        tokio::time::sleep(pause).await;
        attempt += 1;
    }
}
