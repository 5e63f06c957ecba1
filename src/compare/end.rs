//! One side of a comparison.

use std::sync::{Arc, Mutex, PoisonError};

use proto::types::TransactionStatus;

use crate::base::error::{Error, Result, Side};
use crate::base::ident::quote_literal;
use crate::catalog::fetch;
use crate::catalog::model::ServerFacts;
use crate::connect::client::retry::Backoff;
use crate::connect::client::settings::{self, SessionRole};
use crate::connect::client::{CancelHandle, Rows, Session};
use crate::connect::conninfo::ConnInfo;

/// Version since which floating-point numbers print as the shortest text that reads back the same.
const VERSION_SHORTEST_FLOATS: u32 = 120_000;

/// What the reading sessions are called on the server.
const ROLE: &str = "compare";

/// One side: the session that holds the snapshot, and what others need to share it.
#[derive(Debug)]
pub struct End {
    /// The server and the database.
    pub facts: ServerFacts,
    /// In the transaction that exported the snapshot; idle while others read.
    pub session: Session,
    /// Opens sessions under the snapshot.
    pub reader: Reader,
}

/// Opens sessions that read under one snapshot. Clones share it.
#[derive(Debug, Clone)]
pub struct Reader {
    side: Side,
    info: Arc<ConnInfo>,
    snapshot: Arc<str>,
    /// `extra_float_digits` other than the pinned one.
    float_digits: Option<&'static str>,
    busy: Arc<Mutex<Vec<CancelHandle>>>,
}

/// Opens both sides at once and makes their settings fit each other.
///
/// # Errors
/// Those of connecting; class `Unsupported` for a server older than 10.
pub async fn open(source: &ConnInfo, target: &ConnInfo) -> Result<(End, End)> {
    let (mut source, mut target) =
        tokio::try_join!(End::open(Side::Source, source), End::open(Side::Target, target))?;
    let shortest = |end: &End| end.facts.version >= VERSION_SHORTEST_FLOATS;
    if shortest(&source) != shortest(&target) {
        // With 0 every version rounds to the digits that are always exact; what is beyond them is
        // compared in binary form (`data::hash`).
        for end in [&mut source, &mut target] {
            end.reader.float_digits = Some("0");
            end.session.execute("set extra_float_digits = 0").await?;
        }
    }
    Ok((source, target))
}

impl End {
    /// Connects, pins the settings, begins the transaction and exports its snapshot.
    async fn open(side: Side, info: &ConnInfo) -> Result<Self> {
        let mut backoff = Backoff::brief();
        let mut session =
            Session::connect_patiently(side, info, "compare snapshot", &mut backoff).await?;
        settings::pin(&mut session, SessionRole::Source).await?;
        session.execute("begin isolation level repeatable read, read only").await?;
        let rows = session.query("select pg_catalog.pg_export_snapshot()", &[]).await?;
        let reader = Reader {
            side,
            info: Arc::new(info.clone()),
            snapshot: rows.one()?.text(0)?.into(),
            float_digits: None,
            busy: Arc::default(),
        };
        reader.remember(&session);
        let facts = fetch::server(&mut session).await?;
        Ok(Self { facts, session, reader })
    }
}

impl Reader {
    /// Which side this reads.
    pub fn side(&self) -> Side {
        self.side
    }

    /// Connects one more session and pins its settings.
    ///
    /// # Errors
    /// Those of connecting.
    pub async fn connect(&self) -> Result<Session> {
        let session = Session::connect(self.side, &self.info, ROLE).await?;
        self.pinned(session).await
    }

    /// Like [`Reader::connect`], trying again with pauses while the failure is transient: sessions that
    /// were just closed may still count.
    ///
    /// # Errors
    /// The last failure, after a minute.
    pub async fn connect_patiently(&self, seed: u64) -> Result<Session> {
        let mut backoff = Backoff::new(seed);
        let session = Session::connect_patiently(self.side, &self.info, ROLE, &mut backoff).await?;
        self.pinned(session).await
    }

    /// Pins the settings of a new session.
    async fn pinned(&self, mut session: Session) -> Result<Session> {
        settings::pin(&mut session, SessionRole::Source).await?;
        if let Some(digits) = self.float_digits {
            session.execute(&format!("set extra_float_digits = {digits}")).await?;
        }
        self.remember(&session);
        Ok(session)
    }

    /// Runs statements under the snapshot, in one round trip and a transaction of their own, so that
    /// no lock outlives them. Returns their rows.
    ///
    /// Not cancel safe.
    ///
    /// # Errors
    /// The server's; the session is usable again unless it is broken.
    pub async fn read(&self, statements: &[&str], session: &mut Session) -> Result<Vec<Rows>> {
        let sql = format!(
            "begin isolation level repeatable read, read only; set transaction snapshot {}; {}; commit",
            quote_literal(&self.snapshot),
            statements.join("; ")
        );
        let results = match session.simple_query(&sql).await {
            Ok(results) => results,
            Err(error) => {
                if !session.is_broken() && session.transaction_status() != TransactionStatus::Idle {
                    session.execute("rollback").await?;
                }
                return Err(error);
            }
        };
        let rows: Vec<Rows> =
            results.into_iter().skip(2).take(statements.len()).map(|one| one.rows).collect();
        if rows.len() == statements.len() {
            Ok(rows)
        } else {
            Err(Error::internal("statements under a snapshot returned too few results"))
        }
    }

    /// Asks the server to cancel what the sessions of this side are doing.
    pub async fn cancel_all(&self) {
        let handles = self.busy.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for handle in handles {
            handle.cancel().await;
        }
    }

    /// Keeps what cancelling a session needs.
    fn remember(&self, session: &Session) {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.push(session.cancel_handle());
    }
}
