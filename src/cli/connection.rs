//! Connection strings of the command line. The defaults for time limits and keepalives are those of
//! [`ConnInfo::parse`].

use super::environment::ProcessEnvironment;
use crate::connect::conninfo::{ConnInfo, ConnInfoError, Environment};

/// Reads a connection string.
///
/// # Errors
/// As [`ConnInfo::parse`]; no message repeats any part of the string.
pub(super) fn parse_connection(
    text: &str,
    environment: &ProcessEnvironment,
) -> Result<ConnInfo, ConnInfoError> {
    ConnInfo::parse(text, &conninfo_environment(environment))
}

/// What a connection string takes from the process around it.
fn conninfo_environment(environment: &ProcessEnvironment) -> Environment {
    let mut result = Environment::empty().with_variables(environment.utf8_variables());
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
    use std::time::Duration;

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

    #[test]
    fn zero_leaves_keepalives_to_the_system() {
        let info = parse("postgres://u@h/d?keepalives_idle=0&keepalives_count=0", &[]);
        assert_eq!((info.socket.keepalives_idle, info.socket.keepalives_count), (None, None));
    }
}
