//! The examination of both ends: what `check` lists and what `clone` must not begin with.
//!
//! The rules are in [`crate::plan::preflight`]; here the facts are gathered, and what only a running
//! program sees is added: poolers, client tools, room in the work directory.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use crate::base::error::{Error, ErrorKind, Result, Side};
use crate::base::preflight::{self, Concern, Topic};
use crate::base::summary::Severity;
use crate::base::units::ByteSize;
use crate::catalog::model::condition::SourceCondition;
use crate::catalog::model::members::Members;
use crate::catalog::model::{SourceCatalog, TargetFacts};
use crate::catalog::{condition, members};
use crate::config::CloneConfig;
use crate::connect::client::Session;
use crate::filter::Selection;
use crate::local::child::{Command, Environment};
use crate::plan::preflight::{Facts, Wishes, findings};

/// Room in the work directory that a migration of a schema needs, in bytes: archives and lists of the
/// largest catalogs seen are some hundred megabytes.
const ROOM_BYTES_MIN: u64 = 64 << 20;

/// Room below which people should know, in bytes.
const ROOM_BYTES_WARN: u64 = 1 << 30;

/// What was gathered of both ends before the source's transaction begins.
pub(super) struct Gathered {
    /// Changes are followed afterwards, so what keeps them from it matters.
    pub(super) follow: bool,
    source: SourceCondition,
    /// Members of the source's extensions, and of those that the target has in the same version.
    members: (Members, Members),
    concerns: Vec<Concern>,
}

impl Gathered {
    /// Members of the source's extensions.
    pub(super) fn source_members(&self) -> &Members {
        &self.members.0
    }
}

/// Reads the condition of the source and what is between us and both ends. Changes nothing; neither
/// session is in a transaction.
///
/// # Errors
/// Only when a session is lost.
pub(super) async fn gather(
    config: &CloneConfig,
    source: &mut Session,
    target: &mut Session,
) -> Result<Gathered> {
    let mut concerns = Vec::new();
    concerns.extend(pooler(source).await?);
    concerns.extend(pooler(target).await?);
    concerns.extend(room(&config.directory, &config.client_tools.environment).await);
    let members = match config.skip.extensions {
        true => (Members::default(), Members::default()),
        false => members::of_both(source, target).await?,
    };
    let source = condition::source(source).await?;
    Ok(Gathered { follow: false, source, members, concerns })
}

/// Puts everything together, worst first. The source may be in its transaction.
///
/// # Errors
/// Only when a session is lost.
pub(super) async fn examine(
    config: &CloneConfig,
    mut gathered: Gathered,
    (catalog, selection): (&SourceCatalog, &Selection),
    facts: &TargetFacts,
    (source, target): (&mut Session, &mut Session),
) -> Result<Vec<Concern>> {
    let missing = condition::missing_extensions(catalog, facts);
    condition::dependents(&missing, &mut gathered.source, source).await?;
    let to_create = condition::extensions_to_create(catalog, facts);
    condition::touched(&to_create, &mut gathered.source, source).await?;
    let (ours, theirs) = &mut gathered.members;
    gathered.source.unchecked.append(&mut ours.unchecked);
    let mut of_target = condition::target(&gathered.source, catalog, target).await?;
    of_target.unchecked.append(&mut theirs.unchecked);
    let closed = std::mem::take(&mut of_target.closed_config);
    of_target.closed_config = condition::with_rows(closed, catalog, source).await?;
    let mut concerns = gathered.concerns;
    concerns.extend(findings(&Facts {
        catalog,
        selection,
        target: facts,
        source_condition: &gathered.source,
        target_condition: &of_target,
        members: (ours, theirs),
        wishes: wishes(config, gathered.follow),
    }));
    preflight::sort(&mut concerns);
    Ok(concerns)
}

/// What is wanted.
fn wishes(config: &CloneConfig, follow: bool) -> Wishes {
    Wishes {
        schema: config.schema,
        skip: config.skip,
        jobs: config.jobs,
        roles: config.roles,
        no_role_passwords: config.no_role_passwords,
        follow,
    }
}

/// Whether another program answers in the server's place (P-13).
///
/// A pooler hands out cancel keys of its own, because one of its connections to the server serves many
/// clients: then the process that the start-up named is not the one that runs our query.
async fn pooler(session: &mut Session) -> Result<Option<Concern>> {
    let rows = session.query("select pg_catalog.pg_backend_pid()", &[]).await?;
    let backend: u32 = rows.one()?.parse(0)?;
    if backend == session.process_id() {
        return Ok(None);
    }
    let side = session.side();
    let reason = format!(
        "the {side} connection string leads to a pooler (process {} was announced, {backend} \
         answers): sessions share servers there, and neither snapshots nor settings hold",
        session.process_id()
    );
    let fix = format!(
        "Name the server's own host and port for --{side}: without -pooler or .pooler. in the host \
         name, often port 5432 instead of 6432 or 6543."
    );
    Ok(Some(Concern::new(Severity::Error, Topic::Pooler, side, "connection", reason).fix(fix)))
}

