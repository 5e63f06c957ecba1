//! Whose run this is: what must be the same for an earlier run to be continued (K7).

use super::control::Control;
use super::filters::Filters;
use crate::base::error::{Error, Result};
use crate::catalog::fetch;
use crate::catalog::model::ServerFacts;
use crate::config::{CloneConfig, Resume, Work};
use crate::connect::client::Session;
use crate::ledger::{self, RunRecord, Stage};
use crate::local::state::{Database, Identity, Intent, Opening, StateHandle};

/// The options that shape what is on the target, in words: they may not change between starts.
///
/// Numbers of jobs, split sizes and the COPY format may: parts that were begun keep their bounds.
pub(super) fn options_text(config: &CloneConfig, filters: &Filters) -> String {
    let skip = config.skip;
    let schema = config.schema;
    let flags = [
        ("skip-large-objects", skip.large_objects),
        ("skip-extensions", skip.extensions),
        ("skip-ext-comments", skip.extension_comments),
        ("skip-collations", skip.collations),
        ("no-owner", schema.no_owner),
        ("no-acl", schema.no_acl),
        ("no-comments", schema.no_comments),
        ("no-tablespaces", schema.no_tablespaces),
    ];
    let mut text: Vec<String> =
        flags.iter().filter(|(_, on)| *on).map(|(name, _)| format!("--{name}")).collect();
    for (name, version) in &config.requirements {
        text.push(format!("{name}={version}"));
    }
    if let Some(filters) = &filters.text {
        text.push(format!("{FILTERS}{:032x}", xxhash_rust::xxh3::xxh3_128(filters.as_bytes())));
    }
    if text.is_empty() { "none".to_owned() } else { text.join(" ") }
}

/// What stands before the digest of the filter file, which comes last.
const FILTERS: &str = "filters ";

/// The digest of the filter file among a run's options.
fn filters_of(run: &RunRecord) -> Option<&str> {
    run.options.split_once(FILTERS).map(|(_, digest)| digest)
}

/// Demands that a step goes by the same filters as the steps before it.
///
/// # Errors
/// `State`, naming what to do.
pub(super) fn same_filters(found: &RunRecord, now: &RunRecord) -> Result<()> {
    if filters_of(found) == filters_of(now) {
        return Ok(());
    }
    Err(Error::state(format!(
        "the migration on the target was begun with other filters: {} then, {} now",
        found.options, now.options
    ))
    .hint("Give the --filters that the migration began with."))
}

/// Demands that an archive was made of this source.
///
/// # Errors
/// `State`, naming both.
pub(super) fn same_source(dumped: &ServerFacts, now: &ServerFacts) -> Result<()> {
    let record = |server: &ServerFacts| new_run(server, String::new(), "");
    check(&record(dumped), &record(now), Resume::Restart).map_err(|_| {
        let name = |server: &ServerFacts| {
            format!("database \"{}\" of system {}", server.database, server.system_identifier)
        };
        Error::state(format!(
            "the work directory holds a dump of another source: {} then, {} now",
            name(dumped),
            name(now)
        ))
        .hint("Give the source that was dumped, another --dir, or start over with `pgcopydb dump schema --restart`.")
    })
}

/// Compares a step with the run that the work directory knows: the ends must be the same, options may
/// differ from step to step.
///
/// # Errors
/// `State` when the directory belongs to a run of another source or target.
pub(super) async fn open_step(
    config: &CloneConfig,
    work: Work,
    source: ServerFacts,
    state: &StateHandle,
    target: &mut Control,
) -> Result<Opening> {
    let facts = fetch::server(target.session().await?).await?;
    let identity = Identity {
        source: database(source, config.source.display_uri()),
        target: database(facts, config.target.display_uri()),
        options: Vec::new(),
        command_line: work.command().to_owned(),
    };
    let intent = match intent(config.resume) {
        Intent::Continue => Intent::Step,
        intent => intent,
    };
    state.open_run(identity, intent).await
}

/// A database for the record.
fn database(facts: ServerFacts, uri: String) -> Database {
    Database {
        system_identifier: facts.system_identifier,
        oid: facts.database_oid,
        name: facts.database,
        uri,
    }
}

/// What to do with what the work directory knows.
fn intent(resume: Resume) -> Intent {
    match resume {
        Resume::Restart => Intent::Restart,
        Resume::Auto | Resume::Resume => Intent::Continue,
    }
}

