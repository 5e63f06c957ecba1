//! Runs `copy`, `dump` and `restore`. Nothing goes to standard output but what `restore parse-list`
//! shows.

use super::exit::Exit;
use super::program::Program;
use super::settings::ResolvedStep;
use crate::base::error::Result;
use crate::base::summary::RunSummary;
use crate::command::clone::step;
use crate::command::{parse_list, roles};
use crate::report;

/// Runs a step.
pub(super) fn run(resolved: ResolvedStep, program: &Program) -> Result<Exit> {
    let findings = match resolved {
        ResolvedStep::ParseList(file) => {
            report::print(&parse_list::run(&file)?)?;
            return Ok(Exit::Success);
        }
        ResolvedStep::Roles(work, config) => {
            let run = async |_, stop| roles::run(work, &config, &stop).await;
            Program::block_on(program.beside_display(run))??
                .map_err(super::program::explain_stop)?
        }
        ResolvedStep::Step(config) => {
            let run = async |events, stop| step::run(&config, events, stop).await;
            let outcome = Program::block_on(program.beside_display(run))??;
            outcome.map_err(super::program::explain_stop)?.unwrap_or_default().findings
        }
    };
    report::findings::log(&findings);
    Ok(Exit::of_summary(&RunSummary { findings, ..RunSummary::default() }))
}
