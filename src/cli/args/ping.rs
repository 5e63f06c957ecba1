//! `ping`.

use clap::Args;

use super::{CommonArgs, ConnectionArgs};

/// Options of `ping`.
#[derive(Debug, Args)]
pub struct PingArgs {
    /// The two ends.
    #[command(flatten)]
    pub connections: ConnectionArgs,
    /// The options that every command has.
    #[command(flatten)]
    pub common: CommonArgs,
}
