//! Everything that a small table gets after its rows, in one transaction and one round trip.
//!
//! Looking first what the target has costs the server more than building two small indexes. So a
//! table that nobody has worked on yet is settled blindly; whatever stands in the way is an error of the
//! server, nothing is kept, and the caller goes the careful way ([`super::build_many`],
//! [`super::add_constraints`]), which looks, cleans and names what it found.

use std::time::Instant;

use super::build::IndexBuild;
use super::constraint::TableConstraints;
use super::{BATCH_LENGTH_MAX, Built, Outcome, build, constraint, is_local, transaction};
use crate::base::error::Result;
use crate::connect::client::Session;

/// What was created, in the order asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// Indexes.
    pub indexes: Vec<Built>,
    /// Constraints.
    pub constraints: Vec<Built>,
}

/// Builds the indexes, adds the constraints, then runs `last`, all in one transaction. `None`: the
/// server refused something, nothing happened, and the careful way will tell what.
///
/// # Errors
/// Only when the session is lost. Not cancel safe.
pub async fn settle(
    session: &mut Session,
    builds: &[IndexBuild],
    constraints: Option<&TableConstraints>,
    last: Vec<String>,
) -> Result<Option<Settled>> {
    let mut statements: Vec<String> = builds.iter().flat_map(build::new_statements).collect();
    if let Some(work) = constraints {
        statements.extend(constraint::new_statements(work));
    }
    statements.extend(last);
    if statements.len() > BATCH_LENGTH_MAX {
        return Ok(None);
    }
    let started = Instant::now();
    match transaction::run(session, &statements).await {
        Ok(()) => {}
        Err(error) if is_local(&error) => {
            tracing::debug!(%error, "a table is not settled in one transaction, going step by step");
            return Ok(None);
        }
        Err(error) => return Err(error),
    }
    let adds = constraints.map_or(&[][..], |work| &work.constraints);
    let count = u32::try_from((builds.len() + adds.len()).max(1)).unwrap_or(u32::MAX);
    let share = started.elapsed() / count;
    let built = |oid| Built { oid, outcome: Outcome::Created, duration: share };
    Ok(Some(Settled {
        indexes: builds.iter().map(|build| built(build.oid)).collect(),
        constraints: adds.iter().map(|add| built(add.oid)).collect(),
    }))
}
