//! `compare schema`, `compare data`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{CommonArgs, ConnectionArgs};
use crate::base::units::JobCount;

/// `pgcopydb compare`.
#[derive(Debug, Args)]
pub struct CompareGroup {
    /// Options in front of the sub-command.
    #[command(flatten)]
    pub common: CommonArgs,
    /// The sub-command.
    #[command(subcommand)]
    pub command: Option<CompareCommand>,
}

/// Sub-commands of `pgcopydb compare`.
#[derive(Debug, Subcommand)]
pub enum CompareCommand {
    /// Compare the definitions of all objects; exit code 8 when they differ
    #[command(override_usage = "pgcopydb compare schema --source URI --target URI [options]")]
    Schema(Box<CompareArgs>),
    /// Compare the rows of all tables; exit code 8 when they differ
    #[command(override_usage = "pgcopydb compare data --source URI --target URI [options]")]
    Data(Box<CompareDataArgs>),
}

/// Options of `compare schema`, and of `compare data` too.
///
/// Source: spec/commands.md 2.11.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The two ends.
    #[command(flatten)]
    pub connections: ConnectionArgs,
    /// Write the result as JSON into this work directory as well
    #[arg(short = 'D', long, value_name = "PATH")]
    pub dir: Option<PathBuf>,
    /// Sessions per side, 1 to 128 [default: 4]
    #[arg(short = 'j', long, visible_alias = "jobs", value_name = "N")]
    pub table_jobs: Option<JobCount>,
    /// Compare every database of both servers
    #[arg(short = 'a', long)]
    pub all_databases: bool,
    /// Filter file: what it leaves out is not compared
    #[arg(short = 'F', long, visible_alias = "filter", value_name = "FILE")]
    pub filters: Option<PathBuf>,
    /// Print JSON
    #[arg(short = 'J', long)]
    pub json: bool,
    /// The options that every command has.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Options of `compare data`.
#[derive(Debug, Args)]
pub struct CompareDataArgs {
    /// Those of both comparisons.
    #[command(flatten)]
    pub compare: CompareArgs,
    /// Name up to N rows of each table that differs by their keys [default: 0]
    #[arg(long, value_name = "N")]
    pub show_rows: Option<u32>,
}
