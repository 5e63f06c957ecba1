//! Runs the `stream` commands that apply or print changes.

use std::io::{BufRead, BufWriter};

use tokio::sync::mpsc;

use super::args::StreamCommand;
use super::exit::Exit;
use super::follow::show;
use super::program::{Program, explain_stop};
use super::settings::{self, ResolvedStream};
use crate::base::error::{Error, Result};
use crate::command::follow::{self, CatchUpRange};

/// Runs a `stream` command.
pub(super) fn run(command: &StreamCommand, program: &Program) -> Result<Exit> {
    match settings::resolve_stream(command, &program.environment)? {
        ResolvedStream::Replay(config, resume) => {
            let work =
                program.beside_display(async |_, stop| follow::run(config, resume, stop).await);
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
