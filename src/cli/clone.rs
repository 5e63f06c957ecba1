//! Runs `clone`: settings, signals, display, command, summary.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::args::CloneArgs;
use super::exit::Exit;
use super::program::Program;
use super::settings::{self, ResolvedClone, ShownSetting};
use super::signals::Signals;
use crate::base::error::{Class, Error, Result};
use crate::base::event::EVENT_CHANNEL_LENGTH;
use crate::base::stop::StopSignal;
use crate::base::summary::RunSummary;
use crate::command::clone::{self, CloneOutcome};
use crate::config::{CloneConfig, PlanFormat};
use crate::local::workdir;
use crate::report::table::{self, Column};
use crate::report::{self, summary_json, summary_text};

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
        report::print(&settings_text(&shown, config.plan_format)?)?;
        return Ok(Exit::Success);
    }
    let summary_path = config.directory.join(SUMMARY_FILE);
    let outcome = Program::block_on(clone(config, program))?;
    let CloneOutcome { summary, plan_text } = outcome.map_err(explain_stop)?;
    if let Some(text) = plan_text {
        report::print(&text)?;
        return Ok(Exit::Success);
    }
    // A run that found everything done has nothing to report, and the report of the run that did it stays.
    if !summary.steps.is_empty() {
        show_summary(&summary, &summary_path)?;
    }
    Ok(Exit::of_summary(&summary))
}

/// Name of the summary in the work directory.
const SUMMARY_FILE: &str = "summary.json";

/// Runs the command beside its display and its signals.
async fn clone(config: CloneConfig, program: &Program) -> Result<CloneOutcome> {
    let (events, receiver) = mpsc::channel(EVENT_CHANNEL_LENGTH);
    let stop = StopSignal::new();
    let watcher = tokio::spawn(Signals::install()?.watch(stop.clone(), events.downgrade()));
    tracing::debug!("listening to signals");
    let terminal = Arc::clone(&program.terminal);
    let mut display = tokio::spawn(report::run(receiver, program.display(), terminal));
    let outcome = Box::pin(clone::run(config, events, stop)).await;
    watcher.abort();
    if tokio::time::timeout(DISPLAY_END_WAIT_MAX, &mut display).await.is_err() {
        // The display takes itself off the terminal when its task is dropped; wait for that.
        display.abort();
        let _ = display.await;
    }
    outcome
}

/// Says how to go on after a stop.
fn explain_stop(error: Error) -> Error {
    match error.class() {
        Class::Cancelled => error.hint("Run the same command again to continue."),
        _ => error,
    }
}

/// Logs the findings, prints the end-of-run tables, writes `summary.json`.
fn show_summary(summary: &RunSummary, path: &std::path::Path) -> Result<()> {
    report::findings::log(&summary.findings);
    report::print(&summary_text::render(summary))?;
    workdir::replace_file(path, summary_json::render(summary)?.as_bytes())
}

/// The resolved settings as a table or as JSON.
fn settings_text(shown: &[ShownSetting], format: PlanFormat) -> Result<String> {
    match format {
        PlanFormat::Text => {
            let columns = [Column::left("Setting"), Column::left("Value"), Column::left("From")];
            let rows: Vec<Vec<String>> = shown
                .iter()
                .map(|setting| {
                    vec![setting.name.into(), setting.value.clone(), setting.origin.to_string()]
                })
                .collect();
            Ok(table::render(&columns, &rows))
        }
        PlanFormat::Json => {
            let entries: Vec<serde_json::Value> = shown
                .iter()
                .map(|setting| {
                    serde_json::json!({
                        "setting": setting.name,
                        "value": setting.value,
                        "from": setting.origin.to_string(),
                    })
                })
                .collect();
            serde_json::to_string_pretty(&entries)
                .map(|text| text + "\n")
                .map_err(|error| Error::internal(format!("could not print the settings: {error}")))
        }
    }
}
