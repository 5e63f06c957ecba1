//! Databases of their own for tests that share clusters.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;

use crate::cluster::{Cluster, ClusterOptions, quote_ident};
use crate::install::{Installation, Major};
use crate::session::Session;

/// The clusters that all tests of a process share, one per major version.
static SHARED: [OnceLock<Result<Cluster, String>>; Major::ALL.len()] =
    [const { OnceLock::new() }; Major::ALL.len()];

/// The cluster of a major version that all tests of this process share.
///
/// Started at first use; ends with the process. Roles, settings and replication slots are visible
/// to all tests: give them unique names, or start a cluster of your own.
///
/// # Panics
/// When PostgreSQL of that version cannot be had or does not start.
pub fn shared(major: Major) -> &'static Cluster {
    try_shared(major).unwrap_or_else(|error| panic!("PostgreSQL {major}: {error}"))
}

/// The shared cluster that tests migrate from: version 15, which has all output plugins.
///
/// # Panics
/// As [`shared`].
pub fn source() -> &'static Cluster {
    shared(Major::V15)
}

/// The shared cluster that tests migrate to: version 18, or 15 where 18 is not to be had.
///
/// # Panics
/// As [`shared`].
pub fn target() -> &'static Cluster {
    try_shared(Major::V18).unwrap_or_else(|_| shared(Major::V15))
}

/// Starts the shared cluster of a major version if it does not run yet.
fn try_shared(major: Major) -> Result<&'static Cluster, &'static str> {
    let slot = match major {
        Major::V15 => &SHARED[0],
        Major::V16 => &SHARED[1],
        Major::V18 => &SHARED[2],
    };
    let start = || Cluster::start(&Installation::find(major)?, ClusterOptions::default());
    slot.get_or_init(|| start().map_err(|error| format!("{error:#}"))).as_ref().map_err(|e| &**e)
}

/// A database with a unique name, dropped with the value.
#[derive(Debug)]
pub struct TestDatabase<'a> {
    cluster: &'a Cluster,
    name: String,
}

impl<'a> TestDatabase<'a> {
    /// Makes an empty database whose name starts with `prefix`.
    ///
    /// # Errors
    /// The server's.
    pub fn create(cluster: &'a Cluster, prefix: &str) -> Result<Self> {
        Self::create_with(cluster, prefix, "")
    }

    /// Makes an empty database with further words for CREATE DATABASE, as
    /// `template template0 encoding 'LATIN1' locale 'C'`.
    ///
    /// # Errors
    /// The server's.
    pub fn create_with(cluster: &'a Cluster, prefix: &str, words: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{prefix}_{number}");
        cluster.psql("postgres", &format!("create database {} {words}", quote_ident(&name)))?;
        Ok(Self { cluster, name })
    }

    /// Name of the database.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cluster it lives in.
    #[must_use]
    pub fn cluster(&self) -> &'a Cluster {
        self.cluster
    }

    /// Connection string over TCP, as superuser.
    #[must_use]
    pub fn uri(&self) -> String {
        self.cluster.uri(&self.name)
    }

    /// Connection string over TCP, as somebody else.
    #[must_use]
    pub fn uri_as(&self, user: &str, password: &str) -> String {
        self.cluster.uri_as(user, password, &self.name)
    }

    /// Connection string through the unix socket, as superuser.
    #[must_use]
    pub fn socket_uri(&self) -> String {
        self.cluster.socket_uri(&self.name)
    }

    /// Runs SQL, see [`Cluster::psql`].
    ///
    /// # Errors
    /// psql's message.
    pub fn psql(&self, sql: &str) -> Result<String> {
        self.cluster.psql(&self.name, sql)
    }

    /// Errors that the server has logged for this database so far.
    #[must_use]
    pub fn log_errors(&self) -> Vec<String> {
        self.cluster.log_errors(Some(&self.name))
    }

    /// Opens a session that stays open.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn session(&self) -> Result<Session> {
        Session::open(self.cluster, &self.name)
    }

    /// Runs a file of SQL, see [`Cluster::psql_file`].
    ///
    /// # Errors
    /// psql's message.
    pub fn psql_file(&self, file: &Path) -> Result<()> {
        self.cluster.psql_file(&self.name, file)
    }
}

impl Drop for TestDatabase<'_> {
    #[expect(clippy::print_stderr, reason = "shown beside the message of the failing test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            for line in self.log_errors() {
                eprintln!("server log: {line}");
            }
        }
        // A cluster that was stopped on purpose takes its databases with it.
        self.cluster.drop_database(&self.name).ok();
    }
}
