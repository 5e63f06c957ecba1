//! `stream sentinel`, and what `stream prune` has of its own.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use proto::lsn::Lsn;

use super::{CommonArgs, DirectoryArgs, SourceArgs, StreamArgs};

/// Options of `stream prune`.
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
    /// What all `stream` commands have.
    #[command(flatten)]
    pub stream: StreamArgs,
}

/// `pgcopydb stream sentinel`.
#[derive(Debug, Args)]
pub struct SentinelGroup {
    /// Options in front of the sub-command.
    #[command(flatten)]
    pub common: CommonArgs,
    /// The sub-command.
    #[command(subcommand)]
    pub command: Option<SentinelCommand>,
}

/// Sub-commands of `pgcopydb stream sentinel`.
///
/// Source: spec/commands.md 2.13.
#[derive(Debug, Subcommand)]
pub enum SentinelCommand {
    /// Write the sentinel anew
    #[command(override_usage = "pgcopydb stream sentinel setup STARTLSN ENDLSN [options]")]
    Setup(SentinelSetupArgs),
    /// Print the sentinel, or one value of it
    #[command(override_usage = "pgcopydb stream sentinel get [options]")]
    Get(SentinelGetArgs),
    /// Change a value of the sentinel; running processes follow within a second
    Set(SentinelSetGroup),
}

/// Options of `stream sentinel setup`.
#[derive(Debug, Args)]
pub struct SentinelSetupArgs {
    /// Where the changes begin
    #[arg(value_name = "STARTLSN")]
    pub startpos: Lsn,
    /// Where to stop, inclusive; 0/0 is nowhere
    #[arg(value_name = "ENDLSN")]
    pub endpos: Lsn,
    /// Whose sentinel.
    #[command(flatten)]
    pub directory: DirectoryArgs,
    /// The options that every command has.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Options of `stream sentinel get`; at most one value is asked for.
#[derive(Debug, Args)]
pub struct SentinelGetArgs {
    /// Whose sentinel.
    #[command(flatten)]
    pub directory: DirectoryArgs,
    /// What of it.
    #[command(flatten)]
    pub value: SentinelValueArgs,
    /// Print a JSON object
    #[arg(short = 'J', long)]
    pub json: bool,
    /// The options that every command has.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// One value of the sentinel.
#[derive(Debug, Args)]
#[command(next_help_heading = "Value")]
#[group(multiple = false)]
pub struct SentinelValueArgs {
    /// Where the changes begin
    #[arg(short = 's', long)]
    pub startpos: bool,
    /// Where to stop
    #[arg(short = 'e', long)]
    pub endpos: bool,
    /// Whether apply may work
    #[arg(short = 'a', long)]
    pub apply: bool,
    /// Last position received
    #[arg(short = 'w', long)]
    pub write_lsn: bool,
    /// Last position durable here
    #[arg(short = 'f', long)]
    pub flush_lsn: bool,
    /// Accepted for scripts of earlier versions; prints the whole sentinel
    #[arg(short = 't', long)]
    pub transform_lsn: bool,
    /// Last position applied on the target
    #[arg(short = 'r', long)]
    pub replay_lsn: bool,
}

/// `pgcopydb stream sentinel set`.
#[derive(Debug, Args)]
pub struct SentinelSetGroup {
    /// Options in front of the sub-command.
    #[command(flatten)]
    pub common: CommonArgs,
    /// The sub-command.
    #[command(subcommand)]
    pub command: Option<SentinelSetCommand>,
}

/// Sub-commands of `pgcopydb stream sentinel set`.
#[derive(Debug, Subcommand)]
pub enum SentinelSetCommand {
    /// Set where the changes begin
    #[command(override_usage = "pgcopydb stream sentinel set startpos LSN [options]")]
    Startpos(SentinelLsnArgs),
    /// Set where to stop, inclusive; 0/0 is nowhere
    #[command(override_usage = "pgcopydb stream sentinel set endpos LSN|--current [options]")]
    Endpos(SentinelEndposArgs),
    /// Let apply work
    #[command(override_usage = "pgcopydb stream sentinel set apply [options]")]
    Apply(SentinelModeArgs),
    /// Only receive, apply nothing
    #[command(override_usage = "pgcopydb stream sentinel set prefetch [options]")]
    Prefetch(SentinelModeArgs),
}

/// Options of `stream sentinel set startpos`.
#[derive(Debug, Args)]
pub struct SentinelLsnArgs {
    /// The position
    #[arg(value_name = "LSN")]
    pub lsn: Lsn,
    /// Whose sentinel, and the rest.
    #[command(flatten)]
    pub mode: SentinelModeArgs,
}

/// Options of `stream sentinel set endpos`.
#[derive(Debug, Args)]
pub struct SentinelEndposArgs {
    /// The position
    #[arg(value_name = "LSN", required_unless_present = "current", conflicts_with = "current")]
    pub lsn: Option<Lsn>,
    /// Where the source's log ends now; needs --source
    #[arg(short = 'C', long)]
    pub current: bool,
    /// The source.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Whose sentinel, and the rest.
    #[command(flatten)]
    pub mode: SentinelModeArgs,
}

/// Options of `stream sentinel set apply` and `prefetch`.
#[derive(Debug, Args)]
pub struct SentinelModeArgs {
    /// Whose sentinel.
    #[command(flatten)]
    pub directory: DirectoryArgs,
    /// The options that every command has.
    #[command(flatten)]
    pub common: CommonArgs,
}

impl SentinelCommand {
    /// The options that every command has, group first.
    pub fn common(&self) -> Vec<&CommonArgs> {
        match self {
            Self::Setup(args) => vec![&args.common],
            Self::Get(args) => vec![&args.common],
            Self::Set(group) => {
                let own = group.command.as_ref().map(|command| match command {
                    SentinelSetCommand::Startpos(args) => &args.mode.common,
                    SentinelSetCommand::Endpos(args) => &args.mode.common,
                    SentinelSetCommand::Apply(args) | SentinelSetCommand::Prefetch(args) => {
                        &args.common
                    }
                });
                std::iter::once(&group.common).chain(own).collect()
            }
        }
    }

    /// The work directory that was given.
    pub fn dir(&self) -> Option<&PathBuf> {
        match self {
            Self::Setup(args) => args.directory.dir.as_ref(),
            Self::Get(args) => args.directory.dir.as_ref(),
            Self::Set(group) => match group.command.as_ref()? {
                SentinelSetCommand::Startpos(args) => args.mode.directory.dir.as_ref(),
                SentinelSetCommand::Endpos(args) => args.mode.directory.dir.as_ref(),
                SentinelSetCommand::Apply(args) | SentinelSetCommand::Prefetch(args) => {
                    args.directory.dir.as_ref()
                }
            },
        }
    }
}
