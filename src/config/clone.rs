//! Settings of `clone` and of the `copy` commands.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Everything `clone` needs to know.
#[derive(Debug, Clone)]
pub struct CloneConfig {
    /// Connection string of the source, as given (may hold a password: never log it).
    pub source: crate::connect::conninfo::ConnInfo,
    /// Connection string of the target.
    pub target: crate::connect::conninfo::ConnInfo,
    /// Work directory.
    pub directory: PathBuf,
    /// Workers per kind of work.
    pub jobs: Jobs,
    /// How tables are split.
    pub split: Split,
    /// COPY format per table.
    pub copy_format: CopyFormat,
    /// What to leave out.
    pub skip: Skip,
    /// How the schema is restored.
    pub schema: SchemaOptions,
    /// Copy roles first.
    pub roles: bool,
    /// Leave passwords out when roles are copied.
    pub no_role_passwords: bool,
    /// Filter file.
    pub filters: Option<PathBuf>,
    /// Extension versions that the target must have (`--requirements`), by name.
    pub requirements: BTreeMap<String, String>,
    /// Stop everything at the first failed job instead of finishing what does not depend on it.
    pub fail_fast: bool,
    /// What to do with an earlier run's state.
    pub resume: Resume,
    /// Neither export nor require a snapshot.
    pub not_consistent: bool,
    /// Import this exported snapshot instead of exporting one.
    pub snapshot: Option<String>,
    /// Begin although the examination of both ends found what blocks.
    pub skip_checks: bool,
    /// Print the plan and stop.
    pub dry_run: bool,
    /// How the plan is printed.
    pub plan_format: PlanFormat,
    /// Text forms of filters, paths and switches that a resumed run must repeat; see `run identity`.
    pub client_tools: ClientTools,
}

/// How `--dry-run` prints the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlanFormat {
    /// For people.
    #[default]
    Text,
    /// `--json`: for programs.
    Json,
}

/// Where to look for `pg_dump` and `pg_restore`.
#[derive(Debug, Clone, Default)]
pub struct ClientTools {
    /// `PG_CONFIG`: path of a `pg_config` whose `--bindir` wins.
    pub pg_config: Option<PathBuf>,
    /// Directories of `PATH`, in order.
    pub path: Vec<PathBuf>,
    /// The environment that the tools are started with.
    pub environment: crate::local::child::Environment,
}

/// Workers per kind of work; each 1 to 128.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jobs {
    /// COPY and VACUUM workers. Default 4.
    pub table: u32,
    /// Index and constraint workers. Default 4.
    pub index: u32,
    /// `pg_restore --jobs`. Default: `index`.
    pub restore: u32,
    /// Large-object workers. Default 4.
    pub large_objects: u32,
}

/// When and how a table is copied in several parts; by default as the program chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Split {
    /// How the threshold is chosen.
    pub threshold: SplitThreshold,
    /// Largest number of parts per table; `None` is no cap.
    pub parts_max: Option<u32>,
    /// Never split by ctid.
    pub skip_ctid: bool,
    /// Take sizes from `relpages` instead of the files.
    pub estimate_sizes: bool,
}

/// `--split-tables-larger-than`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SplitThreshold {
    /// Not given: split where that shortens the whole run (K5).
    #[default]
    Auto,
    /// Given as 0: never split.
    Never,
    /// Given: split tables of at least this many bytes.
    Bytes(u64),
}

/// `--copy-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CopyFormat {
    /// Binary where every type is proven portable, else text (K1).
    #[default]
    Auto,
    /// Binary always; a table whose types are not portable is an error in the plan.
    Binary,
    /// Text always.
    Text,
}

/// What to leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Skip {
    /// Large-object contents.
    pub large_objects: bool,
    /// Extensions, their schemas and configuration data.
    pub extensions: bool,
    /// COMMENT ON EXTENSION.
    pub extension_comments: bool,
    /// User collations.
    pub collations: bool,
    /// VACUUM and ANALYZE on the target.
    pub vacuum: bool,
    /// ANALYZE on the source before sizes are estimated.
    pub analyze: bool,
    /// ALTER DATABASE … SET and ALTER ROLE … IN DATABASE … SET.
    pub db_properties: bool,
}

/// How the schema is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SchemaOptions {
    /// Drop what exists first.
    pub drop_if_exists: bool,
    /// Objects belong to the connecting role.
    pub no_owner: bool,
    /// Privileges are not restored.
    pub no_acl: bool,
    /// Comments are not restored.
    pub no_comments: bool,
    /// Tablespaces are not restored.
    pub no_tablespaces: bool,
}

/// What to do with an earlier run's state (K7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resume {
    /// Continue when there is something to continue.
    #[default]
    Auto,
    /// `--resume`: the same, said aloud.
    Resume,
    /// `--restart`: forget the earlier run and start over.
    Restart,
}
