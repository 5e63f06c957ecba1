//! Connection strings of the command line, with our defaults where the user says nothing.

use std::time::Duration;

use super::environment::ProcessEnvironment;
use crate::connect::conninfo::{ConnInfo, HostAddress};

/// Seconds without traffic before the system asks whether the peer is alive.
///
/// Source: spec/commands.md 6.2.
const KEEPALIVES_IDLE: Duration = Duration::from_secs(10);

/// Reads a connection string.
///
/// # Errors
/// The reason as text, without any part of the string that may be secret.
pub(super) fn parse_connection(
    text: &str,
    environment: &ProcessEnvironment,
) -> Result<ConnInfo, String> {
    let _ = (text, environment, KEEPALIVES_IDLE);
    Err("connection strings cannot be read before conninfo lands".into())
}

/// A connection as it may be shown: role, hosts, ports, database.
pub(super) fn describe_connection(info: &ConnInfo) -> String {
    let hosts: Vec<String> = info
        .hosts
        .iter()
        .map(|host| match &host.address {
            HostAddress::Unix(directory) => format!("{}:{}", directory.display(), host.port),
            HostAddress::Tcp { host: name, hostaddr } => {
                let address = hostaddr.map(|address| address.to_string()).unwrap_or_default();
                let shown = if name.is_empty() { &address } else { name };
                format!("{shown}:{}", host.port)
            }
        })
        .collect();
    format!("postgres://{}@{}/{}", info.user, hosts.join(","), info.dbname)
}
