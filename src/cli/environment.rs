//! The process environment as a value: read once, here, and handed down (A4).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use super::variables;
use crate::base::error::{Error, Result};

/// Variables, program path and the like, as they were at start.
#[derive(Debug, Clone, Default)]
pub struct ProcessEnvironment {
    /// All variables.
    variables: BTreeMap<OsString, OsString>,
    /// Path of this program, when the system tells.
    program: Option<PathBuf>,
    /// Home directory, when there is one.
    home: Option<PathBuf>,
    /// Name of the operating system's user, when it has one.
    user: Option<String>,
}

impl ProcessEnvironment {
    /// Reads the environment of this process.
    pub fn collect() -> Self {
        Self {
            variables: std::env::vars_os().collect(),
            program: std::env::current_exe().ok(),
            home: std::env::home_dir(),
            user: whoami::username().ok(),
        }
    }

    /// An environment with these variables and nothing else.
    pub fn with_variables<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let variables =
            variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables, ..Self::default() }
    }

    /// The value of a variable; an empty value counts as not set.
    ///
    /// # Errors
    /// Class `Config` when the value is not UTF-8. The value itself is not shown.
    pub fn text(&self, name: &str) -> Result<Option<&str>> {
        match self.raw(name) {
            None => Ok(None),
            Some(value) => value.to_str().map(Some).ok_or_else(|| {
                Error::config(format!(
                    "environment variable {name}: expected UTF-8 text, found other bytes"
                ))
            }),
        }
    }

    /// The value of a variable that holds a path; an empty value counts as not set.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.raw(name).map(PathBuf::from)
    }

    /// The directories of a variable that lists them, in order.
    pub fn paths(&self, name: &str) -> Vec<PathBuf> {
        self.raw(name).map(|list| std::env::split_paths(list).collect()).unwrap_or_default()
    }

    /// Path of this program as the first log line announces it.
    pub fn program(&self) -> PathBuf {
        self.path(variables::DEBUG_BIN_PATH)
            .or_else(|| self.program.clone())
            .unwrap_or_else(|| PathBuf::from("pgcopydb"))
    }

    /// Home directory.
    pub fn home(&self) -> Option<&PathBuf> {
        self.home.as_ref()
    }

    /// Name of the operating system's user.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// All variables whose name and value are UTF-8, for `connect::conninfo`.
    pub fn utf8_variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
    }

    /// The value of a variable unless it is empty.
    fn raw(&self, name: &str) -> Option<&OsString> {
        self.variables.get(&OsString::from(name)).filter(|value| !value.is_empty())
    }
}
