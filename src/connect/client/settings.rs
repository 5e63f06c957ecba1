//! Session settings that every session pins before it does anything (K9).
//!
//! A role, a database or a server can carry defaults that change what a value looks like
//! (`DateStyle`), what is visible (`row_security`), or how long a statement may take. Nothing of
//! that may reach a migration, so each session starts with one pipelined round trip:
//!
//! ```text
//! set statement_timeout = 0          first and alone: the next statement must not run into it
//! select name, set_config(...)       everything else that this server has and this role may set
//! ```
//!
//! The second statement joins `pg_settings`, so settings that a server does not know and settings
//! that the role may not set are left out instead of failing; they come back as [`Pinned::skipped`].
//!
//! To add a setting: add a row to one of the tables below and one to the tables of hostile defaults in
//! `tests/session_settings.rs`.

use super::{PipelineStatement, Session};
use crate::base::error::Result;
use crate::base::ident::quote_literal;

/// What a session is for; decides which settings it needs on top of the common ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionRole {
    /// Reads catalogs, rows or large objects of the source, or holds its snapshot.
    Source,
    /// Writes rows, large objects, sequences or the ledger on the target.
    TargetWriter,
    /// Builds indexes and constraints on the target.
    TargetIndexer(Maintenance),
}

/// Memory and helpers for one index build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maintenance {
    /// `maintenance_work_mem`, in kB (the unit the server counts it in).
    pub work_mem_kb: u64,
    /// `max_parallel_maintenance_workers`.
    pub parallel_workers: u32,
}

/// What [`Maintenance::sized`] goes by; all of it comes from the target's `ServerFacts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaintenanceFacts {
    /// `shared_buffers`, in bytes.
    pub shared_buffers: u64,
    /// `maintenance_work_mem` as the server has it, in bytes.
    pub maintenance_work_mem: u64,
    /// `max_worker_processes`.
    pub worker_processes: u32,
    /// `max_parallel_maintenance_workers` as the server has it.
    pub parallel_maintenance_workers: u32,
}

/// Memory that all index builds together may use where the server was never tuned, in bytes.
///
/// A server with the default `shared_buffers` of 128 MB tells nothing about its memory; one GiB in
/// total is what a single build of upstream takes there.
const MAINTENANCE_TOTAL_BYTES_MIN: u64 = 1 << 30;

/// Largest `maintenance_work_mem` of one build, in bytes.
///
/// A sort gains little beyond it: fewer, larger runs only save merge passes that are sequential.
const MAINTENANCE_EACH_BYTES_MAX: u64 = 2 << 30;

/// Smallest `maintenance_work_mem` of one build, in bytes: the server's own default.
const MAINTENANCE_EACH_BYTES_MIN: u64 = 64 << 20;

/// Most parallel helpers of one build.
///
/// A B-tree build is bound by its leader's merge beyond about this many.
const PARALLEL_WORKERS_MAX: u32 = 6;

/// `max_parallel_maintenance_workers` of a server that nobody tuned.
const PARALLEL_WORKERS_DEFAULT: u32 = 2;

impl Maintenance {
    /// Divides the server between `index_jobs` builds that run at once.
    ///
    /// Memory: `shared_buffers` is about a quarter of a tuned server's memory, so as much again is
    /// shared by the builds, at least 1 GiB in total. A larger setting of the server stays.
    /// Helpers: the server's worker processes are shared by the builds; a value that the server's
    /// administrator chose stays, 0 (no helpers) above all.
    pub fn sized(facts: &MaintenanceFacts, index_jobs: u32) -> Self {
        let jobs = index_jobs.max(1);
        let share = facts.shared_buffers.max(MAINTENANCE_TOTAL_BYTES_MIN) / u64::from(jobs);
        let bytes = share
            .clamp(MAINTENANCE_EACH_BYTES_MIN, MAINTENANCE_EACH_BYTES_MAX)
            .max(facts.maintenance_work_mem);
        let parallel_workers = match facts.parallel_maintenance_workers {
            PARALLEL_WORKERS_DEFAULT => (facts.worker_processes / jobs).min(PARALLEL_WORKERS_MAX),
            chosen => chosen,
        };
        Self { work_mem_kb: bytes / 1024, parallel_workers }
    }
}

/// What a session could and could not pin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pinned {
    /// Settings that the server has and our role may not set.
    pub skipped: Vec<String>,
    /// `session_replication_role` is `replica`: no trigger and no rule fires.
    pub replica: bool,
}

