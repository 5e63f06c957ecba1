//! Child processes: the PostgreSQL client tools that we start, and nothing else.
//!
//! Arguments never hold a secret, the environment is given completely (nothing of ours leaks in,
//! no `PG*` above all), standard error is logged as it comes and its important part kept for the
//! error. A child has its own process group: Ctrl-C in the terminal reaches us, and we decide.
//!
//! * [`pgtools`]: finds `pg_dump` and `pg_restore` and chooses the pair that fits both servers.

mod messages;
mod orphans;
pub mod pgtools;
mod process;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::workdir::ChildrenLock;
pub use orphans::end_orphans;
pub use process::Output;

/// A program with its arguments and environment, ready to be started.
pub struct Command {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Environment,
    secrets: Vec<(String, Zeroizing<String>)>,
    children: Option<Arc<ChildrenLock>>,
    terminate_timeout: Duration,
}

impl Command {
    /// A program in an environment.
    pub fn new(program: &Path, environment: &Environment) -> Self {
        Self {
            program: program.to_owned(),
            arguments: Vec::new(),
            environment: environment.clone(),
            secrets: Vec::new(),
            children: None,
            terminate_timeout: process::TERMINATE_TIMEOUT,
        }
    }

    /// Adds an argument; never a secret, anybody on the machine can read arguments.
    #[must_use]
    pub fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds an argument when a condition holds.
    #[must_use]
    pub fn argument_if(self, condition: bool, argument: impl AsRef<OsStr>) -> Self {
        if condition { self.argument(argument) } else { self }
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment = self.environment.with(name, value);
        self
    }

    /// Adds an environment variable whose value must not be seen: it is scrubbed from what the
    /// child writes.
    #[must_use]
    pub fn secret(mut self, name: impl Into<String>, value: &str) -> Self {
        self.secrets.push((name.into(), Zeroizing::new(value.to_owned())));
        self
    }

    /// Lets the child hold the work directory's lock for children as long as it lives.
    #[must_use]
    pub fn holding(mut self, children: &Arc<ChildrenLock>) -> Self {
        self.children = Some(Arc::clone(children));
        self
    }

    /// Program name without its directory.
    pub fn name(&self) -> String {
        self.program.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The command line as a person would type it; holds no secret.
    pub fn display(&self) -> String {
        let mut text = shell_word(self.program.as_os_str());
        for argument in &self.arguments {
            text.push(' ');
            text.push_str(&shell_word(argument));
        }
        text
    }
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Command").field("line", &self.display()).finish_non_exhaustive()
    }
}

/// The environment that children start with; built once by the caller from its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: Vec<(OsString, OsString)>,
}

impl Environment {
    /// Variables that children get when the caller has them: where programs, libraries, files of
    /// the user and Kerberos tickets are. No `PG*`: those would change what the tools connect to.
    pub const PASSED_ON: &'static [&'static str] = &[
        "PATH",
        "HOME",
        "TZ",
        "TMPDIR",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "KRB5CCNAME",
        "KRB5_CONFIG",
        "KRB5_KTNAME",
        "KRB5_CLIENT_KTNAME",
    ];

    /// Keeps of the caller's variables what [`Environment::PASSED_ON`] names, and sets the language
    /// to C so that messages can be read by us.
    pub fn from_variables(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut kept: Vec<_> = variables
            .into_iter()
            .filter(|(name, _)| Self::PASSED_ON.iter().any(|passed| OsStr::new(passed) == name))
            .collect();
        kept.push(("LANG".into(), "C".into()));
        kept.push(("LC_ALL".into(), "C".into()));
        Self { variables: kept }
    }

    /// The same with one more variable.
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }
}

/// Quotes a word for display where a shell would need it.
fn shell_word(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_libpq_variable_of_the_caller_reaches_a_child() {
        let caller =
            [("PATH", "/bin"), ("PGHOST", "wrong"), ("PGOPTIONS", "-c x=y"), ("LC_ALL", "de_DE")];
        let environment =
            Environment::from_variables(caller.map(|(name, value)| (name.into(), value.into())));
        let expected = [("PATH", "/bin"), ("LANG", "C"), ("LC_ALL", "C")];
        assert_eq!(
            environment.variables,
            expected.map(|(n, v)| (OsString::from(n), OsString::from(v)))
        );
    }

    #[test]
    fn debug_and_display_hide_secrets() {
        let command = Command::new(Path::new("/usr/bin/pg_dump"), &Environment::default())
            .argument("--dbname")
            .argument("host='a b' user=c")
            .secret("PGPASSWORD", "hunter2");
        assert_eq!(command.display(), r"/usr/bin/pg_dump --dbname 'host='\''a b'\'' user=c'");
        assert!(!format!("{command:?}").contains("hunter2"));
    }
}
