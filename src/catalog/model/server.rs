//! A server and one of its databases.

use serde::{Deserialize, Serialize};

/// Facts about a server and the database we are connected to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerFacts {
    /// `server_version_num`, for example 150020.
    pub version: u32,
    /// `server_version`, as people know it.
    pub version_text: String,
    /// `pg_control_system().system_identifier`; 0 where the role may not read it.
    pub system_identifier: u64,
    /// Database name.
    pub database: String,
    /// `pg_database.oid`.
    pub database_oid: u32,
    /// Server encoding of the database.
    pub encoding: String,
    /// `datcollate`; where another library than the system's sorts, its locale and name: `en (icu)`,
    /// `C.UTF-8 (builtin)`.
    pub collate: String,
    /// `block_size`, in bytes.
    pub block_size: u32,
    /// In hot standby mode.
    pub standby: bool,
    /// Our role.
    pub role: String,
    /// Our role is a superuser.
    pub superuser: bool,
    /// Our role may bypass row-level security.
    pub bypass_rls: bool,
    /// Our role may create schemas in the database.
    pub may_create: bool,
    /// Our role may start replication (`rolreplication`).
    pub replication: bool,
    /// Sessions our role may open: `max_connections` less what is reserved, or the role's or the
    /// database's CONNECTION LIMIT where that is less.
    pub connections_max: u32,
    /// Server has `integer_datetimes` on (always, from version 10).
    pub integer_datetimes: bool,
    /// `max_parallel_maintenance_workers`.
    pub parallel_maintenance_workers: u32,
    /// `max_worker_processes`.
    pub worker_processes: u32,
    /// `maintenance_work_mem`, in bytes.
    pub maintenance_work_mem: u64,
    /// `shared_buffers`, in bytes.
    pub shared_buffers: u64,
    /// `wal_level`.
    pub wal_level: String,
    /// `max_wal_size`, in bytes.
    pub max_wal_size: u64,
    /// `age(datfrozenxid)` of the database, in transactions (S-23).
    pub frozen_xid_age: u32,
    /// `old_snapshot_threshold` in minutes; `None` when off or gone (version 17), see S-24.
    pub old_snapshot_threshold: Option<u32>,
    /// `statement_timeout` of our session, as the server shows it; `0` is none.
    pub statement_timeout: String,
    /// `search_path` as the server, the database and our role have it, before our session sets its own.
    #[serde(default)]
    pub search_path: String,
}

impl ServerFacts {
    /// Major version: 15, 16, 18.
    pub fn major(&self) -> u32 {
        self.version / 10_000
    }
}
