//! Runs the `list` commands: results go to standard output.

use super::args::ListCommand;
use super::exit::Exit;
use super::program::Program;
use super::settings::{self, ResolvedList};
use crate::base::error::{Error, Result};
use crate::command::list::{self, progress};
use crate::report::{self, databases, listing, summary_read, summary_text};

/// Runs a `list` command.
pub(super) fn run(command: &ListCommand, program: &Program) -> Result<Exit> {
    let json = program.json || command.args().what.json;
    let text = match settings::resolve_list(command, &program.environment)? {
        ResolvedList::Summary(directory) => {
            let document = progress::summary(&directory)?;
            match json {
                true => document,
                false => match databases::shown_again(&document)? {
                    Some(text) => text,
                    None => summary_text::render(&summary_read::parse(&document)?),
                },
            }
        }
        ResolvedList::Progress(directory) => shown(&progress::read(&directory)?, json)?,
        ResolvedList::Source(config) => {
            let work = program.beside_display(async |_, stop| {
                tokio::select! {
                    listed = list::run(&config) => listed,
                    () = stop.graceful.cancelled() => Err(Error::cancelled()),
                }
            });
            let Some(listed) = Program::block_on(work)??? else { return Ok(Exit::Success) };
            // The document is always written, and printed only for programs.
            if listed.headings.is_empty() && !json {
                return Ok(Exit::Success);
            }
            shown(&listed, json)?
        }
    };
    report::print(&text)?;
    Ok(Exit::Success)
}

/// A listing as it was asked for.
fn shown(listed: &crate::base::listing::Listing, json: bool) -> Result<String> {
    if json { listing::json(listed) } else { Ok(listing::text(listed)) }
}
