//! The directory of a cluster, and the supervisor that removes it with its owner's end.
//!
//! A small shell waits on a pipe whose other end only the owning process holds. When that process
//! ends, by whatever cause, kill -9 included, the pipe closes; the shell then stops the server
//! and removes the directory. If even the shell was killed, the next process that starts a
//! cluster sweeps up.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;

use anyhow::{Context, Result};

use crate::account::{Account, is_root};
use crate::install::Installation;
use crate::process::{self, Signal};

/// What the names of all cluster directories start with; the owner's process id follows.
const PREFIX: &str = "pgct-";

/// Longest directory for sockets: the kernel allows 107 bytes for the whole path of a socket.
const BASE_BYTES_MAX: usize = 60;

/// Stops the server in `$1/data` with the programs in `$2` when standard input ends, then
/// removes `$1`.
const SUPERVISOR: &str = r#"
trap '' INT TERM HUP QUIT
read -r line
"$2/pg_ctl" stop -D "$1/data" -m immediate -w -t 60 >/dev/null 2>&1
rm -rf "$1"
"#;

/// A cluster's directory: `data`, the socket, the log and helper files.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    supervisor: Child,
}

impl Home {
    /// Makes the directory and starts its supervisor.
    ///
    /// # Errors
    /// The operating system's.
    pub(super) fn create(installation: &Installation, account: Account) -> Result<Self> {
        static SWEPT: Once = Once::new();
        SWEPT.call_once(sweep);
        let base = base_dir();
        let path = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{}-", std::process::id()))
            .tempdir_in(&base)
            .with_context(|| format!("create a directory in {}", base.display()))?
            .keep();
        let mut command = Command::new("sh");
        command.args(["-c", SUPERVISOR, "sh"]).arg(&path).arg(&installation.bindir);
        // A group of its own, so that Ctrl-C in the terminal does not reach it.
        command.process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        account.apply(&mut command);
        let supervisor = command.spawn().context("start the supervisor of a cluster")?;
        let home = Self { path, supervisor };
        fs::set_permissions(&home.path, Permissions::from_mode(0o755))
            .context("open the directory of a cluster")?;
        account.own(&home.path)?;
        Ok(home)
    }

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The server's data directory.
    pub(super) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// The server's log file.
    pub(super) fn log(&self) -> PathBuf {
        self.path.join("log")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Closing the pipe is the signal; waiting makes the removal visible to the caller.
        drop(self.supervisor.stdin.take());
        self.supervisor.wait().ok();
    }
}

/// Directory that holds the directories of clusters.
///
/// `TMPDIR` may be a place of root's own, where the server account cannot go.
fn base_dir() -> PathBuf {
    let wanted = std::env::temp_dir();
    let fits = !is_root() && wanted.as_os_str().len() <= BASE_BYTES_MAX;
    if fits { wanted } else { PathBuf::from("/tmp") }
}

/// Ends the servers and removes the directories of processes that are gone.
fn sweep() {
    let Ok(entries) = fs::read_dir(base_dir()) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(owner) = owner_of(&name) else {
            continue;
        };
        if Path::new("/proc").join(owner.to_string()).exists() {
            continue;
        }
        let path = entry.path();
        if let Some(pid) = server_of(&path) {
            process::send_signal(pid, Signal::Quit).ok();
        }
        // May belong to another account, or its supervisor may be at it right now.
        fs::remove_dir_all(&path).ok();
    }
}

/// Process id in the name of a cluster directory, `pgct-PID-RANDOM`.
fn owner_of(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split_once('-')?.0.parse().ok()
}

/// Process id of the server that runs in a cluster directory, if it does.
///
/// Process ids are used again, so the id in the lock file counts only when that process was
/// started with this very data directory.
fn server_of(home: &Path) -> Option<u32> {
    let data = home.join("data");
    let lock = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let pid: u32 = lock.lines().next()?.trim().parse().ok()?;
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let arguments = String::from_utf8_lossy(&arguments).into_owned();
    arguments.split('\0').any(|argument| Path::new(argument) == data).then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::owner_of;

    #[test]
    fn owner_is_read_from_directory_name() {
        assert_eq!(owner_of("pgct-123-a1B2"), Some(123));
        assert_eq!(owner_of("pgct-x-a"), None);
        assert_eq!(owner_of("systemd-1-a"), None);
    }
}
