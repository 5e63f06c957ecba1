//! Settings of `copy`, `dump` and `restore`.

use std::path::PathBuf;

use super::{Resolver, resolve_clone};
use crate::base::error::{Error, Result};
use crate::base::units::JobCount;
use crate::cli::args::{
    CloneArgs, ConnectionArgs, CopyCommand, DumpArgs, DumpCommand, RestoreArgs, RestoreCommand,
    StepRunArgs,
};
use crate::cli::environment::ProcessEnvironment;
use crate::config::{
    CloneConfig, CopyFormat, Jobs, PlanFormat, RolesWork, SchemaOptions, Skip, Split, StepConfig,
    Work,
};
use crate::connect::conninfo::ConnInfo;

/// What a command of these groups does.
#[derive(Debug, Clone)]
pub enum ResolvedStep {
    /// A step of a clone.
    Step(Box<StepConfig>),
    /// Roles.
    Roles(RolesWork, Box<CloneConfig>),
    /// Shows a restore list.
    ParseList(PathBuf),
}

/// Resolves a `copy` command other than `copy db`.
///
/// # Errors
/// Those of [`resolve_clone`].
pub fn resolve_copy(
    command: &CopyCommand,
    environment: &ProcessEnvironment,
) -> Result<ResolvedStep> {
    let work = match command {
        CopyCommand::Db(_) => Work::Everything,
        CopyCommand::Roles(args) => {
            let config = roles(copy_config(args, environment)?);
            return Ok(ResolvedStep::Roles(RolesWork::Copy, Box::new(config)));
        }
        CopyCommand::Extensions(_) => Work::Extensions,
        CopyCommand::Schema(_) => Work::Schema,
        CopyCommand::Data(_) => Work::Data,
        CopyCommand::TableData(_) => Work::TableData,
        CopyCommand::Blobs(_) => Work::LargeObjects,
        CopyCommand::Sequences(_) => Work::Sequences,
        CopyCommand::Indexes(_) => Work::Indexes,
        CopyCommand::Constraints(_) => Work::Constraints,
    };
    if command.args().run.dry_run {
        return Err(Error::config(format!(
            "option --dry-run belongs to clone, `pgcopydb {}` would do its work",
            work.command()
        ))
        .hint("`pgcopydb clone --dry-run` shows the plan."));
    }
    let clone = copy_config(command.args(), environment)?;
    let step = StepConfig { work, clone, has_source: true, has_target: true };
    Ok(ResolvedStep::Step(Box::new(step)))
}

/// The settings of a `copy` command.
fn copy_config(args: &CloneArgs, environment: &ProcessEnvironment) -> Result<CloneConfig> {
    resolve_clone(args, false, environment).map(|resolved| resolved.config)
}

/// The settings of a command whose only business are roles.
fn roles(config: CloneConfig) -> CloneConfig {
    CloneConfig { roles: true, ..config }
}

/// Resolves a `dump` command.
///
/// # Errors
/// Class `Config`: a malformed variable, a source that is missing or malformed, a filter file that
/// does not exist, options that contradict each other.
pub fn resolve_dump(
    command: &DumpCommand,
    environment: &ProcessEnvironment,
) -> Result<ResolvedStep> {
    let (DumpCommand::Schema(args) | DumpCommand::Roles(args)) = command;
    let DumpArgs { connections, run, what, common: _ } = &**args;
    let mut resolver = Resolver::new(environment);
    let (source, target) = resolver.ends(connections)?;
    let Some(source) = source else { return Err(missing("--source", "PGCOPYDB_SOURCE_PGURI")) };
    let ends =
        Ends { has_target: target.is_some(), target: target.unwrap_or(source.clone()), source };
    let mut clone = resolver.bare(&ends, run, what.filters.as_ref())?;
    clone.no_role_passwords = what.no_role_passwords;
    clone.skip.extensions = what.skip_extensions;
    if let DumpCommand::Roles(_) = command {
        return Ok(ResolvedStep::Roles(RolesWork::Dump, Box::new(roles(clone))));
    }
    let step =
        StepConfig { work: Work::Dump, clone, has_source: true, has_target: ends.has_target };
    Ok(ResolvedStep::Step(Box::new(step)))
}

