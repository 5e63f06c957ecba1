//! From facts about both ends to findings: what would stop a migration, or make it less than a copy.
//!
//! Pure, like the plan: `command::preflight` reads the facts and adds what only a running program
//! sees (client tools, poolers, room in the work directory).
//!
//! To add a check: a function in the file of its subject that appends [`Concern`]s, with the exact
//! statement or option that resolves what it found, and a line in `docs/check.md`.

mod access;
mod encodings;
pub mod extensions;
mod follow;
mod names;
mod objects;
mod servers;
#[cfg(test)]
mod tests;

use crate::base::preflight::{self, Concern};
use crate::catalog::model::condition::{SourceCondition, TargetCondition};
use crate::catalog::model::members::Members;
use crate::catalog::model::{Oid, SourceCatalog, TargetFacts};
use crate::config::clone::{Jobs, SchemaOptions, Skip};
use crate::filter::Selection;

/// What is examined, and for what.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The source's objects.
    pub catalog: &'a SourceCatalog,
    /// What the filters keep of them.
    pub selection: &'a Selection,
    /// What the target has.
    pub target: &'a TargetFacts,
    /// Condition of the source.
    pub source_condition: &'a SourceCondition,
    /// Condition of the target.
    pub target_condition: &'a TargetCondition,
    /// Members of the extensions that both ends have, on the source and on the target.
    pub members: (&'a Members, &'a Members),
    /// What is wanted.
    pub wishes: Wishes,
}

/// What the user wants, as far as it decides whether something is a problem.
#[derive(Debug, Clone, Copy)]
pub struct Wishes {
    /// How the schema is restored.
    pub schema: SchemaOptions,
    /// What is left out.
    pub skip: Skip,
    /// Workers.
    pub jobs: Jobs,
    /// Roles are copied first.
    pub roles: bool,
    /// Without their passwords.
    pub no_role_passwords: bool,
    /// Changes are followed afterwards.
    pub follow: bool,
}

impl Facts<'_> {
    /// Rows or values of a relation are copied: it is the user's, or a configuration table of an
    /// extension that is kept.
    fn is_copied(&self, oid: Oid, extension: Option<&str>) -> bool {
        let Some(extension) = extension else { return true };
        let found = self.catalog.extensions.iter().find(|found| found.name == extension);
        !self.wishes.skip.extensions
            && self.selection.keeps_extension(extension)
            && found.is_some_and(|found| found.config_tables.iter().any(|(table, _)| *table == oid))
    }
}

/// Everything that was found, worst first.
pub fn findings(facts: &Facts<'_>) -> Vec<Concern> {
    let mut found = Vec::new();
    servers::versions(facts, &mut found);
    servers::settings(facts, &mut found);
    encodings::encodings(facts, &mut found);
    encodings::collations(facts, &mut found);
    servers::limits(facts, &mut found);
    servers::ages(facts, &mut found);
    access::source(facts, &mut found);
    access::target(facts, &mut found);
    access::roles(facts, &mut found);
    objects::conflicts(facts, &mut found);
    extensions::findings(facts, &mut found);
    objects::collations(facts, &mut found);
    objects::features(facts, &mut found);
    objects::partitions(facts, &mut found);
    objects::lost_features(facts, &mut found);
    objects::search_paths(facts, &mut found);
    objects::event_triggers(facts, &mut found);
    objects::contents(facts, &mut found);
    follow::replication(facts, &mut found);
    follow::tables(facts, &mut found);
    servers::unchecked(facts, &mut found);
    preflight::sort(&mut found);
    found
}
