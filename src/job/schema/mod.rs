//! The schema: dumped by `pg_dump`, its list of objects edited by us, restored by `pg_restore`.
//!
//! ```text
//! dump() ─► schema.dump ─► list() ─► toc (parse) ─► toc_filter (comment out) ─► restore()
//! ```
//!
//! Indexes, their constraints and foreign keys are left out of the list: other jobs build them, in
//! parallel. Everything else comes from the tools, because they know every kind of object.

pub mod apply;
pub mod dump;
pub mod restore;
pub mod roles;
pub mod script;
pub mod toc;
pub mod toc_filter;

use std::sync::Arc;

use crate::connect::conninfo::Secret;
use crate::local::child::pgtools::Tool;
use crate::local::child::{Command, Environment};
use crate::local::workdir::ChildrenLock;

pub use dump::{Dump, archive_encoding, dump, list, section_entries};
pub use restore::{Restore, Section, Transactions, restore};

/// What a client tool needs to reach a server: the parts of `ConnInfo::child_conninfo`.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Connection string without any secret, for `--dbname`.
    pub dbname: String,
    /// Environment variables: passwords, and settings that older tools would refuse in `dbname`.
    pub variables: Vec<(String, Secret)>,
}

impl From<(String, Vec<(String, Secret)>)> for Endpoint {
    fn from((dbname, variables): (String, Vec<(String, Secret)>)) -> Self {
        Self { dbname, variables }
    }
}

/// How client tools are started: the same for all of one run.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Their environment, without the secrets of an endpoint.
    pub environment: Environment,
    /// The work directory's lock for children.
    pub children: Option<Arc<ChildrenLock>>,
}

impl Surroundings {
    /// A command of a tool that connects nowhere.
    fn command(&self, tool: &Tool) -> Command {
        let command = Command::new(&tool.path, &self.environment);
        match &self.children {
            Some(children) => command.holding(children),
            None => command,
        }
    }

    /// A command of a tool that connects to a server and never asks for a password.
    fn command_to(&self, tool: &Tool, endpoint: &Endpoint) -> Command {
        let command = self.command(tool).argument("--no-password");
        let command = command.argument("--dbname").argument(&endpoint.dbname);
        endpoint.variables.iter().fold(command, |command, (name, value)| {
            // Only passwords are scrubbed: a setting like `1` would take every digit with it.
            if name.ends_with("PASSWORD") {
                command.secret(name, value.expose())
            } else {
                command.variable(name, value.expose())
            }
        })
    }
}
