//! `copy roles`, `dump roles`, `restore roles`: the roles of a server, without any database.

use zeroize::Zeroizing;

use super::clone::control::Control;
use super::clone::{roles, schema};
use super::source;
use crate::base::error::{Error, Result};
use crate::base::stop::StopSignal;
use crate::base::summary::Finding;
use crate::catalog::fetch;
use crate::config::{CloneConfig, RolesWork};
use crate::job::schema::roles::{self as job, Passwords};
use crate::local::child::end_orphans;
use crate::local::child::pgtools::PgVersion;
use crate::local::workdir::{Service, WorkDir, read_optional};

/// Copies, dumps or restores roles. Returns what was left out.
///
/// # Errors
/// `State` when there is no dump
/// to restore; those of `pg_dumpall`; the target's for a role that cannot be created.
pub async fn run(work: RolesWork, config: &CloneConfig, stop: &StopSignal) -> Result<Vec<Finding>> {
    let directory = WorkDir::open(&config.directory, Service::Main)?;
    end_orphans(directory.children()).await?;
    let (text, passwords) = match work {
        RolesWork::Dump | RolesWork::Copy => dump(config, &directory, stop).await?,
        RolesWork::Restore => (dumped(&directory)?, roles::passwords(config)),
    };
    let statements = job::parse(&text);
    if work == RolesWork::Dump {
        let path = directory.roles_sql();
        tracing::info!(statements = statements.len(), "dumped the roles to \"{}\"", path.display());
        return Ok(Vec::new());
    }
    let mut target = Control::connect(&config.target).await?;
    target.lock().await?;
    let findings = job::apply(target.session().await?, &statements, passwords).await?;
    tracing::info!(statements = statements.len(), "restored the roles");
    Ok(findings)
}

/// Dumps the source's roles into the work directory.
async fn dump(
    config: &CloneConfig,
    directory: &WorkDir,
    stop: &StopSignal,
) -> Result<(Zeroizing<String>, Passwords)> {
    let mut session = source::connect(&config.source).await?;
    let passwords = roles::readable(config, &mut session).await?;
    if passwords == Passwords::LeftOut && !config.no_role_passwords {
        tracing::warn!(
            "roles go without passwords: ours may not read pg_catalog.pg_authid, where they are"
        );
    }
    let version = PgVersion::from_number(fetch::server(&mut session).await?.version);
    let inventory = schema::inventory(config).await?;
    let tool = inventory.dump_all(version)?;
    let source = schema::endpoint(&config.source);
    let source = (&source, config.source.dbname.as_str());
    let surroundings = schema::surroundings(config, directory);
    let file = directory.roles_sql();
    let text = job::dump(tool, source, passwords, &file, &surroundings, &stop.graceful).await?;
    Ok((text, passwords))
}

/// The roles that an earlier `dump roles` left.
fn dumped(directory: &WorkDir) -> Result<Zeroizing<String>> {
    let path = directory.roles_sql();
    let bytes = read_optional(&path)?.ok_or_else(|| {
        Error::state(format!("there is no dump of roles in \"{}\"", directory.top().display()))
            .hint("Run `pgcopydb dump roles` first, with the same --dir.")
    })?;
    // The bytes stay out of the message: they may be a password.
    String::from_utf8(bytes)
        .map(Zeroizing::new)
        .map_err(|_| Error::state(format!("\"{}\" is no UTF-8 text", path.display())))
}
