//! Debian packages through `apt-get`, as root or with sudo.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::announce;
use crate::account::is_root;

/// Packages that make up version 15 with the output plugins that tests use.
const POSTGRESQL_15: [&str; 2] = ["postgresql-15", "postgresql-15-wal2json"];

/// Whether the output plugin of the second package is there.
pub(super) fn has_wal2json() -> bool {
    Path::new("/usr/lib/postgresql/15/lib/wal2json.so").is_file()
}

/// Installs PostgreSQL 15.
///
/// # Errors
/// When `apt-get` is missing, refused, or fails.
pub(super) fn install() -> Result<()> {
    apt_get(&POSTGRESQL_15)
}

/// Installs Debian packages, after bringing the package lists up to date.
///
/// # Errors
/// When `apt-get` is missing, refused, or fails; the message names the command to run by hand.
pub(super) fn apt_get(packages: &[&str]) -> Result<()> {
    let by_hand = format!("apt-get install {}", packages.join(" "));
    let has_apt = Path::new("/usr/bin/apt-get").is_file();
    ensure!(has_apt, "not a Debian system, and not installed: {}", packages.join(" "));
    let sudo = !is_root();
    if sudo && !may_sudo() {
        bail!("neither root nor sudo without a password; as root, run: {by_hand}");
    }
    announce(&format!("installing with apt-get: {}", packages.join(" ")));
    run_apt(sudo, &["update", "-q"]).with_context(|| format!("by hand, run: {by_hand}"))?;
    let mut arguments = vec!["install", "-y", "-q", "--no-install-recommends"];
    arguments.extend(packages);
    run_apt(sudo, &arguments).with_context(|| format!("by hand, run: {by_hand}"))
}

/// Whether sudo works here without asking anything.
fn may_sudo() -> bool {
    let mut command = Command::new("sudo");
    command.args(["-n", "true"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs `apt-get` without questions, its own output going to our standard error.
fn run_apt(sudo: bool, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(if sudo { "sudo" } else { "env" });
    if sudo {
        command.args(["-n", "env"]);
    }
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(arguments);
    command.stdin(Stdio::null()).stdout(std::io::stderr());
    let status = command.status().context("start apt-get")?;
    ensure!(status.success(), "apt-get {}: {status}", arguments.join(" "));
    Ok(())
}
