//! The target session that holds the run's lock and writes its stages; opened again when it is lost.

use crate::base::error::{Class, Error, ErrorKind, Result, Side};
use crate::connect::client::Session;
use crate::connect::client::retry::Backoff;
use crate::connect::client::settings::{self, SessionRole};
use crate::connect::conninfo::ConnInfo;
use crate::ledger;

/// What the session is called on the server.
const ROLE: &str = "target control";

/// The control session of the target.
#[derive(Debug)]
pub(in crate::command) struct Control {
    session: Session,
    info: ConnInfo,
    locked: bool,
}

impl Control {
    /// Connects.
    pub(in crate::command) async fn connect(info: &ConnInfo) -> Result<Self> {
        let mut backoff = Backoff::brief();
        let session = open(info, &mut backoff).await?;
        Ok(Self { session, info: info.clone(), locked: false })
    }

    /// Takes the lock that keeps a second run away from this database (S-25).
    ///
    /// # Errors
    /// `State` when another run holds it.
    pub(in crate::command) async fn lock(&mut self) -> Result<()> {
        if !ledger::lock(&mut self.session).await? {
            return Err(locked_by_other(&self.info));
        }
        self.locked = true;
        Ok(())
    }

    /// The session, in step; opened and locked again when it was lost.
    ///
    /// # Errors
    /// Why it could not be opened; `State` when another run has taken the lock meanwhile.
    pub(in crate::command) async fn session(&mut self) -> Result<&mut Session> {
        let alive = !self.session.is_broken() && self.session.execute("select 1").await.is_ok();
        if !alive {
            tracing::warn!("the target's control session was lost, connecting again");
            let mut backoff = Backoff::new(0);
            loop {
                self.session = open(&self.info, &mut backoff).await?;
                if !self.locked || ledger::lock(&mut self.session).await? {
                    break;
                }
                // The backend of the lost session may not have noticed yet that we are gone.
                match backoff.next_pause() {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(locked_by_other(&self.info)),
                }
            }
        }
        Ok(&mut self.session)
    }
}

/// Opens a session with pinned settings, patiently where a wait can help.
pub(in crate::command) async fn open(info: &ConnInfo, backoff: &mut Backoff) -> Result<Session> {
    loop {
        let attempt = async {
            let mut session = Session::connect_patiently(Side::Target, info, ROLE, backoff).await?;
            settings::pin(&mut session, SessionRole::TargetWriter).await?;
            Ok::<_, Error>(session)
        };
        match attempt.await {
            Err(error) if error.class() == Class::Transient => match backoff.next_pause() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            },
            result => return result,
        }
    }
}

/// Opens so many sessions, or fewer where the server allows no more: one at least.
///
/// # Errors
/// Why a session could not be opened, other than for want of a free connection.
pub(in crate::command) async fn open_several(
    info: &ConnInfo,
    wanted: usize,
) -> Result<Vec<Session>> {
    let mut sessions = vec![open(info, &mut Backoff::new(0)).await?];
    while sessions.len() < wanted {
        match Session::connect(Side::Target, info, ROLE).await {
            Ok(mut session) => {
                settings::pin(&mut session, SessionRole::TargetWriter).await?;
                sessions.push(session);
            }
            Err(error) if error.is_connection_limit() => {
                let opened = sessions.len();
                tracing::warn!(
                    opened,
                    wanted,
                    %error,
                    "connection limit reached, going on with fewer sessions"
                );
                break;
            }
            Err(_) => sessions.push(open(info, &mut Backoff::new(0)).await?),
        }
    }
    Ok(sessions)
}

/// The error of a second run against one target.
fn locked_by_other(info: &ConnInfo) -> Error {
    Error::new(
        Side::Target,
        ErrorKind::State(format!("another pgcopydb is working on database \"{}\"", info.dbname)),
    )
    .hint(
        "Wait for it or stop it. `select pid, application_name from pg_stat_activity where \
         application_name like 'pgcopydb%'` on the target shows its sessions.",
    )
}
