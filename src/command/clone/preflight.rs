//! What must be true of the target before anything is created there.

use std::collections::HashSet;

use crate::base::error::{Error, ErrorKind, Result, Side};
use crate::base::ident::QualifiedName;
use crate::base::summary::{Finding, Severity};
use crate::catalog::model::TargetFacts;
use crate::config::CloneConfig;
use crate::plan::Plan;

/// How many objects a message names before it only counts.
const NAMES_MAX: usize = 5;

/// Relations of the target that have the name of something that is going to be created: one finding
/// each. Empty with `--drop-if-exists`, which drops them.
pub(super) fn conflicts(plan: &Plan, facts: &TargetFacts, config: &CloneConfig) -> Vec<Finding> {
    if config.schema.drop_if_exists {
        return Vec::new();
    }
    let wanted: HashSet<&QualifiedName> = (plan.tables.iter().map(|table| &table.name))
        .chain(plan.sequences.iter().map(|sequence| &sequence.name))
        .collect();
    facts
        .relations
        .iter()
        .filter(|(name, _)| wanted.contains(name))
        .map(|(name, _)| Finding {
            severity: Severity::Error,
            object: name.to_string(),
            reason: "the target already has a relation of this name".into(),
            hint: None,
        })
        .collect()
}

/// Refuses a target that already has what is going to be created.
///
/// # Errors
/// `State`, naming the first relations.
pub(super) fn refuse_conflicts(
    plan: &Plan,
    facts: &TargetFacts,
    config: &CloneConfig,
) -> Result<()> {
    let found = conflicts(plan, facts, config);
    if found.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> =
        found.iter().take(NAMES_MAX).map(|finding| finding.object.as_str()).collect();
    let more = match found.len().saturating_sub(NAMES_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(Error::new(
        Side::Target,
        ErrorKind::State(format!(
            "database \"{}\" already has {}{more}",
            facts.server.database,
            names.join(", ")
        )),
    )
    .hint(
        "Name an empty database, or let pgcopydb drop what it is going to create: \
         --drop-if-exists.",
    ))
}

/// Refuses a target that is older than the source: its schema may not be understood there.
///
/// # Errors
/// `Unsupported`, naming both versions.
pub(super) fn refuse_older_target(source: u32, target: u32) -> Result<()> {
    if target / 10_000 >= source / 10_000 {
        return Ok(());
    }
    Err(Error::new(
        Side::Target,
        ErrorKind::Unsupported(format!(
            "server has version {}, older than the source's {}",
            target / 10_000,
            source / 10_000
        )),
    )
    .hint("PostgreSQL restores into the same or a newer major version only."))
}
