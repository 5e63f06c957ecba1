//! Runs `clone`: settings, signals, display, command, summary.

use std::path::Path;

use super::args::CloneArgs;
use super::exit::Exit;
use super::program::{Program, explain_stop};
use super::settings::{self, ResolvedClone};
use super::shown::settings_text;
use crate::base::error::Result;
use crate::base::summary::RunSummary;
use crate::command::all_databases::{self, AllOutcome};
use crate::command::clone::{self, CloneOutcome};
use crate::config::{CloneConfig, FollowConfig};
use crate::local::workdir;
use crate::report::{self, databases as databases_report, summary_json, summary_text};

/// Runs `clone` with these options.
pub(super) fn run(args: &CloneArgs, program: &Program) -> Result<Exit> {
    let ResolvedClone { config, follow, shown } =
        settings::resolve_clone(args, program.json, &program.environment)?;
    if args.run.show_settings {
        report::print(&settings_text(&shown, config.plan_format)?)?;
        return Ok(Exit::Success);
    }
    let summary_path = config.directory.join(SUMMARY_FILE);
    if args.selection.all_databases {
        return all(&config, follow.as_ref(), &summary_path, program);
    }
    if let Some(changes) = follow.filter(|_| !config.dry_run) {
        let (summary, exit) = super::follow::clone(config, changes, program)?;
        if !summary.steps.is_empty() {
            show_summary(&summary, &summary_path)?;
        }
        return Ok(if exit == Exit::Success { Exit::of_summary(&summary) } else { exit });
    }
    let work = program.beside_display(async |events, stop| clone::run(config, events, stop).await);
    let outcome = Program::block_on(work)??;
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

/// Runs `clone --all-databases`.
fn all(
    config: &CloneConfig,
    follow: Option<&FollowConfig>,
    summary_path: &Path,
    program: &Program,
) -> Result<Exit> {
    let work = program.beside_display(async |events, stop| match follow {
        None => Box::pin(all_databases::run(config, &events, &stop)).await,
        Some(changes) => {
            Box::pin(all_databases::run_and_follow(config, changes, &events, &stop)).await
        }
    });
    let AllOutcome { databases, followed, error, findings } =
        Program::block_on(work)??.map_err(explain_stop)?;
    for (database, outcome) in &followed {
        tracing::info!(database, "followed:");
        super::follow::show(outcome);
    }
    for one in databases.iter().filter(|one| !one.run.steps.is_empty()) {
        let json = summary_json::render(&one.run)?;
        workdir::replace_file(&one.directory.join(SUMMARY_FILE), json.as_bytes())?;
    }
    let mut merged = databases_report::merged(&databases);
    merged.findings.extend(findings.iter().cloned());
    report::findings::log(&merged.findings);
    report::print(&databases_report::text(&databases, &findings))?;
    // As for one database: where nothing was left to do, the report of the run that did it stays.
    if error.is_some() || databases.iter().any(|one| !one.run.steps.is_empty()) {
        let json = databases_report::json(&databases, &findings)?;
        workdir::replace_file(summary_path, json.as_bytes())?;
    }
    match error {
        Some(error) => Err(error.hint("Run the same command again to continue.")),
        None => Ok(Exit::of_summary(&merged)),
    }
}

/// Name of the summary in the work directory.
const SUMMARY_FILE: &str = "summary.json";

/// Logs the findings, prints the end-of-run tables, writes `summary.json`.
fn show_summary(summary: &RunSummary, path: &Path) -> Result<()> {
    report::findings::log(&summary.findings);
    report::print(&summary_text::render(summary))?;
    workdir::replace_file(path, summary_json::render(summary)?.as_bytes())
}
