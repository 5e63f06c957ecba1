//! `--roles`: copies the server's roles before anything is created that belongs to one.

use super::control::Control;
use super::pass::Pass;
use super::schema::Tools;
use crate::base::error::{Error, ErrorKind, Result, Side};
use crate::base::summary::Finding;
use crate::config::CloneConfig;
use crate::connect::client::Session;
use crate::job::schema::roles::{self, Passwords};

/// Whether passwords are copied.
fn passwords(config: &CloneConfig) -> Passwords {
    if config.no_role_passwords { Passwords::LeftOut } else { Passwords::Copied }
}

/// Demands that the passwords of roles can be read when they are to be copied (P-4).
///
/// # Errors
/// `Config`, naming the option that does without.
pub(super) async fn require_passwords(config: &CloneConfig, source: &mut Session) -> Result<()> {
    if !config.roles || passwords(config) == Passwords::LeftOut {
        return Ok(());
    }
    let sql =
        "select pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'select'), current_user";
    let rows = source.query(sql, &[]).await?;
    let row = rows.one()?;
    if row.flag(0)? {
        return Ok(());
    }
    let message = format!(
        "role \"{}\" may not read pg_catalog.pg_authid, where the passwords of roles are",
        row.text(1)?
    );
    Err(Error::new(Side::Source, ErrorKind::Config(message)).hint(
        "Copy the roles without passwords (--roles --no-role-passwords), or connect as a superuser.",
    ))
}

/// Copies the roles. Returns what was left out.
///
/// # Errors
/// Those of `pg_dumpall`, and the target's for a role that cannot be created.
pub(super) async fn copy(
    pass: &Pass<'_>,
    tools: &Tools,
    target: &mut Control,
) -> Result<Vec<Finding>> {
    let Some(dumped) = tools.dump_roles(pass, passwords(pass.config)).await? else {
        return Ok(Vec::new());
    };
    roles::apply(target.session().await?, &roles::parse(&dumped), passwords(pass.config)).await
}
