//! `restore`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::dump::StepRunArgs;
use super::{CommonArgs, ConnectionArgs};
use crate::base::units::JobCount;

/// `pgcopydb restore`.
#[derive(Debug, Args)]
pub struct RestoreGroup {
    /// Options in front of the sub-command.
    #[command(flatten)]
    pub common: CommonArgs,
    /// The sub-command.
    #[command(subcommand)]
    pub command: Option<RestoreCommand>,
}

/// Sub-commands of `pgcopydb restore`.
#[derive(Debug, Subcommand)]
pub enum RestoreCommand {
    /// Restore the dumped schema, pre-data and post-data
    #[command(override_usage = "pgcopydb restore schema --target URI [options]")]
    Schema(Box<RestoreArgs>),
    /// Restore what rows need: tables, types, functions, views
    #[command(override_usage = "pgcopydb restore pre-data --target URI [options]")]
    PreData(Box<RestoreArgs>),
    /// Restore what is left once rows are there: indexes, constraints, triggers, policies
    #[command(override_usage = "pgcopydb restore post-data --target URI [options]")]
    PostData(Box<RestoreArgs>),
    /// Restore the dumped roles
    #[command(override_usage = "pgcopydb restore roles --target URI [options]")]
    Roles(Box<RestoreArgs>),
    /// Show the entries of a restore list, or write the lists that a restore would use
    #[command(override_usage = "pgcopydb restore parse-list [FILE] [options]")]
    ParseList(Box<ParseListArgs>),
}

impl RestoreCommand {
    /// The options that every command has.
    pub fn common(&self) -> &CommonArgs {
        match self {
            Self::Schema(args) | Self::PreData(args) | Self::PostData(args) | Self::Roles(args) => {
                &args.common
            }
            Self::ParseList(args) => &args.restore.common,
        }
    }
}

/// Options of the `restore` commands.
///
/// Source: spec/commands.md 2.9.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The two ends; the source is needed for other filters than those of the dump only.
    #[command(flatten)]
    pub connections: ConnectionArgs,
    /// Where state lives and how a run continues.
    #[command(flatten)]
    pub run: StepRunArgs,
    /// What is restored, and how.
    #[command(flatten)]
    pub what: RestoreWhatArgs,
    /// The options that every command has.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Options of `restore parse-list`.
#[derive(Debug, Args)]
pub struct ParseListArgs {
    /// Output of `pg_restore --list`
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The options of the other `restore` commands.
    #[command(flatten)]
    pub restore: RestoreArgs,
}

/// What is restored, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Schema")]
pub struct RestoreWhatArgs {
    /// Restore workers, 1 to 128 [default: 4]
    #[arg(short = 'j', long, value_name = "N")]
    pub restore_jobs: Option<JobCount>,
    /// Filter file: which schemas, tables and indexes to restore [default: that of the dump]
    #[arg(short = 'F', long, visible_alias = "filter", value_name = "FILE")]
    pub filters: Option<PathBuf>,
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
    #[arg(long)]
    pub no_tablespaces: bool,
    /// Do not create extensions and their schemas
    #[arg(short = 'e', long)]
    pub skip_extensions: bool,
    /// Do not restore comments on extensions
    #[arg(short = 'E', long, visible_alias = "skip-ext-comment")]
    pub skip_ext_comments: bool,
}
