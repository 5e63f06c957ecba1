//! `stream`: parts of `follow` by hand.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ChangeArgs, CommonArgs, ConnectionArgs, PruneArgs, SentinelCommand, SentinelGroup};

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
    /// Create sentinel and origin for a slot that `snapshot --follow` made
    #[command(override_usage = "pgcopydb stream setup --source URI --target URI [options]")]
    Setup(Box<StreamArgs>),
    /// Drop slot, publications and origin
    #[command(override_usage = "pgcopydb stream cleanup --source URI --target URI [options]")]
    Cleanup(Box<StreamArgs>),
    /// Receive changes while the copy runs, apply nothing
    #[command(override_usage = "pgcopydb stream prefetch --source URI [options]")]
    Prefetch(Box<StreamArgs>),
    /// Receive changes, apply nothing
    #[command(override_usage = "pgcopydb stream receive --source URI [options]")]
    Receive(Box<StreamArgs>),
    /// Remove received changes that are applied
    #[command(override_usage = "pgcopydb stream prune [options]")]
    Prune(Box<PruneArgs>),
    /// Read and change the positions that running processes go by
    Sentinel(SentinelGroup),
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
    pub fn common(&self) -> Vec<&CommonArgs> {
        match self {
            Self::Setup(args)
            | Self::Cleanup(args)
            | Self::Prefetch(args)
            | Self::Catchup(args)
            | Self::Receive(args)
            | Self::Replay(args)
            | Self::Transform(args) => vec![&args.common],
            Self::Apply(args) => vec![&args.stream.common],
            Self::Prune(args) => vec![&args.stream.common],
            Self::Sentinel(group) => std::iter::once(&group.common)
                .chain(group.command.iter().flat_map(SentinelCommand::common))
                .collect(),
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
    /// Refused: a `stream` command continues, `stream cleanup` and `follow --restart` begin anew
    #[arg(short = 'r', long, hide = true)]
    pub restart: bool,
    /// Accepted for scripts of earlier versions; no `stream` command reads under a snapshot
    #[arg(short = 'N', long, value_name = "ID")]
    pub snapshot: Option<String>,
    /// Print every message of the output plugin, too, one per line
    #[arg(short = 'O', long)]
    pub to_stdout: bool,
    /// Read the changes as SQL text from standard input, as `stream apply -` does
    #[arg(short = 'I', long)]
    pub from_stdin: bool,
}
