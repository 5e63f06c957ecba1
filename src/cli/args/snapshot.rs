//! `snapshot`.

use clap::Args;

use super::{CommonArgs, DirectoryArgs, SourceArgs};

/// Options of `snapshot`.
///
/// Source: spec/commands.md 2.6.
#[derive(Debug, Args)]
pub struct SnapshotArgs {
    /// The source.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Where the identifier is left for others.
    #[command(flatten)]
    pub directory: DirectoryArgs,
    /// The options that every command has.
    #[command(flatten)]
    pub common: CommonArgs,
}
