//! Runs the `stream` commands that apply or print changes.

use std::io::{BufRead, BufWriter};

use tokio::sync::mpsc;

use super::args::{PruneArgs, StreamCommand};
use super::exit::Exit;
use super::follow::show;
use super::program::{Program, explain_stop};
use super::sentinel;
use super::settings::{self, Echo, ResolvedStream};
use crate::base::error::{Error, Result};
use crate::command::follow::{self, CatchUpRange};
use crate::command::stream;
use crate::follow::receive::Tap;
use crate::follow::store::Prune;
use crate::report;

/// Runs a `stream` command.
pub(super) fn run(command: &StreamCommand, program: &Program) -> Result<Exit> {
    match command {
        StreamCommand::Prune(args) => return run_prune(args, program),
        StreamCommand::Sentinel(group) => {
            return match &group.command {
                Some(command) => sentinel::run(command, program),
                None => Err(Error::internal("a command group without its command")),
            };
        }
        _ => {}
    }
    match settings::resolve_stream(command, &program.environment)? {
        ResolvedStream::Setup(config) => {
            let position = Program::block_on(stream::setup::run(&config))??;
            tracing::info!(%position, "the target is ready to apply");
            Ok(Exit::Success)
        }
        ResolvedStream::Cleanup(config, target) => {
            Program::block_on(stream::cleanup::run(&config, target.as_deref()))??;
            Ok(Exit::Success)
        }
        ResolvedStream::Receive(config, echo) => {
            let tap = (echo == Echo::Standard).then(print_messages);
            let work = program
                .beside_display(async |_, stop| stream::receive::run(&config, tap, &stop).await);
            Program::block_on(work)??.map_err(explain_stop)?;
            Ok(Exit::Success)
        }
        ResolvedStream::Replay(config, resume) => {
            let work = program.beside_display(async |events, stop| {
                follow::run(config, resume, events, stop).await
            });
            Ok(show(&Program::block_on(work)??.map_err(explain_stop)?))
        }
        ResolvedStream::CatchUp(config) => {
            let range = CatchUpRange::WithWriter;
            let work =
                program.beside_display(async |_, stop| follow::apply(config, range, stop).await);
            Ok(show(&Program::block_on(work)??.map_err(explain_stop)?))
        }
        ResolvedStream::ApplyReceived(config) => {
            let range = CatchUpRange::Received;
            let work =
                program.beside_display(async |_, stop| follow::apply(config, range, stop).await);
            Ok(show(&Program::block_on(work)??.map_err(explain_stop)?))
        }
        ResolvedStream::ApplyText(config) => {
            let work = program.beside_display(async |_, stop| {
                follow::apply_text(&config, standard_input(), &stop).await
            });
            let transactions = Program::block_on(work)??.map_err(explain_stop)?;
            tracing::info!(transactions, "changes applied");
            Ok(Exit::Success)
        }
        ResolvedStream::Print(config) => {
            let out = BufWriter::new(std::io::stdout());
            let work =
                program.beside_display(async |_, stop| follow::print(&config, out, &stop).await);
            let transactions = Program::block_on(work)??.map_err(explain_stop)?;
            tracing::info!(transactions, "changes printed");
            Ok(Exit::Success)
        }
    }
}

/// Runs `stream prune`.
fn run_prune(args: &PruneArgs, program: &Program) -> Result<Exit> {
    let directory = settings::resolve_directory(args.stream.run.dir.as_ref(), &program.environment);
    let mode = if args.dry_run { Prune::DryRun } else { Prune::Remove };
    stream::prune::run(&directory, mode)?;
    Ok(Exit::Success)
}

/// Prints every message as it arrives, one per line; bytes that are no text are escaped. A reader that
/// has gone away is no error: receiving goes on.
fn print_messages() -> Tap {
    Box::new(|message| {
        let line = match std::str::from_utf8(message.data) {
            Ok(text) if !text.contains(char::is_control) => format!("{text}\n"),
            _ => format!("{}\n", message.data.escape_ascii()),
        };
        if let Err(error) = report::print(&line) {
            tracing::debug!(%error, "a message could not be printed");
        }
    })
}

/// Lines read ahead of their use.
const LINES_AHEAD: usize = 1_000;

/// The lines of standard input, read by a thread of their own: a read cannot be interrupted.
fn standard_input() -> mpsc::Receiver<Result<String>> {
    let (sender, receiver) = mpsc::channel(LINES_AHEAD);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let line =
                line.map_err(|error| Error::file(std::path::Path::new("standard input"), error));
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