/// Whether the work directory has room, as `df` says; nothing where it says nothing.
async fn room(directory: &Path, environment: &Environment) -> Option<Concern> {
    let existing = directory.ancestors().find(|path| path.is_dir())?;
    let df = Command::new(Path::new("df"), environment).argument("-Pk").argument(existing);
    let output = df.run(&CancellationToken::new()).await.ok()?;
    let free = free_bytes(&String::from_utf8_lossy(&output.stdout))?;
    let severity = match free {
        0..ROOM_BYTES_MIN => Severity::Error,
        ROOM_BYTES_MIN..ROOM_BYTES_WARN => Severity::Warning,
        _ => return None,
    };
    let object = format!("work directory \"{}\"", directory.display());
    let reason = format!("its file system has {} left", ByteSize(free));
    let fix = "Make room, or name another directory with --dir.";
    Some(Concern::new(severity, Topic::Disk, Side::Local, object, reason).fix(fix))
}

/// The fourth column of the second line, in units of 1024 bytes: POSIX says so.
fn free_bytes(df: &str) -> Option<u64> {
    let line = df.lines().nth(1)?;
    // The first column may hold blanks, so columns are counted from the percentage.
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let percent = words.iter().position(|word| word.ends_with('%'))?;
    let blocks: u64 = words.get(percent.checked_sub(1)?)?.parse().ok()?;
    blocks.checked_mul(1024)
}

/// A finding made of an error.
pub(super) fn of_error(topic: Topic, object: &str, error: &Error) -> Concern {
    let concern = Concern::new(Severity::Error, topic, error.side(), object, error.to_string());
    let hint = error
        .detail_lines()
        .into_iter()
        .find_map(|line| line.strip_prefix("hint: ").map(str::to_owned));
    match hint {
        Some(hint) => concern.fix(hint),
        None => concern,
    }
}

/// Logs what was found, all but what refuses the start.
pub(super) fn log(concerns: &[Concern]) {
    for concern in concerns {
        let fix = concern.fix.as_ref().map(|fix| format!("\nhint: {fix}")).unwrap_or_default();
        let (object, reason) = (&concern.object, &concern.reason);
        let side = match concern.side {
            Side::Local => String::new(),
            side => format!("{side}: "),
        };
        match concern.severity {
            Severity::Notice => {
                tracing::info!(target: crate::base::log::NOTICE, "{side}{object}: {reason}{fix}");
            }
            Severity::Warning | Severity::Error => {
                tracing::warn!("{side}{object}: {reason}{fix}");
            }
        }
    }
}

/// Refuses to begin when something blocks; the first such finding becomes the error, the others are
/// logged.
///
/// # Errors
/// `Tool` for client tools, `State` for what is in the way on the target, else `Unsupported`.
pub(super) fn refuse(concerns: Vec<Concern>) -> Result<()> {
    let (blocking, others): (Vec<_>, Vec<_>) = concerns.into_iter().partition(Concern::blocks);
    log(&others);
    let Some((first, more)) = blocking.split_first() else { return Ok(()) };
    for concern in more {
        let fix = concern.fix.as_ref().map(|fix| format!("\nhint: {fix}")).unwrap_or_default();
        tracing::error!("{}{fix}", error_of(concern));
    }
    Err(error_of(first))
}

/// The error of a finding that blocks.
fn error_of(concern: &Concern) -> Error {
    let text = format!("{}: {}", concern.object, concern.reason);
    let (side, kind) = match concern.topic {
        Topic::ClientTools => (Side::Local, ErrorKind::Tool(text)),
        Topic::TargetNotEmpty | Topic::Filter => (concern.side, ErrorKind::State(text)),
        Topic::Disk => (concern.side, ErrorKind::State(text)),
        _ => (concern.side, ErrorKind::Unsupported(text)),
    };
    let error = Error::new(side, kind);
    match &concern.fix {
        Some(fix) => error.hint(fix),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_space_is_read_from_the_portable_format() {
        let df = "Filesystem     1024-blocks     Used Available Capacity Mounted on\n\
                  /dev/my disk      41152736 18112400  20917904      47% /var lib\n";
        assert_eq!(free_bytes(df), Some(20_917_904 * 1024));
        assert_eq!(free_bytes("df: x: No such file"), None);
    }

    #[test]
    fn only_errors_refuse_and_their_kind_decides_the_exit_code() {
        let concern = |severity, topic| {
            Concern::new(severity, topic, Side::Target, "database \"d\"", "it is old").fix("Do it.")
        };
        assert!(refuse(vec![concern(Severity::Warning, Topic::Version)]).is_ok());
        let error = refuse(vec![
            concern(Severity::Error, Topic::TargetNotEmpty),
            concern(Severity::Error, Topic::Version),
        ])
        .unwrap_err();
        assert_eq!(error.to_string(), "target: database \"d\": it is old");
        assert_eq!(error.detail_lines(), ["hint: Do it."]);
        assert!(matches!(error.kind(), ErrorKind::State(_)));
    }
}
