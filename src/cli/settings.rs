//! Options, variables and defaults become settings: the only place where precedence is decided.
//!
//! An option wins over its variable, a variable over the default. A malformed variable is an error
//! even when the option is given. Every setting remembers where it came from, for
//! `--show-settings`.

mod changes;
mod compare;
mod list;
mod snapshot;
mod step;
mod stream;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;

use super::args::{CloneArgs, ConnectionArgs, CopyFormatArg, SourceArgs};
use super::connection::parse_connection;
use super::environment::ProcessEnvironment;
use super::variables;
use crate::base::error::{Error, Result};
use crate::base::units::{ByteSize, JobCount, ValueError, parse_boolean, parse_positive};
use crate::config::{
    ClientTools, CloneConfig, CopyFormat, FollowConfig, Jobs, PlanFormat, Resume, SchemaOptions,
    Skip, Split, SplitThreshold,
};
use crate::connect::conninfo::ConnInfo;

pub use changes::{ResolvedFollow, resolve_follow};
pub use compare::resolve_compare;
pub use list::{ResolvedList, resolve_list};
pub use snapshot::resolve_snapshot;
pub use step::{ResolvedStep, resolve_copy, resolve_dump, resolve_restore};
pub use stream::{Echo, ResolvedStream, resolve_stream};

/// Workers per kind unless said otherwise.
const JOBS_DEFAULT: &str = "4";

/// Where a setting came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Option,
    /// An environment variable.
    Variable(&'static str),
    /// Neither.
    Default,
}

impl Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Option => f.write_str("option"),
            Self::Variable(name) => f.write_str(name),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One resolved setting as it may be shown: never with a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownSetting {
    /// Long option without its dashes.
    pub name: &'static str,
    /// The value as the option would take it.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Settings of `clone` and where each came from.
#[derive(Debug)]
pub struct ResolvedClone {
    /// The settings.
    pub config: CloneConfig,
    /// How changes are followed afterwards; `None` without `--follow`.
    pub follow: Option<FollowConfig>,
    /// All of them as text, in the order of the usage text.
    pub shown: Vec<ShownSetting>,
}

/// One entry of the `--requirements` file.
#[derive(Debug, serde::Deserialize)]
struct Requirement {
    /// Extension.
    name: String,
    /// Version.
    version: String,
}

/// The two ends, resolved.
#[derive(Debug, Clone)]
pub struct Connections {
    /// The source.
    pub source: ConnInfo,
    /// The target.
    pub target: ConnInfo,
}

/// Resolves the settings of `clone`. `root_json` is `--json` in front of the command.
///
/// # Errors
/// Class `Config`: a malformed variable, a connection that is missing or malformed, a filter file
/// that does not exist, options that contradict each other.
pub fn resolve_clone(
    args: &CloneArgs,
    root_json: bool,
    environment: &ProcessEnvironment,
) -> Result<ResolvedClone> {
    let mut resolver = Resolver::new(environment);
    let connections = resolver.connections(&args.connections)?;
    let directory = resolver.directory(args.run.dir.as_ref());
    let resume = resolver.resume(args.run.resume, args.run.restart)?;
    let not_consistent = resolver.flag("not-consistent", args.run.not_consistent)?;
    let snapshot =
        resolver.optional("snapshot", args.run.snapshot.clone(), |text| Ok(text.to_owned()))?;
    if not_consistent && snapshot.is_some() {
        return Err(contradiction("--not-consistent", "--snapshot"));
    }
    let own = [(not_consistent, "--not-consistent"), (snapshot.is_some(), "--snapshot")];
    if let Some((_, option)) = own.into_iter().find(|(given, _)| *given && args.run.follow) {
        return Err(contradiction("--follow", option).hint(
            "The copy is read under the snapshot of the slot, where its changes begin; the one that \
             `pgcopydb snapshot --follow` holds for this work directory is found by itself.",
        ));
    }
    let fail_fast = resolver.flag("fail-fast", args.run.fail_fast)?;
    let jobs = resolver.jobs(args)?;
    let concurrency = &args.concurrency;
    let split = resolver.split(
        concurrency.split_tables_larger_than,
        concurrency.split_max_parts,
        concurrency.skip_split_by_ctid,
        concurrency.estimate_table_sizes,
    )?;
    let copy_format = resolver.copy_format(args)?;
    let filters = resolver.filters(args.selection.filters.as_ref())?;
    let requirements = resolver.requirements(args.selection.requirements.as_ref())?;
    let roles = resolver.flag("roles", args.selection.roles)?;
    let no_role_passwords = resolver.flag("no-role-passwords", args.selection.no_role_passwords)?;
    let skip = resolver.skip(args)?;
    let schema = resolver.schema(args)?;
    let skip_checks = resolver.flag("skip-checks", args.run.skip_checks)?;
    if resolver.flag("all-databases", args.selection.all_databases)? {
        for (given, option) in [(snapshot.is_some(), "--snapshot"), (args.run.dry_run, "--dry-run")]
        {
            if given {
                return Err(contradiction("--all-databases", option)
                    .hint("What it says is about one database."));
            }
        }
    }
    let json = args.run.json || root_json;
    let config = CloneConfig {
        source: connections.source,
        target: connections.target,
        directory,
        jobs,
        split,
        copy_format,
        skip,
        schema,
        roles,
        no_role_passwords,
        filters,
        requirements,
        fail_fast,
        resume,
        not_consistent,
        snapshot,
        skip_checks,
        dry_run: args.run.dry_run,
        plan_format: if json { PlanFormat::Json } else { PlanFormat::Text },
        client_tools: client_tools(environment),
    };
    let both = Connections { source: config.source.clone(), target: config.target.clone() };
    let (directory, filters) = (config.directory.clone(), config.filters.clone());
    let follow = match args.run.follow {
        true => Some(resolver.changes(&args.changes, both, directory, filters)?),
        false => None,
    };
    Ok(ResolvedClone { config, follow, shown: resolver.shown })
}

/// Resolves the work directory alone.
pub fn resolve_directory(given: Option<&PathBuf>, environment: &ProcessEnvironment) -> PathBuf {
    Resolver::new(environment).directory(given)
}

/// Resolves the source alone.
///
/// # Errors
/// Class `Config` when it is missing or malformed.
pub fn resolve_source(args: &SourceArgs, environment: &ProcessEnvironment) -> Result<ConnInfo> {
    Resolver::new(environment).source(args)
}

/// Resolves the two ends alone.
///
/// # Errors
/// Class `Config`, as for [`resolve_clone`].
pub fn resolve_connections(
    args: &ConnectionArgs,
    environment: &ProcessEnvironment,
) -> Result<Connections> {
    Resolver::new(environment).connections(args)
}

/// Applies precedence and writes down what it decided.
struct Resolver<'a> {
    environment: &'a ProcessEnvironment,
    shown: Vec<ShownSetting>,
}