/// Compares this run with the one that the work directory knows.
///
/// # Errors
/// `State` when the directory belongs to a run of another source, target or options.
pub(super) async fn open_run(
    config: &CloneConfig,
    filters: &Filters,
    state: &StateHandle,
    source: &mut Session,
    target: &mut Control,
) -> Result<Opening> {
    let identity = Identity {
        source: database(fetch::server(source).await?, config.source.display_uri()),
        target: database(
            fetch::server(target.session().await?).await?,
            config.target.display_uri(),
        ),
        options: vec![("options".to_owned(), options_text(config, filters))],
        command_line: "clone".to_owned(),
    };
    let intent = match intent(config.resume) {
        Intent::Continue if ledger::open(target.session().await?).await?.is_none() => Intent::Begin,
        intent => intent,
    };
    state.open_run(identity, intent).await
}

/// A new run's record.
pub(super) fn new_run(source: &ServerFacts, options: String, identity: &str) -> RunRecord {
    RunRecord {
        run_id: random_id(),
        epoch: 1,
        source_system_identifier: source.system_identifier,
        source_database: source.database.clone(),
        source_database_oid: source.database_oid,
        options_digest: format!("{:032x}", xxhash_rust::xxh3::xxh3_128(options.as_bytes())),
        options,
        stage: Stage::Started,
        snapshot_identity: identity.to_owned(),
    }
}

/// Whether the run that the target holds may be continued by this one.
///
/// # Errors
/// `State` naming both values: another source, other options. `--restart` mends the latter.
pub(super) fn check(found: &RunRecord, now: &RunRecord, resume: Resume) -> Result<()> {
    let source = |run: &RunRecord| {
        format!(
            "database \"{}\" (oid {}) of system {}",
            run.source_database, run.source_database_oid, run.source_system_identifier
        )
    };
    // A role that may not read the identifier sees 0: then the database alone must do.
    let same_system = found.source_system_identifier == now.source_system_identifier
        || found.source_system_identifier == 0
        || now.source_system_identifier == 0;
    if !same_system
        || found.source_database_oid != now.source_database_oid
        || found.source_database != now.source_database
    {
        return Err(Error::state(format!(
            "the target holds an unfinished migration of another source: {} then, {} now",
            source(found),
            source(now)
        ))
        .hint(
            "Give the source that the migration began with, or empty the target: drop its schema \
             \"pgcopydb\" and what was restored.",
        ));
    }
    if resume != Resume::Restart && found.options_digest != now.options_digest {
        return same_options(&found.options, &now.options);
    }
    Ok(())
}

/// Demands that the options are those that the migration on the target was begun with.
///
/// # Errors
/// `State` naming both.
pub(super) fn same_options(then: &str, now: &str) -> Result<()> {
    if then == now {
        return Ok(());
    }
    Err(Error::state(format!(
        "the migration on the target was begun with other options: {then} then, {now} now"
    ))
    .hint("Repeat the options of the first start, or start over with --restart."))
}

/// 32 random hex digits: the hasher's keys are random per process and per call.
fn random_id() -> String {
    use std::hash::{BuildHasher as _, Hasher as _};
    let part = || std::collections::hash_map::RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", part(), part())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(system: u64, database: &str, options: &str) -> RunRecord {
        let facts = ServerFacts {
            system_identifier: system,
            database: database.into(),
            database_oid: 5,
            ..ServerFacts::default()
        };
        new_run(&facts, options.into(), "1:1:")
    }

    // trap X-7
    #[test]
    fn another_source_is_refused_naming_both() {
        let error = check(&run(1, "a", "none"), &run(2, "a", "none"), Resume::Auto).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("system 1") && text.contains("system 2"), "{text}");
        assert!(check(&run(1, "a", "none"), &run(1, "b", "none"), Resume::Restart).is_err());
    }

    #[test]
    fn an_unreadable_system_identifier_does_not_refuse() {
        assert!(check(&run(1, "a", "none"), &run(0, "a", "none"), Resume::Auto).is_ok());
    }

    #[test]
    fn other_options_are_refused_unless_the_run_starts_over() {
        let (found, now) = (run(1, "a", "none"), run(1, "a", "--no-owner"));
        let text = check(&found, &now, Resume::Auto).unwrap_err().to_string();
        assert!(text.contains("none") && text.contains("--no-owner"), "{text}");
        assert!(check(&found, &now, Resume::Restart).is_ok());
    }

    #[test]
    fn run_ids_differ() {
        assert_ne!(random_id(), random_id());
        assert_eq!(random_id().len(), 32);
    }
}
