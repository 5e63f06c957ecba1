//! `stream`: parts of `follow` by hand.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ChangeArgs, CommonArgs, ConnectionArgs};

/// `pgcopydb stream`.
#[derive(Debug, Args)]
pub struct StreamGroup {
    /// Options in front of the sub-command.
    #[command(flatten)]
    pub common: CommonArgs,
    /// The sub-command.
    #[command(subcommand)]
    pub command: Option<StreamCommand>,
}

/// Sub-commands of `pgcopydb stream`.
#[derive(Debug, Subcommand)]
pub enum StreamCommand {
    /// Apply the changes that another process receives, once it may
    #[command(override_usage = "pgcopydb stream catchup --source URI --target URI [options]")]
    Catchup(Box<StreamArgs>),
    /// Receive changes and apply them; slot and position must be there
    #[command(override_usage = "pgcopydb stream replay --source URI --target URI [options]")]
    Replay(Box<StreamArgs>),
    /// Apply the changes that were received, or those in a text, or print them as SQL
    #[command(override_usage = "pgcopydb stream apply --source URI --target URI|- [options] [-]")]
    Apply(Box<ApplyArgs>),
    /// Print the changes that were received as SQL
    #[command(override_usage = "pgcopydb stream transform [options]")]
    Transform(Box<StreamArgs>),
}

impl StreamCommand {
    /// The options that every command has.
    pub fn common(&self) -> &CommonArgs {
        match self {
            Self::Catchup(args) | Self::Replay(args) | Self::Transform(args) => &args.common,
            Self::Apply(args) => &args.stream.common,
        }
    }
}

/// Options of the `stream` commands.
///
/// Source: spec/commands.md 2.12.
#[derive(Debug, Args)]
pub struct StreamArgs {
    /// The two ends.
    #[command(flatten)]
    pub connections: ConnectionArgs,
    /// Where state lives and how a run continues.
    #[command(flatten)]
    pub run: StreamRunArgs,
    /// How changes are received and applied.
    #[command(flatten)]
    pub changes: ChangeArgs,
    /// The options that every command has.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Options of `stream apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// `-` reads the changes as SQL text from standard input, instead of those that were received
    #[arg(value_name = "-", value_parser = ["-"])]
    pub input: Option<String>,
    /// What all `stream` commands have.
    #[command(flatten)]
    pub stream: StreamArgs,
}

/// Where state lives and how a `stream` command continues.
#[derive(Debug, Args)]
#[command(next_help_heading = "Run")]
pub struct StreamRunArgs {
    /// Work directory [default: $TMPDIR/pgcopydb, or /tmp/pgcopydb]
    #[arg(short = 'D', long, value_name = "PATH")]
    pub dir: Option<PathBuf>,
    /// Filter file: which schemas and tables to apply
    #[arg(short = 'F', long, visible_alias = "filter", value_name = "FILE")]
    pub filters: Option<PathBuf>,
    /// Continue an earlier run; also what happens without this option
    #[arg(short = 'R', long)]
    pub resume: bool,
    /// Accepted for scripts of earlier versions; `stream` commands always continue
    #[arg(short = 'C', long)]
    pub not_consistent: bool,
}
