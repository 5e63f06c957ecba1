//! `completions`, `man`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use super::CommonArgs;

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
    /// The options that every command has.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Directory that receives the pages; made when it does not exist
    #[arg(value_name = "DIRECTORY")]
    pub directory: PathBuf,
    /// The options that every command has.
    #[command(flatten)]
    pub common: CommonArgs,
}