/// Resolves a `restore` command.
///
/// # Errors
/// As for [`resolve_dump`], with the target instead of the source.
pub fn resolve_restore(
    command: &RestoreCommand,
    environment: &ProcessEnvironment,
) -> Result<ResolvedStep> {
    let (work, args): (Work, &RestoreArgs) = match command {
        RestoreCommand::Schema(args) => (Work::RestoreSchema, args),
        RestoreCommand::PreData(args) => (Work::PreData, args),
        RestoreCommand::PostData(args) => (Work::PostData, args),
        RestoreCommand::Roles(args) => (Work::Everything, args),
        RestoreCommand::ParseList(args) => match &args.file {
            Some(file) => return Ok(ResolvedStep::ParseList(file.clone())),
            None => (Work::Lists, &args.restore),
        },
    };
    let mut resolver = Resolver::new(environment);
    let (source, target) = resolver.ends(&args.connections)?;
    let Some(target) = target else { return Err(missing("--target", "PGCOPYDB_TARGET_PGURI")) };
    let has_source = source.is_some();
    let ends = Ends { has_target: true, source: source.unwrap_or(target.clone()), target };
    let what = &args.what;
    let mut clone = resolver.bare(&ends, &args.run, what.filters.as_ref())?;
    let index_jobs = clone
        .jobs
        .index
        .to_string()
        .parse()
        .map_err(|error| Error::internal(format!("default job count: {error}")))?;
    let restore = resolver.value("restore-jobs", what.restore_jobs, str::parse, index_jobs)?;
    clone.jobs.restore = restore.get();
    clone.skip.extensions = what.skip_extensions;
    clone.skip.extension_comments = what.skip_ext_comments || what.skip_extensions;
    clone.schema = SchemaOptions {
        drop_if_exists: resolver.flag("drop-if-exists", what.drop_if_exists)?,
        no_owner: what.no_owner,
        no_acl: what.no_acl,
        no_comments: what.no_comments,
        no_tablespaces: resolver.flag("no-tablespaces", what.no_tablespaces)?,
    };
    if let RestoreCommand::Roles(_) = command {
        return Ok(ResolvedStep::Roles(RolesWork::Restore, Box::new(roles(clone))));
    }
    let step = StepConfig { work, clone, has_source, has_target: true };
    Ok(ResolvedStep::Step(Box::new(step)))
}

/// The ends of a step; one that is not given is filled by the other.
struct Ends {
    source: ConnInfo,
    target: ConnInfo,
    has_target: bool,
}

/// The error for an end that must be given.
fn missing(option: &str, variable: &str) -> Error {
    Error::config(format!("option {option} is mandatory and missing"))
        .hint(format!("Give the option or set {variable}."))
}

/// Workers per kind unless said otherwise.
fn default_jobs() -> Result<JobCount> {
    super::JOBS_DEFAULT
        .parse()
        .map_err(|error| Error::internal(format!("default job count: {error}")))
}

impl Resolver<'_> {
    /// Both connections, as far as they are given.
    fn ends(&mut self, args: &ConnectionArgs) -> Result<(Option<ConnInfo>, Option<ConnInfo>)> {
        let source = self.connection("source", args.source.as_ref())?;
        Ok((source, self.connection("target", args.target.as_ref())?))
    }

    /// Settings of a command that has no more options than these.
    fn bare(
        &mut self,
        ends: &Ends,
        run: &StepRunArgs,
        filters: Option<&PathBuf>,
    ) -> Result<CloneConfig> {
        let jobs = default_jobs()?;
        let index = self.value("index-jobs", None::<JobCount>, str::parse, jobs)?;
        let snapshot =
            self.optional("snapshot", run.snapshot.clone(), |text| Ok(text.to_owned()))?;
        if run.not_consistent && run.snapshot.is_some() {
            return Err(super::contradiction("--not-consistent", "--snapshot"));
        }
        Ok(CloneConfig {
            source: ends.source.clone(),
            target: ends.target.clone(),
            directory: self.directory(run.dir.as_ref()),
            jobs: Jobs {
                table: jobs.get(),
                index: index.get(),
                restore: index.get(),
                large_objects: jobs.get(),
            },
            split: Split::default(),
            copy_format: CopyFormat::Auto,
            skip: Skip::default(),
            schema: SchemaOptions::default(),
            roles: false,
            no_role_passwords: false,
            filters: self.filters(filters)?,
            requirements: std::collections::BTreeMap::new(),
            fail_fast: false,
            resume: self.resume(run.resume, run.restart)?,
            not_consistent: run.not_consistent,
            snapshot: snapshot.filter(|_| !run.not_consistent),
            skip_checks: false,
            dry_run: false,
            plan_format: PlanFormat::Text,
            client_tools: super::client_tools(self.environment),
        })
    }
}
