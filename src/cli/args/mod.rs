//! The command line as clap sees it: one file per command group, no default and no environment.
//!
//! Values are typed here so that a bad option argument is a usage error; which of option, variable
//! and default wins is decided in `cli::settings`.
//!
//! To add a command: its file here, its variant below, its arm in `cli::run`.

mod changes;
mod clone;
mod common;
mod compare;
mod copy;
mod dump;
mod generate;
mod list;
mod ping;
pub mod relevant;
mod restore;
mod sentinel;
mod snapshot;
mod stream;

use clap::{Args, CommandFactory, Parser, Subcommand};

pub use changes::{ChangeArgs, ConfirmArg, PluginArg};
pub use clone::{CloneArgs, CopyFormatArg};
pub use common::{CommonArgs, ConnectionArgs, DirectoryArgs, SourceArgs};
pub use compare::{CompareArgs, CompareCommand, CompareDataArgs, CompareGroup};
pub use copy::{CopyCommand, CopyGroup};
pub use dump::{DumpArgs, DumpCommand, DumpGroup, StepRunArgs};
pub use generate::{CompletionsArgs, ManArgs};
pub use list::{ListArgs, ListCommand, ListGroup};
pub use ping::PingArgs;
pub use restore::{ParseListArgs, RestoreArgs, RestoreCommand, RestoreGroup};
pub use sentinel::{
    PruneArgs, SentinelCommand, SentinelGetArgs, SentinelGroup, SentinelSetCommand,
};
pub use snapshot::{SlotArgs, SnapshotArgs};
pub use stream::{ApplyArgs, StreamArgs, StreamCommand, StreamGroup, StreamRunArgs};

use super::variables;

/// Width of usage texts, in columns. Fixed, so that the reference under `docs/` can be compared.
const USAGE_COLUMNS: usize = 100;

/// Moves a PostgreSQL database to another server
#[derive(Debug, Parser)]
#[command(
    name = "pgcopydb",
    version,
    disable_help_flag = true,
    disable_version_flag = true,
    disable_help_subcommand = true,
    propagate_version = true,
    infer_long_args = true,
    args_override_self = true,
    term_width = USAGE_COLUMNS
)]
pub struct Cli {
    /// Options in front of the command.
    #[command(flatten)]
    pub common: CommonArgs,
    /// JSON output for commands that support it
    #[arg(short = 'J', long)]
    pub json: bool,
    /// The command.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Clone an entire database from source to target
    #[command(override_usage = "pgcopydb clone --source URI --target URI [options]")]
    Clone(Box<CloneArgs>),
    /// Clone an entire database from source to target (same as clone)
    #[command(override_usage = "pgcopydb fork --source URI --target URI [options]")]
    Fork(Box<CloneArgs>),
    /// Export a snapshot of the source and hold it open for other commands
    #[command(override_usage = "pgcopydb snapshot --source URI [options]")]
    Snapshot(SnapshotArgs),
    /// Receive and apply what the source commits after it was cloned
    #[command(override_usage = "pgcopydb follow --source URI --target URI [options]")]
    Follow(Box<CloneArgs>),
    /// Receive and apply changes step by step
    Stream(StreamGroup),
    /// Copy database objects
    Copy(CopyGroup),
    /// Dump the source's schema or roles into the work directory
    Dump(DumpGroup),
    /// Restore what was dumped
    Restore(RestoreGroup),
    /// List what the source has, what is migrated, and how far a run is
    List(ListGroup),
    /// Compare source and target
    Compare(CompareGroup),
    /// Examine both databases and list what would stop a migration, with what resolves it
    #[command(override_usage = "pgcopydb check --source URI --target URI [options]")]
    Check(Box<CloneArgs>),
    /// Connect to both databases and say so
    #[command(override_usage = "pgcopydb ping --source URI --target URI [options]")]
    Ping(PingArgs),
    /// Print the completion script of a shell
    #[command(override_usage = "pgcopydb completions SHELL")]
    Completions(CompletionsArgs),
    /// Write a man page per command into a directory
    #[command(override_usage = "pgcopydb man DIRECTORY")]
    Man(ManArgs),
    /// Print the version
    #[command(override_usage = "pgcopydb version [--json]")]
    Version(VersionArgs),
    /// Print the tree of commands, or the usage of one
    #[command(override_usage = "pgcopydb help [command ...]")]
    Help(HelpArgs),
}

/// Options of `version`.
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// Print a JSON object
    #[arg(short = 'J', long)]
    pub json: bool,
    /// The options that every command has.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Arguments of `help`.
#[derive(Debug, Args)]
pub struct HelpArgs {
    /// Command to explain, for example `copy db`
    #[arg(value_name = "command")]
    pub path: Vec<String>,
    /// The options that every command has.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// The complete command tree, with usage templates and variables written into the help texts.
pub fn command() -> clap::Command {
    let mut root = dress(Cli::command(), "");
    root.build();
    root
}

/// Applies the template (options only, `usage` writes what stands above) and variable names to a
/// command and everything below it; hides what a command with a shared set of options does not use.
fn dress(command: clap::Command, path: &str) -> clap::Command {
    let command = command.help_template("{all-args}").mut_args(|arg| {
        let used = arg.get_long().is_none_or(|option| relevant::is_used(path, option));
        let hidden = arg.is_hide_set() || !used;
        let arg = arg.hide(hidden);
        match arg.get_long().and_then(variables::of_option) {
            None => arg,
            Some(variable) => {
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                arg.help(format!("{help} [env: {variable}]"))
            }
        }
    });
    command.mut_subcommands(|inner| {
        let path = format!("{path} {}", inner.get_name());
        dress(inner, path.trim_start())
    })
}
