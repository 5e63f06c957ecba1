//! Runs `check`: settings, command, list of findings.

use super::args::CloneArgs;
use super::exit::Exit;
use super::program::Program;
use super::settings::{self, ResolvedClone};
use super::shown::settings_text;
use crate::base::error::Result;
use crate::command;
use crate::config::PlanFormat;
use crate::report;

/// Runs `check` with the options of a `clone`.
pub(super) fn run(args: &CloneArgs, program: &Program) -> Result<Exit> {
    let ResolvedClone { config, follow, shown } =
        settings::resolve_clone(args, program.json, &program.environment)?;
    if args.run.show_settings {
        report::print(&settings_text(&shown, config.plan_format)?)?;
        return Ok(Exit::Success);
    }
    if args.selection.all_databases {
        let databases = Program::block_on(command::check::all(&config, follow.is_some()))??;
        report::print(&match config.plan_format {
            PlanFormat::Text => report::check::text_of_databases(&databases),
            PlanFormat::Json => report::check::json_of_databases(&databases)?,
        })?;
        return Ok(exit(databases.iter().any(|(_, examination)| examination.blocks())));
    }
    let examination = Program::block_on(command::check::run(&config, follow.is_some()))??;
    let text = match config.plan_format {
        PlanFormat::Text => report::check::text(&examination),
        PlanFormat::Json => report::check::json(&examination)?,
    };
    report::print(&text)?;
    Ok(exit(examination.blocks()))
}

/// The exit code: 12 when something blocks.
fn exit(blocks: bool) -> Exit {
    if blocks { Exit::Failure } else { Exit::Success }
}
