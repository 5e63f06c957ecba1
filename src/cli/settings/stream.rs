//! Settings of the `stream` commands that apply or print changes.

use std::path::PathBuf;

use super::{Connections, Resolver};
use crate::base::error::{Error, Result};
use crate::cli::args::{SourceArgs, StreamArgs, StreamCommand};
use crate::cli::environment::ProcessEnvironment;
use crate::config::{FollowConfig, PrintConfig, Resume};
use crate::connect::conninfo::ConnInfo;

/// What a `stream` command is to do.
#[derive(Debug)]
pub enum ResolvedStream {
    /// Make sentinel and position.
    Setup(FollowConfig),
    /// Remove everything; on the target, too, when it is given.
    Cleanup(Box<FollowConfig>, Option<Box<ConnInfo>>),
    /// Receive.
    Receive(FollowConfig, Echo),
    /// Receive and apply.
    Replay(FollowConfig, Resume),
    /// Apply what another process receives.
    CatchUp(FollowConfig),
    /// Apply what was received.
    ApplyReceived(FollowConfig),
    /// Apply the text on standard input.
    ApplyText(FollowConfig),
    /// Print what was received.
    Print(PrintConfig),
}

/// Whether received messages are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// No.
    Quiet,
    /// On standard output.
    Standard,
}

/// Stands for standard output in place of a target.
const STANDARD_OUTPUT: &str = "-";

/// Resolves the settings of a `stream` command.
///
/// # Errors
/// Class `Config`: a malformed option or variable, a connection that is missing.
pub fn resolve_stream(
    command: &StreamCommand,
    environment: &ProcessEnvironment,
) -> Result<ResolvedStream> {
    let mut resolver = Resolver::new(environment);
    Ok(match command {
        StreamCommand::Setup(args) => {
            let connections = resolver.connections(&args.connections)?;
            ResolvedStream::Setup(resolver.stream(args, connections)?)
        }
        StreamCommand::Cleanup(args) => {
            let target = resolver.connection("target", args.connections.target.as_ref())?;
            ResolvedStream::Cleanup(Box::new(resolver.one_sided(args)?), target.map(Box::new))
        }
        StreamCommand::Prefetch(args) => {
            ResolvedStream::Receive(resolver.one_sided(args)?, Echo::Quiet)
        }
        StreamCommand::Receive(args) => {
            let echo = if args.run.to_stdout { Echo::Standard } else { Echo::Quiet };
            ResolvedStream::Receive(resolver.one_sided(args)?, echo)
        }
        StreamCommand::Prune(_) | StreamCommand::Sentinel(_) => {
            return Err(Error::internal("a command without these settings"));
        }
        StreamCommand::Replay(args) => {
            let connections = resolver.connections(&args.connections)?;
            let resume = resolver.resume(args.run.resume, false)?;
            ResolvedStream::Replay(resolver.stream(args, connections)?, resume)
        }
        StreamCommand::Catchup(args) => {
            let connections = resolver.connections(&args.connections)?;
            ResolvedStream::CatchUp(resolver.stream(args, connections)?)
        }
        StreamCommand::Transform(args) => ResolvedStream::Print(resolver.print(args)?),
        StreamCommand::Apply(args) if args.input.is_some() || args.stream.run.from_stdin => {
            let target = resolver.connection("target", args.stream.connections.target.as_ref())?;
            let target = target.ok_or_else(|| {
                Error::config("option --target is mandatory and missing")
                    .hint("Give the option or set PGCOPYDB_TARGET_PGURI.")
            })?;
            // The text is all there is to know of the source.
            let connections = Connections { source: target.clone(), target };
            ResolvedStream::ApplyText(resolver.stream(&args.stream, connections)?)
        }
        StreamCommand::Apply(args) => {
            let given = args.stream.connections.target.as_deref();
            let target = match given {
                Some(STANDARD_OUTPUT) => None,
                _ => resolver.connection("target", args.stream.connections.target.as_ref())?,
            };
            match target {
                None => ResolvedStream::Print(resolver.print(&args.stream)?),
                Some(_) => {
                    let connections = resolver.connections(&args.stream.connections)?;
                    ResolvedStream::ApplyReceived(resolver.stream(&args.stream, connections)?)
                }
            }
        }
    })
}

impl Resolver<'_> {
    /// Settings of a command that needs no target; the source stands in its place.
    fn one_sided(&mut self, args: &StreamArgs) -> Result<FollowConfig> {
        let given = SourceArgs { source: args.connections.source.clone() };
        let source = self.source(&given)?;
        let connections = Connections { source: source.clone(), target: source };
        self.stream(args, connections)
    }

    /// Settings between two ends. Nothing is created: `stream setup` and `follow` do.
    fn stream(&mut self, args: &StreamArgs, connections: Connections) -> Result<FollowConfig> {
        if args.run.restart {
            return Err(Error::config("option --restart: `stream` commands always continue").hint(
                "`pgcopydb stream cleanup` removes slot, publication and origin; `pgcopydb follow \
                 --restart` begins anew.",
            ));
        }
        let directory: PathBuf = self.directory(args.run.dir.as_ref());
        let filters = self.filters(args.run.filters.as_ref())?;
        let config = self.changes(&args.changes, connections, directory, filters)?;
        Ok(FollowConfig { create_slot: false, ..config })
    }

    /// Settings for printing, which needs no server.
    fn print(&mut self, args: &StreamArgs) -> Result<PrintConfig> {
        let no_ops = args.changes.replay_no_op_updates;
        Ok(PrintConfig {
            directory: self.directory(args.run.dir.as_ref()),
            endpos: args.changes.endpos.filter(|lsn| lsn.is_valid()),
            replay_no_op_updates: self.flag("replay-no-op-updates", no_ops)?,
        })
    }
}
