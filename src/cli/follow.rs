//! Runs `follow` and `clone --follow`: settings, signals, display, command, result.

use super::args::CloneArgs;
use super::exit::Exit;
use super::program::{Program, explain_stop};
use super::settings::{self, ResolvedFollow};
use super::shown::settings_text;
use crate::base::error::Result;
use crate::base::summary::{RunSummary, Severity};
use crate::command::clone::CloneOutcome;
use crate::command::follow::{self, FollowOutcome};
use crate::config::{CloneConfig, FollowConfig, PlanFormat};
use crate::report;

/// Runs `follow` with these options.
pub(super) fn run(args: &CloneArgs, program: &Program) -> Result<Exit> {
    let ResolvedFollow { config, resume, shown } =
        settings::resolve_follow(args, &program.environment)?;
    if args.run.show_settings {
        let json = args.run.json || program.json;
        let format = if json { PlanFormat::Json } else { PlanFormat::Text };
        report::print(&settings_text(&shown, format)?)?;
        return Ok(Exit::Success);
    }
    let work = program
        .beside_display(async |events, stop| follow::run(config, resume, events, stop).await);
    let outcome = Program::block_on(work)??.map_err(explain_stop)?;
    Ok(show(&outcome))
}

/// Copies, then follows; returns what the copy did, and how the following ended.
pub(super) fn clone(
    config: CloneConfig,
    changes: FollowConfig,
    program: &Program,
) -> Result<(RunSummary, Exit)> {
    let work = program
        .beside_display(async |events, stop| follow::clone(config, changes, events, stop).await);
    let (cloned, followed) = Program::block_on(work)??.map_err(explain_stop)?;
    let CloneOutcome { summary, .. } = cloned;
    Ok((summary, show(&followed)))
}

/// Says what following did.
pub(super) fn show(outcome: &FollowOutcome) -> Exit {
    let progress = &outcome.progress;
    tracing::info!(
        transactions = progress.transactions,
        rows = progress.rows,
        applied = %progress.applied,
        sequences = outcome.sequences,
        repeated_batches = progress.batches_repeated,
        missing_rows = progress.missing_rows,
        "changes applied"
    );
    let mut exit = Exit::Success;
    for finding in outcome.findings.iter().filter(|finding| finding.severity == Severity::Error) {
        let hint = finding.hint.as_deref().unwrap_or_default();
        tracing::error!(object = finding.object, "{}. {hint}", finding.reason);
        exit = Exit::Target;
    }
    if progress.missing_rows > 0 {
        tracing::error!(
            missing_rows = progress.missing_rows,
            "updates and deletes did not find exactly one row on the target, and were passed over as \
             asked: compare the two databases before you rely on the target"
        );
    }
    exit
}