impl<'a> Resolver<'a> {
    /// A resolver that has decided nothing yet.
    fn new(environment: &'a ProcessEnvironment) -> Self {
        Self { environment, shown: Vec::new() }
    }

    /// A setting without a default.
    fn optional<T: Display>(
        &mut self,
        option: &'static str,
        given: Option<T>,
        parse: impl Fn(&str) -> Result<T, ValueError>,
    ) -> Result<Option<T>> {
        let (value, origin) = self.pick(option, given, parse)?;
        let text = value.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
        self.show(option, text, origin);
        Ok(value)
    }

    /// A setting with a default.
    fn value<T: Display>(
        &mut self,
        option: &'static str,
        given: Option<T>,
        parse: impl Fn(&str) -> Result<T, ValueError>,
        default: T,
    ) -> Result<T> {
        let (value, origin) = self.pick(option, given, parse)?;
        let value = value.unwrap_or(default);
        self.show(option, value.to_string(), origin);
        Ok(value)
    }

    /// A switch; it can be turned on by its option and on or off by its variable.
    fn flag(&mut self, option: &'static str, given: bool) -> Result<bool> {
        let (value, origin) = self.pick(option, given.then_some(true), parse_boolean)?;
        let value = value.unwrap_or_default();
        self.show(option, if value { "on" } else { "off" }.to_owned(), origin);
        Ok(value)
    }

    /// Option over variable. The variable is read in any case, so that a malformed one is found.
    fn pick<T>(
        &self,
        option: &'static str,
        given: Option<T>,
        parse: impl Fn(&str) -> Result<T, ValueError>,
    ) -> Result<(Option<T>, Origin)> {
        let from_variable = match variables::of_option(option) {
            None => None,
            Some(name) => self
                .environment
                .text(name)?
                .map(|text| {
                    parse(text).map(|value| (value, name)).map_err(|error| {
                        Error::config(format!("environment variable {name}: {error}"))
                    })
                })
                .transpose()?,
        };
        Ok(match (given, from_variable) {
            (Some(value), _) => (Some(value), Origin::Option),
            (None, Some((value, name))) => (Some(value), Origin::Variable(name)),
            (None, None) => (None, Origin::Default),
        })
    }

