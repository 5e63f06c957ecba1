//! The commands of the testbed's program, and what they share.

use std::path::PathBuf;
use std::process::Command;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};

use testbed::{Cluster, ClusterOptions, Installation, Major};

pub(crate) mod bench;
pub(crate) mod demo;
pub(crate) mod servers;
pub(crate) mod verify;

/// Arguments of a command, taken one by one.
pub(crate) struct Arguments(Vec<String>);

impl Arguments {
    /// Wraps the words after the command's name.
    pub(crate) fn new(words: Vec<String>) -> Self {
        Self(words)
    }

    /// Takes a flag; whether it was there.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let place = self.0.iter().position(|word| word == name);
        place.map(|place| self.0.remove(place)).is_some()
    }

    /// Takes an option with a value, as `--name value` or `--name=value`.
    ///
    /// # Errors
    /// When the value is missing or not of its type.
    pub(crate) fn value<T: FromStr>(&mut self, name: &str) -> Result<Option<T>> {
        let lead = format!("{name}=");
        let is_it = |word: &String| word == name || word.starts_with(&lead);
        let Some(place) = self.0.iter().position(is_it) else { return Ok(None) };
        let word = self.0.remove(place);
        let text = match word.strip_prefix(&lead) {
            Some(text) => text.to_owned(),
            None => {
                ensure!(place < self.0.len(), "{name} needs a value");
                self.0.remove(place)
            }
        };
        let value = text.parse().ok().with_context(|| format!("{name}: bad value {text:?}"))?;
        Ok(Some(value))
    }

    /// Makes sure that nothing is left.
    ///
    /// # Errors
    /// When a word is left, naming it.
    pub(crate) fn end(self) -> Result<()> {
        ensure!(self.0.is_empty(), "unknown argument {:?}; see --help", self.0.first());
        Ok(())
    }
}

/// Two servers to migrate between.
pub(crate) struct Servers {
    /// Version 15.
    pub(crate) source: Cluster,
    /// Version 18, or 15 where 18 is not to be had.
    pub(crate) target: Cluster,
}

impl Servers {
    /// Finds the programs of both ends; 15 for the target too where 18 is not to be had, saying so.
    ///
    /// # Errors
    /// When version 15 is not to be had.
    pub(crate) fn find() -> Result<(Installation, Installation)> {
        let source = Installation::find(Major::V15)?;
        let target = match Installation::find(Major::V18) {
            Ok(found) => found,
            Err(error) => {
                println!("   PostgreSQL 18 is not to be had here, 15 takes its place: {error:#}");
                source.clone()
            }
        };
        Ok((source, target))
    }

    /// Starts both servers.
    ///
    /// # Errors
    /// When one does not start.
    pub(crate) fn start(
        source: &Installation,
        target: &Installation,
        options: &ClusterOptions,
    ) -> Result<Self> {
        let source = Cluster::start(source, options.clone())?;
        let target = Cluster::start(target, options.clone())?;
        Ok(Self { source, target })
    }
}

/// Directory of the workspace.
pub(crate) fn workspace() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let path = manifest.join("../..");
    path.canonicalize().unwrap_or(path)
}

/// A cargo command in the workspace, without what the cargo that started us has set for us alone.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let ours = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY"];
        if ours.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command.args(arguments).current_dir(workspace());
    command
}
