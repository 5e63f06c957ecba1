//! `dump`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{CommonArgs, ConnectionArgs};

/// `pgcopydb dump`.
#[derive(Debug, Args)]
pub struct DumpGroup {
    /// Options in front of the sub-command.
    #[command(flatten)]
    pub common: CommonArgs,
    /// The sub-command.
    #[command(subcommand)]
    pub command: Option<DumpCommand>,
}

/// Sub-commands of `pgcopydb dump`.
#[derive(Debug, Subcommand)]
pub enum DumpCommand {
    /// Dump the source's schema into the work directory
    #[command(override_usage = "pgcopydb dump schema --source URI [options]")]
    Schema(Box<DumpArgs>),
    /// Dump the source server's roles into the work directory
    #[command(override_usage = "pgcopydb dump roles --source URI [options]")]
    Roles(Box<DumpArgs>),
}

impl DumpCommand {
    /// The options that every command has.
    pub fn common(&self) -> &CommonArgs {
        let (Self::Schema(args) | Self::Roles(args)) = self;
        &args.common
    }
}

/// Options of the `dump` commands.
///
/// Source: spec/commands.md 2.8.
#[derive(Debug, Args)]
pub struct DumpArgs {
    /// The two ends; the target only decides which tools are taken.
    #[command(flatten)]
    pub connections: ConnectionArgs,
    /// Where state lives and how a run continues.
    #[command(flatten)]
    pub run: StepRunArgs,
    /// What is dumped.
    #[command(flatten)]
    pub what: DumpWhatArgs,
    /// The options that every command has.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// What is dumped.
#[derive(Debug, Args)]
#[command(next_help_heading = "Selection")]
pub struct DumpWhatArgs {
    /// Filter file: which schemas, tables and indexes to copy
    #[arg(short = 'F', long, visible_alias = "filter", value_name = "FILE")]
    pub filters: Option<PathBuf>,
    /// Leave passwords out
    #[arg(short = 'P', long)]
    pub no_role_passwords: bool,
    /// Leave extensions out of what is planned
    #[arg(short = 'e', long)]
    pub skip_extensions: bool,
}

/// Where state lives and how a step continues.
#[derive(Debug, Args)]
#[command(next_help_heading = "Run")]
pub struct StepRunArgs {
    /// Work directory [default: $TMPDIR/pgcopydb, or /tmp/pgcopydb]
    #[arg(short = 'D', long, value_name = "PATH")]
    pub dir: Option<PathBuf>,
    /// Continue what an earlier start began; also what happens without this option
    #[arg(short = 'R', long)]
    pub resume: bool,
    /// Do the step again although it has completed
    #[arg(short = 'r', long)]
    pub restart: bool,
    /// Neither share nor require a snapshot
    #[arg(short = 'C', long)]
    pub not_consistent: bool,
    /// Use this exported snapshot, held open elsewhere
    #[arg(short = 'N', long, value_name = "ID")]
    pub snapshot: Option<String>,
}