    /// Writes a setting down.
    fn show(&mut self, name: &'static str, value: String, origin: Origin) {
        self.shown.push(ShownSetting { name, value, origin });
    }

    /// Both connections.
    fn connections(&mut self, args: &ConnectionArgs) -> Result<Connections> {
        let source = self.connection("source", args.source.as_ref())?;
        let target = self.connection("target", args.target.as_ref())?;
        match (source, target) {
            (Some(source), Some(target)) => Ok(Connections { source, target }),
            (source, target) => {
                let missing = match (source, target) {
                    (None, None) => "both are missing",
                    (None, _) => "--source is missing",
                    _ => "--target is missing",
                };
                Err(Error::config(format!(
                    "options --source and --target are mandatory: {missing}"
                ))
                .hint("Give the options or set PGCOPYDB_SOURCE_PGURI and PGCOPYDB_TARGET_PGURI."))
            }
        }
    }

    /// The source alone, which must be given.
    fn source(&mut self, args: &SourceArgs) -> Result<ConnInfo> {
        self.connection("source", args.source.as_ref())?.ok_or_else(|| {
            Error::config("option --source is mandatory and missing")
                .hint("Give the option or set PGCOPYDB_SOURCE_PGURI.")
        })
    }

    /// One connection, if it is given. The text itself is never part of a message.
    fn connection(
        &mut self,
        option: &'static str,
        given: Option<&String>,
    ) -> Result<Option<ConnInfo>> {
        let mut found = None;
        if let Some(name) = variables::of_option(option)
            && let Some(text) = self.environment.text(name)?
        {
            let info = parse_connection(text, self.environment).map_err(|reason| {
                Error::config(format!("environment variable {name}: {reason}"))
            })?;
            found = Some((info, Origin::Variable(name)));
        }
        if let Some(text) = given {
            let info = parse_connection(text, self.environment)
                .map_err(|error| Error::from(error).during(format!("option --{option}")))?;
            found = Some((info, Origin::Option));
        }
        Ok(found.map(|(info, origin)| {
            self.show(option, info.display_uri(), origin);
            info
        }))
    }

    /// `--dir`.
    fn directory(&mut self, given: Option<&PathBuf>) -> PathBuf {
        let (directory, origin) = match (given, self.environment.path(variables::TMPDIR)) {
            (Some(path), _) => (path.clone(), Origin::Option),
            (None, Some(base)) => (base.join("pgcopydb"), Origin::Variable(variables::TMPDIR)),
            (None, None) => (PathBuf::from("/tmp/pgcopydb"), Origin::Default),
        };
        self.show("dir", directory.display().to_string(), origin);
        directory
    }

    /// `--resume` and `--restart`.
    fn resume(&mut self, resume: bool, restart: bool) -> Result<Resume> {
        let resume = self.flag("resume", resume)?;
        let restart = self.flag("restart", restart)?;
        match (resume, restart) {
            (true, true) => Err(contradiction("--resume", "--restart").hint(
                "Leave both out to continue an earlier run, or give --restart alone to start over.",
            )),
            (true, false) => Ok(Resume::Resume),
            (false, true) => Ok(Resume::Restart),
            (false, false) => Ok(Resume::Auto),
        }
    }

    /// Workers of every kind.
    fn jobs(&mut self, args: &CloneArgs) -> Result<Jobs> {
        let default: JobCount = JOBS_DEFAULT
            .parse()
            .map_err(|error| Error::internal(format!("default job count: {error}")))?;
        let given = &args.concurrency;
        let table = self.value("table-jobs", given.table_jobs, str::parse, default)?;
        let index = self.value("index-jobs", given.index_jobs, str::parse, default)?;
        let restore = self.value("restore-jobs", given.restore_jobs, str::parse, index)?;
        let large_objects =
            self.value("large-objects-jobs", given.large_objects_jobs, str::parse, default)?;
        Ok(Jobs {
            table: table.get(),
            index: index.get(),
            restore: restore.get(),
            large_objects: large_objects.get(),
        })
    }

    /// How tables are split.
    fn split(
        &mut self,
        larger_than: Option<ByteSize>,
        parts_max: Option<u32>,
        skip_ctid: bool,
        estimate_sizes: bool,
    ) -> Result<Split> {
        const THRESHOLD: &str = "split-tables-larger-than";
        let (size, origin): (Option<ByteSize>, _) =
            self.pick(THRESHOLD, larger_than, str::parse)?;
        let (threshold, text) = match size {
            None => (SplitThreshold::Auto, "auto".to_owned()),
            Some(ByteSize(0)) => (SplitThreshold::Never, "0".to_owned()),
            Some(size) => (SplitThreshold::Bytes(size.0), size.to_string()),
        };
        self.show(THRESHOLD, text, origin);
        Ok(Split {
            threshold,
            parts_max: self.optional("split-max-parts", parts_max, parse_positive)?,
            skip_ctid: self.flag("skip-split-by-ctid", skip_ctid)?,
            estimate_sizes: self.flag("estimate-table-sizes", estimate_sizes)?,
        })
    }

