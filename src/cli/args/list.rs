//! `list`: one set of options for all its sub-commands; `relevant` says which ones each of them uses.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{CommonArgs, DirectoryArgs, SourceArgs};
use crate::base::units::{ByteSize, parse_positive};

/// `pgcopydb list`.
#[derive(Debug, Args)]
pub struct ListGroup {
    /// Options in front of the sub-command.
    #[command(flatten)]
    pub common: CommonArgs,
    /// The sub-command.
    #[command(subcommand)]
    pub command: Option<ListCommand>,
}

/// Sub-commands of `pgcopydb list`.
#[derive(Debug, Subcommand)]
pub enum ListCommand {
    /// List the databases of the source server
    #[command(override_usage = "pgcopydb list databases --source URI [options]")]
    Databases(Box<ListArgs>),
    /// List the extensions of the source, those it could install, or those a target must have
    #[command(override_usage = "pgcopydb list extensions --source URI [options]")]
    Extensions(Box<ListArgs>),
    /// List the collations that the source's objects use
    #[command(override_usage = "pgcopydb list collations --source URI [options]")]
    Collations(Box<ListArgs>),
    /// List the tables whose rows are copied, or those that the filters leave out
    #[command(override_usage = "pgcopydb list tables --source URI [options]")]
    Tables(Box<ListArgs>),
    /// List the parts that one table is copied in
    #[command(
        override_usage = "pgcopydb list table-parts --source URI --table-name NAME --split-at SIZE [options]"
    )]
    TableParts(Box<ListArgs>),
    /// List the sequences of the source
    #[command(override_usage = "pgcopydb list sequences --source URI [options]")]
    Sequences(Box<ListArgs>),
    /// List the indexes of the source and the constraints they stand for
    #[command(override_usage = "pgcopydb list indexes --source URI [options]")]
    Indexes(Box<ListArgs>),
    /// List what depends on tables that the filters leave out
    #[command(
        override_usage = "pgcopydb list depends --source URI --filters FILE --list-skipped [options]"
    )]
    Depends(Box<ListArgs>),
    /// Write everything that is migrated to schema.json, and print it with --json
    #[command(override_usage = "pgcopydb list schema --source URI [options]")]
    Schema(Box<ListArgs>),
    /// Show how far the run in a work directory is
    #[command(override_usage = "pgcopydb list progress [--dir PATH] [options]")]
    Progress(Box<ListArgs>),
}

impl ListCommand {
    /// The options.
    pub fn args(&self) -> &ListArgs {
        match self {
            Self::Databases(args)
            | Self::Extensions(args)
            | Self::Collations(args)
            | Self::Tables(args)
            | Self::TableParts(args)
            | Self::Sequences(args)
            | Self::Indexes(args)
            | Self::Depends(args)
            | Self::Schema(args)
            | Self::Progress(args) => args,
        }
    }
}

/// Options of the `list` commands.
///
/// Source: spec/commands.md 2.10.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The source.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The work directory.
    #[command(flatten)]
    pub directory: DirectoryArgs,
    /// What is listed.
    #[command(flatten)]
    pub what: ListWhatArgs,
    /// Accepted because scripts give them.
    #[command(flatten)]
    pub accepted: ListAcceptedArgs,
    /// The options that every command has.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// What is listed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options")]
pub struct ListWhatArgs {
    /// Schema of the table; only objects of this schema
    #[arg(short = 's', long, value_name = "NAME")]
    pub schema_name: Option<String>,
    /// Name of the table; only objects of this table
    #[arg(short = 't', long, value_name = "NAME")]
    pub table_name: Option<String>,
    /// Filter file: which schemas, tables and indexes to copy
    #[arg(short = 'F', long, visible_alias = "filter", value_name = "FILE")]
    pub filters: Option<PathBuf>,
    /// List what the filters leave out instead of what they keep
    #[arg(short = 'x', long)]
    pub list_skipped: bool,
    /// Only tables that have no primary key
    #[arg(short = 'P', long)]
    pub without_pkey: bool,
    /// Split tables of at least this size, 0 never splits
    #[arg(short = 'L', long, visible_alias = "split-at", value_name = "SIZE")]
    pub split_tables_larger_than: Option<ByteSize>,
    /// Most parts per table [default: no limit]
    #[arg(short = 'u', long, value_name = "N", value_parser = parse_positive)]
    pub split_max_parts: Option<u32>,
    /// Take table sizes from the source's statistics instead of its files
    #[arg(short = 'm', long)]
    pub estimate_table_sizes: bool,
    /// Never split a table by ctid
    #[arg(short = 'k', long)]
    pub skip_split_by_ctid: bool,
    /// Show the summary of the run that has ended
    #[arg(short = 'y', long)]
    pub summary: bool,
    /// List every extension that the source could install, with its versions
    #[arg(short = 'a', long)]
    pub available_versions: bool,
    /// List the extensions that a target must have, in the form that `clone --requirements` reads
    #[arg(short = 'r', long)]
    pub requirements: bool,
    /// Print JSON
    #[arg(short = 'J', long)]
    pub json: bool,
}

/// Options that are accepted because scripts give them: a list always reads the source as it is now,
/// under a view of its own, and keeps nothing that would have to be forgotten.
#[derive(Debug, Args)]
#[command(next_help_heading = "Accepted without effect")]
pub struct ListAcceptedArgs {
    /// A list keeps nothing between runs
    #[arg(short = 'f', long)]
    pub force: bool,
    /// A list keeps nothing between runs
    #[arg(short = 'R', long)]
    pub resume: bool,
    /// A list always reads a view of its own
    #[arg(short = 'I', long)]
    pub not_consistent: bool,
    /// A list always reads a view of its own
    #[arg(short = 'N', long, value_name = "ID")]
    pub snapshot: Option<String>,
}