/// Settings of every session.
///
/// Order does not matter: all are set by one statement.
const COMMON: &[(&str, &str)] = &[
    // How values look.
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    ("lc_monetary", "C"),
    ("array_nulls", "on"),
    ("xmloption", "content"),
    ("standard_conforming_strings", "on"),
    ("escape_string_warning", "off"),
    ("backslash_quote", "safe_encoding"),
    ("transform_null_equals", "off"),
    ("quote_all_identifiers", "off"),
    // What is visible, and in which order.
    ("row_security", "off"),
    ("search_path", ""),
    ("synchronize_seqscans", "off"),
    // How long anything may take.
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("transaction_timeout", "0"),
    ("vacuum_cost_delay", "0"),
    // What a transaction is.
    ("default_transaction_read_only", "off"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_deferrable", "off"),
    // Notices of DDL that went well say nothing.
    ("client_min_messages", "warning"),
    // Compiling a catalog query takes longer than running it.
    ("jit", "off"),
];

/// Settings of target sessions.
const TARGET: &[(&str, &str)] = &[
    // A crash of the target may lose the last commits together with their ledger rows: they are
    // done again. The end of the run waits for one synchronous commit.
    ("synchronous_commit", "off"),
    ("check_function_bodies", "off"),
    ("default_tablespace", ""),
    ("session_replication_role", "replica"),
];

/// Version that introduced `transaction_timeout`.
const VERSION_TRANSACTION_TIMEOUT: u32 = 170_000;
/// Version that introduced `has_parameter_privilege` and GRANT SET ON PARAMETER.
const VERSION_PARAMETER_PRIVILEGE: u32 = 150_000;

/// What [`statements`] needs to know of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerTraits<'a> {
    /// `server_version_num`.
    pub version: u32,
    /// `server_encoding` of the database.
    pub encoding: &'a str,
}

/// The statements that pin a session, to be sent in one pipeline.
///
/// The last one returns a row per setting: name and whether it was set.
pub fn statements(role: SessionRole, server: ServerTraits<'_>) -> Vec<String> {
    let mut statements = vec!["set statement_timeout = 0".to_owned()];
    if server.version >= VERSION_TRANSACTION_TIMEOUT {
        statements.push("set transaction_timeout = 0".to_owned());
    }
    let settings = settings(role, server);
    let values: Vec<String> = settings
        .iter()
        .map(|(name, value)| format!("({}, {})", quote_literal(name), quote_literal(value)))
        .collect();
    let settable = if server.version >= VERSION_PARAMETER_PRIVILEGE {
        "pg_catalog.has_parameter_privilege(s.name, 'SET')"
    } else {
        "pg_catalog.current_setting('is_superuser') = 'on'"
    };
    statements.push(format!(
        "select p.name, case when p.settable then \
         pg_catalog.set_config(p.name, p.value, false) is not null else false end \
         from (select v.name, v.value, \
         s.context = 'user' or (s.context = 'superuser' and {settable}) as settable \
         from (values {}) as v (name, value) \
         join pg_catalog.pg_settings as s on s.name = v.name offset 0) as p",
        values.join(", ")
    ));
    statements
}

