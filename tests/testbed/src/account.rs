//! The operating system account that servers run under.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

/// Numeric identity of the account a server runs under.
///
/// PostgreSQL refuses to run as root, so as root the testbed uses the account `postgres`, or
/// `nobody` where that does not exist; everybody else uses their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    /// User id and group id to change to, `None` when no change is needed.
    ids: Option<(u32, u32)>,
}

impl Account {
    /// Finds the account to run servers under.
    ///
    /// # Errors
    /// When we are root and `/etc/passwd` has neither `postgres` nor `nobody`.
    pub(crate) fn find() -> Result<Self> {
        if !is_root() {
            return Ok(Self { ids: None });
        }
        let passwd = fs::read_to_string("/etc/passwd").context("read /etc/passwd")?;
        let ids = ["postgres", "nobody"]
            .iter()
            .find_map(|name| ids_of(&passwd, name))
            .context("running as root, and no account \"postgres\" or \"nobody\" to run as")?;
        Ok(Self { ids: Some(ids) })
    }

    /// Makes a command run under this account, from a directory that every account can enter.
    pub(crate) fn apply(self, command: &mut Command) {
        command.current_dir("/");
        if let Some((uid, gid)) = self.ids {
            command.uid(uid).gid(gid);
        }
    }

    /// Gives a file or directory to this account.
    ///
    /// # Errors
    /// The operating system's, with the path.
    pub(crate) fn own(self, path: &Path) -> Result<()> {
        if let Some((uid, gid)) = self.ids {
            std::os::unix::fs::chown(path, Some(uid), Some(gid))
                .with_context(|| format!("give {} to the server account", path.display()))?;
        }
        Ok(())
    }
}

/// Whether this process runs as root.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|found| found.uid() == 0)
}

/// Finds user and group id of a name in the text of `/etc/passwd`.
///
/// Shape of a line: `name:password:uid:gid:…`.
fn ids_of(passwd: &str, name: &str) -> Option<(u32, u32)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some((uid, gid))
    })
}

#[cfg(test)]
mod tests {
    use super::ids_of;

    #[test]
    fn passwd_line_gives_user_and_group() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\npostgres:x:101:104:PG:/var/lib:/bin/sh\n";
        assert_eq!(ids_of(passwd, "postgres"), Some((101, 104)));
        assert_eq!(ids_of(passwd, "post"), None);
    }
}
