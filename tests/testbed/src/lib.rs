//! Throwaway PostgreSQL clusters and the tools that judge a migration between them.
//!
//! The crate stands outside the product: it never links `pgcopydb`, it runs its binary and asks
//! the servers themselves what came out. It carries `cargo demo`, `cargo verify`, the integration
//! tests and the side-by-side benchmark.
//!
//! ```text
//! Installation  finds or installs PostgreSQL 15, 16, 18
//!      |
//! Cluster       one throwaway server: own directory, own port, gone when its owner is gone
//!      |
//! TestDatabase  one database of a cluster, dropped with the value
//!      |
//! fixtures      fills it;   Pgcopydb  migrates it;   compare  judges both sides;   chaos  disturbs
//! ```
//!
//! An integration test is usually four lines:
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! let source = testbed::TestDatabase::create(testbed::source(), "rows")?;
//! let target = testbed::TestDatabase::create(testbed::target(), "rows")?;
//! source.psql("create table t as select g as id from generate_series(1, 1000) g")?;
//! let work = tempfile::tempdir()?;
//! testbed::Pgcopydb::new()?.clone_args(&source, &target, work.path()).run()?.success()?;
//! testbed::compare::compare(&source.uri(), &target.uri())?.assert_same();
//! # Ok(()) }
//! ```

pub mod chaos;
pub mod cluster;
pub mod compare;
pub mod database;
pub mod fixtures;
pub mod hashes;
pub mod install;
pub mod pgcopydb;
pub mod process;
pub mod session;

mod account;
mod percent;

pub use cluster::{Cluster, ClusterOptions, StopMode};
pub use database::{TestDatabase, shared, source, target};
pub use install::{Installation, Major};
pub use pgcopydb::Pgcopydb;
pub use session::Session;

/// Whether the tests that take minutes are wanted: `cargo verify --slow`, or `PGCOPYDB_SLOW=1`.
#[must_use]
pub fn slow_tests() -> bool {
    std::env::var_os("PGCOPYDB_SLOW").is_some_and(|value| value == "1")
}
