//! `clone`, `fork`, `copy db`, `follow`: the shared option set of everything that copies or follows.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ChangeArgs, CommonArgs, ConnectionArgs};
use crate::base::units::{ByteSize, JobCount, parse_positive};

/// Options of `clone`, `fork`, `copy db` and `follow`.
///
/// Source: spec/commands.md 2.3.
#[derive(Debug, Args)]
pub struct CloneArgs {
    /// The two ends.
    #[command(flatten)]
    pub connections: ConnectionArgs,
    /// Where state lives and how a run continues.
    #[command(flatten)]
    pub run: RunArgs,
    /// How much happens at once.
    #[command(flatten)]
    pub concurrency: ConcurrencyArgs,
    /// What is copied and what is left out.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// How the schema is restored.
    #[command(flatten)]
    pub schema: SchemaArgs,
    /// How changes are followed.
    #[command(flatten)]
    pub changes: ChangeArgs,
    /// The options that every command has.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Where state lives and how a run continues.
#[derive(Debug, Args)]
#[command(next_help_heading = "Run")]
pub struct RunArgs {
    /// Work directory [default: $TMPDIR/pgcopydb, or /tmp/pgcopydb]
    #[arg(short = 'D', long, value_name = "PATH")]
    pub dir: Option<PathBuf>,
    /// Continue an earlier run; also what happens without this option when there is one
    #[arg(short = 'R', long)]
    pub resume: bool,
    /// Forget an earlier run in the work directory and start over
    #[arg(short = 'r', long)]
    pub restart: bool,
    /// Neither share nor require a snapshot: every table is read as of its own time
    #[arg(short = 'C', long)]
    pub not_consistent: bool,
    /// Then follow: apply what the source commits after the snapshot
    #[arg(short = 'f', long)]
    pub follow: bool,
    /// Use this exported snapshot, held open elsewhere
    #[arg(short = 'N', long, value_name = "ID")]
    pub snapshot: Option<String>,
    /// Stop everything at the first failure instead of finishing what does not depend on it
    #[arg(short = 'i', long)]
    pub fail_fast: bool,
    /// Begin although the examination of both ends finds what blocks; see `pgcopydb check`
    #[arg(long)]
    pub skip_checks: bool,
    /// Print the plan and exit
    #[arg(long)]
    pub dry_run: bool,
    /// Print the settings that options, variables and defaults add up to, and exit
    #[arg(long)]
    pub show_settings: bool,
    /// With --dry-run or --show-settings: print JSON
    #[arg(long)]
    pub json: bool,
}

/// How much happens at once.
#[derive(Debug, Args)]
#[command(next_help_heading = "Concurrency")]
pub struct ConcurrencyArgs {
    /// COPY and VACUUM workers, 1 to 128 [default: 4]
    #[arg(short = 'J', long, visible_alias = "jobs", value_name = "N")]
    pub table_jobs: Option<JobCount>,
    /// CREATE INDEX and constraint workers, 1 to 128 [default: 4]
    #[arg(short = 'I', long, value_name = "N")]
    pub index_jobs: Option<JobCount>,
    /// pg_restore workers, 1 to 128 [default: same as --index-jobs]
    #[arg(short = 'j', long, value_name = "N")]
    pub restore_jobs: Option<JobCount>,
    /// Large-object workers, 1 to 128 [default: 4]
    #[arg(short = 'b', long, visible_alias = "large-object-jobs", value_name = "N")]
    pub large_objects_jobs: Option<JobCount>,
    /// Copy tables of at least this size in several parts, 0 never splits [default: where it
    /// shortens the run]
    #[arg(short = 'L', long, visible_alias = "split-at", value_name = "SIZE")]
    pub split_tables_larger_than: Option<ByteSize>,
    /// Most parts per table [default: no limit]
    #[arg(short = 'u', long, value_name = "N", value_parser = parse_positive)]
    pub split_max_parts: Option<u32>,
    /// Never split a table by ctid
    #[arg(short = 'k', long)]
    pub skip_split_by_ctid: bool,
    /// Take table sizes from the source's statistics instead of its files
    #[arg(short = 'm', long)]
    pub estimate_table_sizes: bool,
    /// COPY format: binary where every column's type is proven portable, or one for all
    /// [default: auto]
    #[arg(long, value_name = "FORMAT")]
    pub copy_format: Option<CopyFormatArg>,
    /// Same as --copy-format auto
    #[arg(short = 'n', long)]
    pub use_copy_binary: bool,
}

/// `--copy-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CopyFormatArg {
    /// Decided per table.
    Auto,
    /// Binary for every table.
    Binary,
    /// Text for every table.
    Text,
}

/// What is copied and what is left out.
#[derive(Debug, Args)]
#[command(next_help_heading = "Selection")]
pub struct SelectionArgs {
    /// Copy every database of the source server, and its roles
    #[arg(long)]
    pub all_databases: bool,
    /// Filter file: which schemas, tables and indexes to copy
    #[arg(short = 'F', long, visible_alias = "filter", value_name = "FILE")]
    pub filters: Option<PathBuf>,
    /// Copy roles first
    #[arg(short = 'A', long)]
    pub roles: bool,
    /// Leave passwords out when roles are copied
    #[arg(short = 'P', long)]
    pub no_role_passwords: bool,
    /// Do not copy the contents of large objects
    #[arg(short = 'B', long, visible_alias = "skip-blobs")]
    pub skip_large_objects: bool,
    /// Do not create extensions and their schemas, nor copy their configuration data
    #[arg(short = 'e', long)]
    pub skip_extensions: bool,
    /// JSON list of extension versions that the target must have
    #[arg(short = 'Q', long, value_name = "FILE")]
    pub requirements: Option<PathBuf>,
    /// Do not restore comments on extensions
    #[arg(short = 'M', long, visible_alias = "skip-ext-comment")]
    pub skip_ext_comments: bool,
    /// Do not create collations
    #[arg(short = 'l', long)]
    pub skip_collations: bool,
    /// Do not run VACUUM and ANALYZE on the target
    #[arg(short = 'U', long)]
    pub skip_vacuum: bool,
    /// Do not run ANALYZE on the source before sizes are estimated
    #[arg(short = 'a', long)]
    pub skip_analyze: bool,
    /// Do not copy ALTER DATABASE and ALTER ROLE IN DATABASE settings
    #[arg(short = 'g', long)]
    pub skip_db_properties: bool,
}

/// How the schema is restored.
#[derive(Debug, Args)]
#[command(next_help_heading = "Schema")]
pub struct SchemaArgs {
    /// Drop objects that exist on the target first
    #[arg(short = 'c', long)]
    pub drop_if_exists: bool,
    /// Restored objects belong to the connecting role
    #[arg(short = 'O', long)]
    pub no_owner: bool,
    /// Do not restore privileges
    #[arg(short = 'x', long)]
    pub no_acl: bool,
    /// Do not restore comments
    #[arg(short = 'X', long)]
    pub no_comments: bool,
    /// Do not restore tablespaces
    #[arg(short = 'y', long)]
    pub no_tablespaces: bool,
}
