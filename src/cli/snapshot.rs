//! Runs `snapshot`: the identifier goes to standard output, one line.

use super::args::SnapshotArgs;
use super::exit::Exit;
use super::program::Program;
use super::settings;
use crate::base::error::Result;
use crate::command::snapshot;
use crate::report;

/// Runs `snapshot` with these options.
pub(super) fn run(args: &SnapshotArgs, program: &Program) -> Result<Exit> {
    let config = settings::resolve_snapshot(args, &program.environment)?;
    let announce = |id: &str| report::print(&format!("{id}\n"));
    let hold =
        program.beside_display(async |_, stop| snapshot::run(&config, &stop, announce).await);
    Program::block_on(hold)???;
    Ok(Exit::Success)
}