    /// `--copy-format` and `--use-copy-binary`, which means auto (K1).
    fn copy_format(&mut self, args: &CloneArgs) -> Result<CopyFormat> {
        let given = args.concurrency.copy_format;
        let use_binary = self.flag("use-copy-binary", args.concurrency.use_copy_binary)?;
        if args.concurrency.use_copy_binary && given == Some(CopyFormatArg::Text) {
            return Err(contradiction("--use-copy-binary", "--copy-format text"));
        }
        let (format, text) = match given {
            Some(CopyFormatArg::Binary) => (CopyFormat::Binary, "binary"),
            Some(CopyFormatArg::Text) => (CopyFormat::Text, "text"),
            Some(CopyFormatArg::Auto) | None => (CopyFormat::Auto, "auto"),
        };
        let origin = match (given, use_binary) {
            (None, false) => Origin::Default,
            (None, true) => self.shown.last().map_or(Origin::Default, |setting| setting.origin),
            (Some(_), _) => Origin::Option,
        };
        self.show("copy-format", text.to_owned(), origin);
        Ok(format)
    }

    /// `--filters`: the file must exist.
    fn filters(&mut self, given: Option<&PathBuf>) -> Result<Option<PathBuf>> {
        let Some(path) = given else {
            self.show("filters", "none".to_owned(), Origin::Default);
            return Ok(None);
        };
        std::fs::metadata(path).map_err(|error| {
            Error::config(format!("option --filters: file \"{}\": {error}", path.display()))
        })?;
        self.show("filters", path.display().to_string(), Origin::Option);
        Ok(Some(path.clone()))
    }

    /// `--requirements`: extension versions by name.
    fn requirements(&mut self, given: Option<&PathBuf>) -> Result<BTreeMap<String, String>> {
        let Some(path) = given else {
            self.show("requirements", "none".to_owned(), Origin::Default);
            return Ok(BTreeMap::new());
        };
        let bad = |reason: String| {
            let file = path.display();
            Error::config(format!("option --requirements: file \"{file}\": {reason}"))
                .hint("`pgcopydb list extensions --requirements --json` writes such a file.")
        };
        let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        let list: Vec<Requirement> =
            serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        self.show("requirements", path.display().to_string(), Origin::Option);
        Ok(list.into_iter().map(|one| (one.name, one.version)).collect())
    }

    /// What is left out.
    fn skip(&mut self, args: &CloneArgs) -> Result<Skip> {
        let given = &args.selection;
        let extensions = self.flag("skip-extensions", given.skip_extensions)?;
        Ok(Skip {
            large_objects: self.flag("skip-large-objects", given.skip_large_objects)?,
            extensions,
            extension_comments: self.flag("skip-ext-comments", given.skip_ext_comments)?
                || extensions,
            collations: self.flag("skip-collations", given.skip_collations)?,
            vacuum: self.flag("skip-vacuum", given.skip_vacuum)?,
            analyze: self.flag("skip-analyze", given.skip_analyze)?,
            db_properties: self.flag("skip-db-properties", given.skip_db_properties)?,
        })
    }

    /// How the schema is restored.
    fn schema(&mut self, args: &CloneArgs) -> Result<SchemaOptions> {
        let given = &args.schema;
        Ok(SchemaOptions {
            drop_if_exists: self.flag("drop-if-exists", given.drop_if_exists)?,
            no_owner: self.flag("no-owner", given.no_owner)?,
            no_acl: self.flag("no-acl", given.no_acl)?,
            no_comments: self.flag("no-comments", given.no_comments)?,
            no_tablespaces: self.flag("no-tablespaces", given.no_tablespaces)?,
        })
    }
}

/// Where the client tools are looked for.
fn client_tools(environment: &ProcessEnvironment) -> ClientTools {
    ClientTools {
        pg_config: environment.path(variables::PG_CONFIG),
        path: environment.paths(variables::PATH),
        environment: crate::local::child::Environment::from_variables(
            environment.utf8_variables().map(|(name, value)| (name.into(), value.into())),
        ),
    }
}

/// Two options that cannot both be meant.
fn contradiction(one: &str, other: &str) -> Error {
    Error::config(format!("options {one} and {other} contradict each other"))
}
