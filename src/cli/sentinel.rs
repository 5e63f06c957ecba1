//! Runs `stream sentinel`: no display, no signals, an answer on standard output.

use super::args::{SentinelCommand, SentinelGetArgs, SentinelSetCommand};
use super::exit::Exit;
use super::program::Program;
use super::settings;
use crate::base::error::{Error, Result};
use crate::command::stream::sentinel::{self, Setting};
use crate::local::state::SentinelRow;
use crate::report;

/// Columns of a name in the list of all values.
const NAME_COLUMNS: usize = 15;

/// Runs a `stream sentinel` command.
pub(super) fn run(command: &SentinelCommand, program: &Program) -> Result<Exit> {
    let directory = settings::resolve_directory(command.dir(), &program.environment);
    match command {
        SentinelCommand::Setup(args) => {
            sentinel::setup(&directory, args.startpos, args.endpos)?;
        }
        SentinelCommand::Get(args) => {
            let row = sentinel::get(&directory)?;
            let following = sentinel::following(&directory)?;
            report::print(&text(args, program.json, &row, following)?)?;
        }
        SentinelCommand::Set(group) => match &group.command {
            None => return Err(Error::internal("a command group without its command")),
            Some(SentinelSetCommand::Startpos(args)) => {
                sentinel::set(&directory, Setting::Startpos(args.lsn))?;
            }
            Some(SentinelSetCommand::Endpos(args)) => {
                let lsn = match args.lsn {
                    Some(lsn) => lsn,
                    None => {
                        let source = settings::resolve_source(&args.source, &program.environment)?;
                        Program::block_on(sentinel::current(&source))??
                    }
                };
                sentinel::set(&directory, Setting::Endpos(lsn))?;
                report::print(&format!("{lsn}\n"))?;
            }
            Some(SentinelSetCommand::Apply(_)) => {
                sentinel::set(&directory, Setting::Apply(true))?;
            }
            Some(SentinelSetCommand::Prefetch(_)) => {
                sentinel::set(&directory, Setting::Apply(false))?;
            }
        },
    }
    Ok(Exit::Success)
}

/// The sentinel, or one value of it, as it is printed.
fn text(
    args: &SentinelGetArgs,
    root_json: bool,
    row: &SentinelRow,
    following: Option<serde_json::Value>,
) -> Result<String> {
    let endpos = row.endpos.unwrap_or_default().to_string();
    let lsn = |lsn: proto::lsn::Lsn| lsn.to_string();
    let apply = if row.apply { "enabled" } else { "disabled" }.to_owned();
    let value = &args.value;
    let values = [
        (value.startpos, "startpos", lsn(row.startpos)),
        (value.endpos, "endpos", endpos),
        (value.apply, "apply", apply),
        (value.write_lsn, "write_lsn", lsn(row.write_lsn)),
        (value.flush_lsn, "flush_lsn", lsn(row.flush_lsn)),
        (value.replay_lsn, "replay_lsn", lsn(row.replay_lsn)),
    ];
    if let Some((_, _, value)) = values.iter().find(|(wanted, _, _)| *wanted) {
        return Ok(format!("{value}\n"));
    }
    if !args.json && !root_json {
        let line = |(_, name, value): &(bool, &str, String)| {
            format!("{name:<width$}{value}\n", width = NAME_COLUMNS)
        };
        return Ok(values.iter().map(line).collect());
    }
    let mut object = serde_json::Map::new();
    for (_, name, value) in values {
        let value = match name {
            "apply" => serde_json::Value::Bool(row.apply),
            _ => serde_json::Value::String(value),
        };
        object.insert(name.to_owned(), value);
    }
    object.extend(following.map(|status| ("following".to_owned(), status)));
    serde_json::to_string_pretty(&object)
        .map(|text| text + "\n")
        .map_err(|error| Error::internal(format!("the sentinel cannot be printed: {error}")))
}
