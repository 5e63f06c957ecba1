//! `--roles`: copies the server's roles before anything is created that belongs to one.

use super::control::Control;
use super::pass::Pass;
use super::schema::Tools;
use crate::base::error::Result;
use crate::base::summary::Finding;
use crate::config::CloneConfig;
use crate::connect::client::Session;
use crate::job::schema::roles::{self, Passwords};

/// Whether passwords are copied.
pub(in crate::command) fn passwords(config: &CloneConfig) -> Passwords {
    if config.no_role_passwords { Passwords::LeftOut } else { Passwords::Copied }
}

/// Whether passwords are to be copied and can be: where they cannot be read, roles arrive without
/// (P-4), which the examination has warned of.
pub(in crate::command) async fn readable(
    config: &CloneConfig,
    source: &mut Session,
) -> Result<Passwords> {
    let wanted = passwords(config);
    if !config.roles || wanted == Passwords::LeftOut {
        return Ok(wanted);
    }
    let sql = "select pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'select')";
    let may_read = source.query(sql, &[]).await?.one()?.flag(0)?;
    Ok(if may_read { wanted } else { Passwords::LeftOut })
}

/// Copies the roles. Returns what was left out.
///
/// # Errors
/// Those of `pg_dumpall`, and the target's for a role that cannot be created.
pub(super) async fn copy(
    pass: &Pass<'_>,
    tools: &Tools,
    passwords: Passwords,
    target: &mut Control,
) -> Result<Vec<Finding>> {
    let Some(dumped) = tools.dump_roles(pass, passwords).await? else {
        return Ok(Vec::new());
    };
    roles::apply(target.session().await?, &roles::parse(&dumped), passwords).await
}
