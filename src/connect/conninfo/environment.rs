//! What a connection string takes from the process around it, as a plain value.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::Secret;

/// Variables, home directory and user name that fill what a connection string leaves open.
///
/// Built once by the command line; nothing below it reads the environment. Values are kept as
/// secrets, because `PGPASSWORD` is one of them.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, Secret>,
    home: Option<PathBuf>,
    user: Option<String>,
}

impl Environment {
    /// An environment without variables, home directory or user name.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Adds variables; later ones replace earlier ones of the same name.
    #[must_use]
    pub fn with_variables<N, V>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        self.variables.extend(
            variables.into_iter().map(|(name, value)| (name.into(), Secret::new(value.into()))),
        );
        self
    }

    /// Adds one variable.
    #[must_use]
    pub fn with_variable(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.with_variables([(name, value)])
    }

    /// Sets the home directory, where `.pgpass`, `.pg_service.conf` and `.postgresql/` lie.
    #[must_use]
    pub fn with_home(mut self, home: impl Into<PathBuf>) -> Self {
        self.home = Some(home.into());
        self
    }

    /// Sets the operating system's user name: the default role.
    #[must_use]
    pub fn with_user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Value of a variable, set to nothing included.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(Secret::expose)
    }

    /// Value of a variable that is set to something.
    pub(super) fn nonempty(&self, name: &str) -> Option<&str> {
        self.variable(name).filter(|value| !value.is_empty())
    }

    /// The home directory.
    pub(super) fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// The operating system's user name.
    pub(super) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("variables", &self.variables.keys())
            .field("home", &self.home)
            .field("user", &self.user)
            .finish()
    }
}
