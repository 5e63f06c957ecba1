//! Log severities that `tracing` does not have, expressed as targets.
//!
//! | severity | how to write it | shown from |
//! |---|---|---|
//! | ERROR | `tracing::error!("…")` | always |
//! | WARN | `tracing::warn!("…")` | default |
//! | INFO | `tracing::info!("…")` | default |
//! | NOTICE | `tracing::info!(target: NOTICE, "…")` | `-v` |
//! | SQL | `tracing::debug!(target: SQL, "…")` | `-vv` |
//! | DEBUG | `tracing::debug!("…")` | `-vvv`, `--debug` |
//! | TRACE | `tracing::trace!("…")` | `-vvvv`, `--trace` |
//!
//! Server notices go to NOTICE, server warnings to WARN, statements that change something to SQL.

/// Target of events between INFO and DEBUG: what a server says, decisions a careful reader wants.
pub const NOTICE: &str = "pgcopydb::notice";

/// Target of statements sent to a server, without their parameters.
pub const SQL: &str = "pgcopydb::sql";
