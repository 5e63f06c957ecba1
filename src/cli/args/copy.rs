//! `copy`: the options of `clone` for all its sub-commands; `relevant` says which ones each of them
//! uses.

use clap::{Args, Subcommand};

use super::{CloneArgs, CommonArgs};

/// `pgcopydb copy`.
#[derive(Debug, Args)]
pub struct CopyGroup {
    /// Options in front of the sub-command.
    #[command(flatten)]
    pub common: CommonArgs,
    /// The sub-command.
    #[command(subcommand)]
    pub command: Option<CopyCommand>,
}

/// Sub-commands of `pgcopydb copy`.
#[derive(Debug, Subcommand)]
pub enum CopyCommand {
    /// Copy an entire database from source to target (same as clone)
    #[command(override_usage = "pgcopydb copy db --source URI --target URI [options]")]
    Db(Box<CloneArgs>),
    /// Copy the roles of the source server
    #[command(override_usage = "pgcopydb copy roles --source URI --target URI [options]")]
    Roles(Box<CloneArgs>),
    /// Copy extensions and the rows of their configuration tables
    #[command(override_usage = "pgcopydb copy extensions --source URI --target URI [options]")]
    Extensions(Box<CloneArgs>),
    /// Copy the schema, indexes and constraints included, without rows
    #[command(override_usage = "pgcopydb copy schema --source URI --target URI [options]")]
    Schema(Box<CloneArgs>),
    /// Copy rows, large objects, indexes, constraints and sequences into an existing schema
    #[command(override_usage = "pgcopydb copy data --source URI --target URI [options]")]
    Data(Box<CloneArgs>),
    /// Copy the rows of all tables into an existing schema
    #[command(override_usage = "pgcopydb copy table-data --source URI --target URI [options]")]
    TableData(Box<CloneArgs>),
    /// Copy large objects
    #[command(
        visible_alias = "large-objects",
        override_usage = "pgcopydb copy blobs --source URI --target URI [options]"
    )]
    Blobs(Box<CloneArgs>),
    /// Set the target's sequences to where the source's stand
    #[command(override_usage = "pgcopydb copy sequences --source URI --target URI [options]")]
    Sequences(Box<CloneArgs>),
    /// Create all indexes, and the constraints that stand on them
    #[command(override_usage = "pgcopydb copy indexes --source URI --target URI [options]")]
    Indexes(Box<CloneArgs>),
    /// Create primary key, unique and exclusion constraints
    #[command(override_usage = "pgcopydb copy constraints --source URI --target URI [options]")]
    Constraints(Box<CloneArgs>),
}

impl CopyCommand {
    /// The options.
    pub fn args(&self) -> &CloneArgs {
        match self {
            Self::Db(args)
            | Self::Roles(args)
            | Self::Extensions(args)
            | Self::Schema(args)
            | Self::Data(args)
            | Self::TableData(args)
            | Self::Blobs(args)
            | Self::Sequences(args)
            | Self::Indexes(args)
            | Self::Constraints(args) => args,
        }
    }
}
