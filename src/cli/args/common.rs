//! Options that several commands share.

use std::path::PathBuf;

use clap::{ArgAction, Args};

/// Options that every command accepts, in front of the command word and after it.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Common options")]
pub struct CommonArgs {
    /// Say more: -v NOTICE, -vv SQL, -vvv DEBUG, -vvvv TRACE
    #[arg(short, long, visible_alias = "notice", action = ArgAction::Count)]
    pub verbose: u8,
    /// Log at level DEBUG
    #[arg(short, long)]
    pub debug: bool,
    /// Log at level TRACE
    #[arg(short = 'z', long)]
    pub trace: bool,
    /// Log errors only
    #[arg(short, long)]
    pub quiet: bool,
    /// Print the version and exit
    #[arg(short = 'V', long, action = ArgAction::Version)]
    pub version: Option<bool>,
    /// Print this usage and exit
    #[arg(short, long, action = ArgAction::HelpShort)]
    pub help: Option<bool>,
}

/// The source alone.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connections")]
pub struct SourceArgs {
    /// Source database, as a URI or as keyword=value pairs
    #[arg(short = 'S', long, value_name = "URI")]
    pub source: Option<String>,
}

/// Where state lives.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Run")]
pub struct DirectoryArgs {
    /// Work directory [default: $TMPDIR/pgcopydb, or /tmp/pgcopydb]
    #[arg(short = 'D', long, value_name = "PATH")]
    pub dir: Option<PathBuf>,
}

/// The two ends.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connections")]
pub struct ConnectionArgs {
    /// Source database, as a URI or as keyword=value pairs
    #[arg(short = 'S', long, value_name = "URI")]
    pub source: Option<String>,
    /// Target database, as a URI or as keyword=value pairs
    #[arg(short = 'T', long, value_name = "URI")]
    pub target: Option<String>,
}
