//! Sessions of both ends, kept between jobs.
//!
//! A job takes a session, and gives it back when it is idle and in step; a broken one is dropped.
//! There are never more sessions than jobs running at once. When a server has no connection left,
//! jobs wait for a session of another job instead of failing.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use proto::types::TransactionStatus;
use tokio::sync::Notify;

use crate::base::error::{Class, Error, Result, Side};
use crate::connect::client::retry::Backoff;
use crate::connect::client::settings::{self, SessionRole};
use crate::connect::client::{CancelHandle, Session};
use crate::connect::conninfo::ConnInfo;

/// How long one wait for another job's session lasts before the server is asked again.
const WAIT_FOR_SESSION: Duration = Duration::from_millis(500);

/// Sessions of one end.
#[derive(Debug)]
pub struct Pool {
    side: Side,
    info: ConnInfo,
    role: &'static str,
    /// Which settings are pinned after connecting.
    settings: SessionRole,
    idle: Mutex<Vec<Session>>,
    /// Cancel handles of the sessions that are with jobs.
    busy: Mutex<HashMap<u64, CancelHandle>>,
    busy_count: AtomicUsize,
    next_lease: AtomicU64,
    returned: Notify,
    limit_reported: AtomicBool,
}

/// A session that is with a job.
#[derive(Debug)]
pub struct Lease<'a> {
    pool: &'a Pool,
    number: u64,
    session: Option<Session>,
}

impl Lease<'_> {
    /// The session.
    ///
    /// # Errors
    /// Never while the lease lives; the session leaves it only when it is dropped.
    pub fn session(&mut self) -> Result<&mut Session> {
        self.session.as_mut().ok_or_else(|| Error::internal("a lease has lost its session"))
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        lock(&self.pool.busy).remove(&self.number);
        self.pool.busy_count.fetch_sub(1, Ordering::Relaxed);
        if let Some(session) = self.session.take()
            && !session.is_broken()
            && session.transaction_status() == TransactionStatus::Idle
        {
            lock(&self.pool.idle).push(session);
        }
        self.pool.returned.notify_one();
    }
}

impl Pool {
    /// A pool without sessions. `role` is what they are called on the server.
    pub fn new(side: Side, info: ConnInfo, role: &'static str, settings: SessionRole) -> Self {
        Self {
            side,
            info,
            role,
            settings,
            idle: Mutex::default(),
            busy: Mutex::default(),
            busy_count: AtomicUsize::new(0),
            next_lease: AtomicU64::new(0),
            returned: Notify::new(),
            limit_reported: AtomicBool::new(false),
        }
    }

    /// Takes an idle session or opens one. While the server has no connection left and other jobs
    /// hold some, waits for theirs.
    ///
    /// # Errors
    /// Why a connection could not be made; transient failures are tried again for a minute.
    pub async fn take(&self) -> Result<Lease<'_>> {
        let mut backoff = Backoff::new(self.next_lease.load(Ordering::Relaxed));
        loop {
            if let Some(session) = lock(&self.idle).pop() {
                return Ok(self.lease(session));
            }
            let error = match self.open().await {
                Ok(session) => return Ok(self.lease(session)),
                Err(error) => error,
            };
            if error.is_connection_limit() && self.busy_count.load(Ordering::Relaxed) > 0 {
                if !self.limit_reported.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "connection limit reached, going on with fewer sessions");
                }
                let _ = tokio::time::timeout(WAIT_FOR_SESSION, self.returned.notified()).await;
                continue;
            }
            if error.class() != Class::Transient {
                return Err(error);
            }
            match backoff.next_pause() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
        }
    }

    /// Opens a session and pins its settings.
    async fn open(&self) -> Result<Session> {
        let mut session = Session::connect(self.side, &self.info, self.role).await?;
        settings::pin(&mut session, self.settings).await.map_err(|e| e.during("pin settings"))?;
        Ok(session)
    }

    /// Counts a session as busy.
    fn lease(&self, session: Session) -> Lease<'_> {
        let number = self.next_lease.fetch_add(1, Ordering::Relaxed);
        lock(&self.busy).insert(number, session.cancel_handle());
        self.busy_count.fetch_add(1, Ordering::Relaxed);
        Lease { pool: self, number, session: Some(session) }
    }

    /// Asks the server to cancel what every busy session is doing.
    pub async fn cancel_all(&self) {
        let handles: Vec<CancelHandle> = lock(&self.busy).values().cloned().collect();
        let mut tasks = tokio::task::JoinSet::new();
        for handle in handles {
            tasks.spawn(async move { handle.cancel().await });
        }
        tasks.join_all().await;
    }

    /// Closes all idle sessions: they count against limits of the server.
    pub fn clear(&self) {
        lock(&self.idle).clear();
    }
}

/// Locks a mutex; a panic elsewhere cannot have left these plain collections half changed.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