/// The settings of a role on a server.
fn settings(role: SessionRole, server: ServerTraits<'_>) -> Vec<(&'static str, String)> {
    let mut settings: Vec<(&'static str, String)> =
        COMMON.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    // SQL_ASCII means "bytes": any other client encoding would have them checked against it.
    let encoding = if server.encoding == "SQL_ASCII" { "SQL_ASCII" } else { "UTF8" };
    settings.push(("client_encoding", encoding.to_owned()));
    if role != SessionRole::Source {
        settings.extend(TARGET.iter().map(|(name, value)| (*name, (*value).to_owned())));
    }
    if let SessionRole::TargetIndexer(maintenance) = role {
        settings.push(("maintenance_work_mem", format!("{}kB", maintenance.work_mem_kb)));
        settings
            .push(("max_parallel_maintenance_workers", maintenance.parallel_workers.to_string()));
    }
    settings
}

/// Pins the settings of a session in one round trip. To be called right after connecting.
///
/// Version and encoding are taken from what the server reported at start-up.
///
/// # Errors
/// What the server or the connection reports; a setting that the role may not set is no error.
pub async fn pin(session: &mut Session, role: SessionRole) -> Result<Pinned> {
    let version = session.version();
    let encoding = session.parameter("server_encoding").unwrap_or("UTF8").to_owned();
    let statements = statements(role, ServerTraits { version, encoding: &encoding });
    let pipeline: Vec<PipelineStatement<'_>> = statements
        .iter()
        .map(|sql| PipelineStatement { sql, params: Vec::new(), binary: false })
        .collect();
    let results = session.pipeline(&pipeline).await?;
    let mut pinned = Pinned::default();
    for row in results.last().map(|rows| rows.rows.as_slice()).unwrap_or_default() {
        let name = row.text(0)?;
        let set = row.flag(1)?;
        if name == "session_replication_role" {
            pinned.replica = set;
        }
        if !set {
            pinned.skipped.push(name.to_owned());
        }
    }
    if !pinned.skipped.is_empty() {
        tracing::debug!(skipped = ?pinned.skipped, "session settings that this role may not set");
    }
    Ok(pinned)
}

/// `server_version_num` out of `server_version` ("15.20 (Debian 15.20-1)", "18beta1", "9.6.24").
pub(super) fn version_number(text: &str) -> u32 {
    let mut numbers =
        text.split(|c: char| !c.is_ascii_digit()).map_while(|digits| digits.parse::<u32>().ok());
    let major = numbers.next().unwrap_or(0);
    if major < 10 { major * 10_000 + numbers.next().unwrap_or(0) * 100 } else { major * 10_000 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const MIB: u64 = 1 << 20;

    fn untuned() -> MaintenanceFacts {
        MaintenanceFacts {
            shared_buffers: 128 * MIB,
            maintenance_work_mem: 64 * MIB,
            worker_processes: 8,
            parallel_maintenance_workers: 2,
        }
    }

    #[test]
    fn an_untuned_server_gives_one_gib_to_all_builds_together() {
        for (jobs, mib, workers) in [(1, 1024, 6), (2, 512, 4), (4, 256, 2), (8, 128, 1)] {
            let sized = Maintenance::sized(&untuned(), jobs);
            assert_eq!(sized.work_mem_kb, mib * 1024, "{jobs} jobs");
            assert_eq!(sized.parallel_workers, workers, "{jobs} jobs");
        }
    }

    #[test]
    fn a_large_server_stops_at_two_gib_per_build() {
        let facts = MaintenanceFacts { shared_buffers: 64 * GIB, ..untuned() };
        assert_eq!(Maintenance::sized(&facts, 4).work_mem_kb, 2 * 1024 * 1024);
    }

    #[test]
    fn what_the_administrator_chose_stays() {
        let facts = MaintenanceFacts {
            maintenance_work_mem: 4 * GIB,
            parallel_maintenance_workers: 0,
            ..untuned()
        };
        let sized = Maintenance::sized(&facts, 128);
        assert_eq!(sized, Maintenance { work_mem_kb: 4 * 1024 * 1024, parallel_workers: 0 });
    }

    #[test]
    fn many_jobs_never_fall_below_the_servers_default() {
        assert_eq!(Maintenance::sized(&untuned(), 128).work_mem_kb, 64 * 1024);
        assert_eq!(Maintenance::sized(&untuned(), 0), Maintenance::sized(&untuned(), 1));
    }

    #[test]
    fn versions_are_read_from_every_form_of_server_version() {
        for (text, number) in [
            ("15.20 (Debian 15.20-0+deb12u1)", 150_000),
            ("18.1", 180_000),
            ("19devel", 190_000),
            ("9.6.24", 90_600),
            ("", 0),
        ] {
            assert_eq!(version_number(text), number, "{text}");
        }
    }

    #[test]
    fn bytes_of_an_sql_ascii_database_are_not_converted() {
        let server = ServerTraits { version: 150_000, encoding: "SQL_ASCII" };
        let sql = statements(SessionRole::Source, server).join(";");
        assert!(sql.contains("('client_encoding', 'SQL_ASCII')"), "{sql}");
        let server = ServerTraits { version: 150_000, encoding: "LATIN1" };
        let sql = statements(SessionRole::Source, server).join(";");
        assert!(sql.contains("('client_encoding', 'UTF8')"), "{sql}");
    }

    #[test]
    fn a_source_is_never_told_about_replication_roles_or_commits() {
        let server = ServerTraits { version: 180_000, encoding: "UTF8" };
        let sql = statements(SessionRole::Source, server).join(";");
        assert!(!sql.contains("session_replication_role"), "{sql}");
        assert!(!sql.contains("synchronous_commit"), "{sql}");
    }
}
