//! Every environment variable that is ours, in one table: help texts, settings and the generated
//! reference `docs/cli.md` are made from it.
//!
//! To add one: a row here; the field's line in `cli::settings` finds it by its option.

/// An environment variable that stands in for a command-line option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mirrored {
    /// Name of the variable.
    pub name: &'static str,
    /// Long option without its dashes.
    pub option: &'static str,
}

/// Variables mirrored by options. The option wins; a malformed value is an error even then. An
/// empty value counts as not set.
///
/// Source: spec/commands.md 3.1.
pub const MIRRORED: [Mirrored; 23] = [
    Mirrored { name: "PGCOPYDB_SOURCE_PGURI", option: "source" },
    Mirrored { name: "PGCOPYDB_TARGET_PGURI", option: "target" },
    Mirrored { name: "PGCOPYDB_TABLE_JOBS", option: "table-jobs" },
    Mirrored { name: "PGCOPYDB_INDEX_JOBS", option: "index-jobs" },
    Mirrored { name: "PGCOPYDB_RESTORE_JOBS", option: "restore-jobs" },
    Mirrored { name: "PGCOPYDB_LARGE_OBJECTS_JOBS", option: "large-objects-jobs" },
    Mirrored { name: "PGCOPYDB_SPLIT_TABLES_LARGER_THAN", option: "split-tables-larger-than" },
    Mirrored { name: "PGCOPYDB_SPLIT_MAX_PARTS", option: "split-max-parts" },
    Mirrored { name: "PGCOPYDB_ESTIMATE_TABLE_SIZES", option: "estimate-table-sizes" },
    Mirrored { name: "PGCOPYDB_DROP_IF_EXISTS", option: "drop-if-exists" },
    Mirrored { name: "PGCOPYDB_SKIP_TABLESPACES", option: "no-tablespaces" },
    Mirrored { name: "PGCOPYDB_SKIP_VACUUM", option: "skip-vacuum" },
    Mirrored { name: "PGCOPYDB_SKIP_ANALYZE", option: "skip-analyze" },
    Mirrored { name: "PGCOPYDB_SKIP_DB_PROPERTIES", option: "skip-db-properties" },
    Mirrored { name: "PGCOPYDB_SKIP_CTID_SPLIT", option: "skip-split-by-ctid" },
    Mirrored { name: "PGCOPYDB_USE_COPY_BINARY", option: "use-copy-binary" },
    Mirrored { name: "PGCOPYDB_FAIL_FAST", option: "fail-fast" },
    Mirrored { name: "PGCOPYDB_SNAPSHOT", option: "snapshot" },
    Mirrored { name: "PGCOPYDB_OUTPUT_PLUGIN", option: "plugin" },
    Mirrored { name: "PGCOPYDB_WAL2JSON_NUMERIC_AS_STRING", option: "wal2json-numeric-as-string" },
    Mirrored { name: "PGCOPYDB_REPLAY_NO_OP_UPDATES", option: "replay-no-op-updates" },
    Mirrored { name: "PGCOPYDB_CONFIRM", option: "confirm" },
    Mirrored { name: "PGCOPYDB_TARGET_READ_ONLY", option: "target-read-only" },
];

/// A variable without an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Other {
    /// Name of the variable.
    pub name: &'static str,
    /// What it does, for the reference.
    pub meaning: &'static str,
}

/// `PGCOPYDB_LOG_TIME_FORMAT`.
pub const LOG_TIME_FORMAT: &str = "PGCOPYDB_LOG_TIME_FORMAT";
/// `PGCOPYDB_LOG_JSON`.
pub const LOG_JSON: &str = "PGCOPYDB_LOG_JSON";
/// `PGCOPYDB_LOG_FILENAME`.
pub const LOG_FILENAME: &str = "PGCOPYDB_LOG_FILENAME";
/// `PGCOPYDB_LOG_JSON_FILE`.
pub const LOG_JSON_FILE: &str = "PGCOPYDB_LOG_JSON_FILE";
/// `PGCOPYDB_DEBUG_BIN_PATH`.
pub const DEBUG_BIN_PATH: &str = "PGCOPYDB_DEBUG_BIN_PATH";
/// `TMPDIR`.
pub const TMPDIR: &str = "TMPDIR";
/// `PG_CONFIG`.
pub const PG_CONFIG: &str = "PG_CONFIG";
/// `PATH`.
pub const PATH: &str = "PATH";
/// `PGCONNECT_TIMEOUT`.
pub const PGCONNECT_TIMEOUT: &str = "PGCONNECT_TIMEOUT";

/// Variables without an option.
///
/// Source: spec/commands.md 3.2.
pub const OTHERS: [Other; 9] = [
    Other {
        name: LOG_TIME_FORMAT,
        meaning: "strftime format of the time in text log lines on standard error; \
                  milliseconds are appended",
    },
    Other { name: LOG_JSON, meaning: "boolean: log lines on standard error are JSON objects" },
    Other {
        name: LOG_FILENAME,
        meaning: "file that receives the log lines as well; emptied at start, its directory must \
                  exist",
    },
    Other { name: LOG_JSON_FILE, meaning: "boolean: lines of that file are JSON objects" },
    Other {
        name: DEBUG_BIN_PATH,
        meaning: "program path to announce in the first log line instead of the real one",
    },
    Other { name: TMPDIR, meaning: "the default work directory is $TMPDIR/pgcopydb" },
    Other {
        name: PG_CONFIG,
        meaning: "path of a pg_config; pg_dump and pg_restore are taken from its --bindir",
    },
    Other { name: PATH, meaning: "searched for pg_dump and pg_restore otherwise" },
    Other {
        name: PGCONNECT_TIMEOUT,
        meaning: "seconds to wait for one host, as in libpq; 10 when unset",
    },
];

/// The variable that stands in for a long option.
pub fn of_option(option: &str) -> Option<&'static str> {
    MIRRORED.iter().find(|variable| variable.option == option).map(|variable| variable.name)
}
