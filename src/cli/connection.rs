//! Connection strings of the command line, with our defaults where the user says nothing.

use std::time::Duration;

use super::environment::ProcessEnvironment;
use super::variables::PGCONNECT_TIMEOUT;
use crate::connect::conninfo::{ConnInfo, ConnInfoError, Environment};

/// Seconds to wait for one host when the user says nothing: a firewall that swallows packets must
/// show within a coffee break.
///
/// Source: spec/commands.md 3.2.
const CONNECT_TIMEOUT_SECONDS: &str = "10";

/// Time without traffic before the system asks whether the peer is alive, and between such
/// questions: a NAT gateway forgets a silent connection after minutes (trap S-19).
///
/// Source: spec/commands.md 6.2.
const KEEPALIVE_PAUSE: Duration = Duration::from_secs(10);

/// Unanswered questions after which the connection counts as lost.
///
/// Source: spec/commands.md 6.2.
const KEEPALIVE_COUNT: u32 = 60;

/// Reads a connection string.
///
/// # Errors
/// As [`ConnInfo::parse`]; no message repeats any part of the string.
pub(super) fn parse_connection(
    text: &str,
    environment: &ProcessEnvironment,
) -> Result<ConnInfo, ConnInfoError> {
    let mut info = ConnInfo::parse(text, &conninfo_environment(environment))?;
    info.socket.keepalives_idle.get_or_insert(KEEPALIVE_PAUSE);
    info.socket.keepalives_interval.get_or_insert(KEEPALIVE_PAUSE);
    info.socket.keepalives_count.get_or_insert(KEEPALIVE_COUNT);
    Ok(info)
}

/// What a connection string takes from the process around it.
fn conninfo_environment(environment: &ProcessEnvironment) -> Environment {
    let mut result = Environment::empty()
        .with_variable(PGCONNECT_TIMEOUT, CONNECT_TIMEOUT_SECONDS)
        .with_variables(environment.utf8_variables());
    if let Some(home) = environment.home() {
        result = result.with_home(home);
    }
    if let Some(user) = environment.user() {
        result = result.with_user(user);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, variables: &[(&str, &str)]) -> ConnInfo {
        let environment = ProcessEnvironment::with_variables(variables.iter().copied());
        parse_connection(text, &environment).unwrap()
    }

    // trap S-19
    #[test]
    fn connections_are_kept_alive_and_time_out_unless_told_otherwise() {
        let info = parse("postgres://u@h/d", &[]);
        assert_eq!(info.socket.keepalives_idle, Some(Duration::from_secs(10)));
        assert_eq!(info.socket.keepalives_interval, Some(Duration::from_secs(10)));
        assert_eq!(info.socket.keepalives_count, Some(60));
        assert_eq!(info.connect_timeout, Some(Duration::from_secs(10)));
    }

    #[test]
    fn what_the_user_says_about_timeouts_wins() {
        let info = parse(
            "postgres://u@h/d?keepalives_idle=33&keepalives_count=3",
            &[("PGCONNECT_TIMEOUT", "25")],
        );
        assert_eq!(info.socket.keepalives_idle, Some(Duration::from_secs(33)));
        assert_eq!(info.socket.keepalives_count, Some(3));
        assert_eq!(info.connect_timeout, Some(Duration::from_secs(25)));
    }
}
