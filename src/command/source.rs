//! The session that a command reads the source's catalog with.

use crate::base::error::{Result, Side};
use crate::connect::client::Session;
use crate::connect::client::retry::Backoff;
use crate::connect::client::settings::{self, SessionRole};
use crate::connect::conninfo::ConnInfo;

/// Connects to the source for the first time.
///
/// # Errors
/// Why it could not be reached, after a brief wait.
pub(super) async fn connect(info: &ConnInfo) -> Result<Session> {
    session(info, &mut Backoff::brief()).await
}

/// Connects to the source after the last session was lost.
///
/// # Errors
/// Why it could not be reached, after a patient wait.
pub(super) async fn connect_again(info: &ConnInfo) -> Result<Session> {
    session(info, &mut Backoff::new(1)).await
}

/// Connects to the source and pins the session's settings.
async fn session(info: &ConnInfo, backoff: &mut Backoff) -> Result<Session> {
    let mut session =
        Session::connect_patiently(Side::Source, info, "source control", backoff).await?;
    settings::pin(&mut session, SessionRole::Source).await?;
    Ok(session)
}
