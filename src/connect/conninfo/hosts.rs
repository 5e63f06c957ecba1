//! The lists of `host`, `hostaddr` and `port`, combined into the hosts to try.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::error::{ConnInfoError, Origin};
use super::passfile::DEFAULT_SOCKET_DIRECTORIES;
use super::{HostAddress, HostSpec};

/// Port where none is given.
pub(super) const DEFAULT_PORT: u16 = 5432;

/// A list as the user wrote it, and where.
pub(super) struct List<'a> {
    /// Comma-separated text; empty when not given.
    pub(super) text: &'a str,
    /// Where it came from.
    pub(super) origin: Origin,
}

impl List<'_> {
    /// The elements; none when the list is not given.
    fn elements(&self) -> Vec<&str> {
        if self.text.is_empty() { Vec::new() } else { self.text.split(',').collect() }
    }
}

/// Combines the three lists. As many hosts as `hostaddr` has elements, or else `host`; one port
/// serves all hosts.
///
/// # Errors
/// Lists of different length, an address or a port that is none.
pub(super) fn combine(
    host: &List<'_>,
    hostaddr: &List<'_>,
    port: &List<'_>,
) -> Result<Vec<HostSpec>, ConnInfoError> {
    let names = host.elements();
    let addresses = hostaddr.elements();
    let ports = port.elements();
    if !names.is_empty() && !addresses.is_empty() && names.len() != addresses.len() {
        return Err(mismatch("host names", names.len(), "hostaddr values", addresses.len()));
    }
    let count = names.len().max(addresses.len()).max(1);
    if ports.len() > 1 && ports.len() != count {
        return Err(mismatch("port numbers", ports.len(), "hosts", count));
    }
    let mut hosts = Vec::with_capacity(count);
    for index in 0..count {
        let port_index = if ports.len() > 1 { index } else { 0 };
        let port =
            parse_port(ports.get(port_index).copied().unwrap_or_default(), port_index, port)?;
        let name = names.get(index).copied().unwrap_or_default();
        let address = addresses.get(index).copied().unwrap_or_default();
        let address = place(name, address, port)
            .ok_or_else(|| not_an_address(index, addresses.len(), &hostaddr.origin))?;
        hosts.push(HostSpec { address, port, password: None });
    }
    Ok(hosts)
}

/// Where a host is; `None` when `hostaddr` is no address.
fn place(host: &str, hostaddr: &str, port: u16) -> Option<HostAddress> {
    if !hostaddr.is_empty() {
        let address: IpAddr = hostaddr.parse().ok()?;
        return Some(HostAddress::Tcp { host: host.to_owned(), hostaddr: Some(address) });
    }
    Some(match host {
        "" => HostAddress::Unix(default_socket_directory(port)),
        path if path.starts_with(['/', '@']) => HostAddress::Unix(PathBuf::from(path)),
        name => HostAddress::Tcp { host: name.to_owned(), hostaddr: None },
    })
}

/// The default directory that has a socket of this port, or else the first that exists.
fn default_socket_directory(port: u16) -> PathBuf {
    let socket = format!(".s.PGSQL.{port}");
    let directories = DEFAULT_SOCKET_DIRECTORIES.map(Path::new);
    let [_, last] = directories;
    let with_socket = directories.iter().find(|directory| directory.join(&socket).exists());
    with_socket
        .or_else(|| directories.iter().find(|directory| directory.is_dir()))
        .unwrap_or(&last)
        .to_path_buf()
}

/// Reads one element of the port list; empty is the default.
fn parse_port(text: &str, index: usize, list: &List<'_>) -> Result<u16, ConnInfoError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(DEFAULT_PORT);
    }
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => {
            let which = ordinal(index, list.elements().len());
            let problem = format!("{which} is not a port number between 1 and 65535");
            Err(ConnInfoError::value("port", &list.origin, problem))
        }
    }
}

/// The error for an element of `hostaddr` that is no address.
fn not_an_address(index: usize, count: usize, origin: &Origin) -> ConnInfoError {
    let which = ordinal(index, count);
    ConnInfoError::value("hostaddr", origin, format!("{which} is not an IP address"))
}

/// Names an element of a list without repeating it.
fn ordinal(index: usize, count: usize) -> String {
    if count > 1 { format!("element {} of the list", index + 1) } else { "the value".to_owned() }
}

/// The error for lists of different length.
fn mismatch(left: &str, left_count: usize, right: &str, right_count: usize) -> ConnInfoError {
    ConnInfoError::Contradiction(format!(
        "could not match {left_count} {left} to {right_count} {right} in the connection string"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list from the connection string.
    fn list(text: &str) -> List<'_> {
        List { text, origin: Origin::Text }
    }

    /// Hosts as short text, one per host.
    fn shape(host: &str, hostaddr: &str, port: &str) -> Result<Vec<String>, String> {
        let hosts =
            combine(&list(host), &list(hostaddr), &list(port)).map_err(|e| e.to_string())?;
        Ok(hosts
            .into_iter()
            .map(|spec| match spec.address {
                HostAddress::Unix(path)
                    if DEFAULT_SOCKET_DIRECTORIES.iter().any(|d| path == Path::new(d)) =>
                {
                    format!("default:{}", spec.port)
                }
                HostAddress::Unix(path) => format!("unix {}:{}", path.display(), spec.port),
                HostAddress::Tcp { host, hostaddr: None } => format!("{host}:{}", spec.port),
                HostAddress::Tcp { host, hostaddr: Some(address) } => {
                    format!("{host}={address}:{}", spec.port)
                }
            })
            .collect())
    }

    #[test]
    fn lists_combine_as_in_libpq() {
        // Expected values: PostgreSQL manual 34.1.1.3 and 34.1.2.
        let cases: &[(&str, &str, &str, &[&str])] = &[
            ("", "", "", &["default:5432"]),
            ("", "", "5433", &["default:5433"]),
            ("a", "", "", &["a:5432"]),
            ("a,b", "", "1", &["a:1", "b:1"]),
            ("a,b", "", "1,2", &["a:1", "b:2"]),
            ("a,b,c", "", "1,,3", &["a:1", "b:5432", "c:3"]),
            ("a,,b", "", "", &["a:5432", "default:5432", "b:5432"]),
            (",", "", "", &["default:5432", "default:5432"]),
            ("/srv/pg,@abstract", "", "", &["unix /srv/pg:5432", "unix @abstract:5432"]),
            ("::1", "", "", &["::1:5432"]),
            ("", "10.0.0.1,::1", "", &["=10.0.0.1:5432", "=::1:5432"]),
            ("a,b", "10.0.0.1,", " 7 ", &["a=10.0.0.1:7", "b:7"]),
        ];
        for (host, hostaddr, port, expected) in cases {
            assert_eq!(
                shape(host, hostaddr, port).unwrap(),
                *expected,
                "{host:?} {hostaddr:?} {port:?}"
            );
        }
    }

    #[test]
    fn wrong_lists_are_refused_without_repeating_them() {
        let port = "connection option \"port\": the value is not a port number between 1 and 65535";
        let cases = [
            ("a,b", "10.0.0.1", "", "could not match 2 host names to 1 hostaddr values"),
            ("a", "", "1,2", "could not match 2 port numbers to 1 hosts"),
            ("a,b,c", "", "1,2", "could not match 2 port numbers to 3 hosts"),
            ("a", "", "0", port),
            ("a", "", "65536", port),
            ("a", "", "s3cret", port),
            ("a", "", "-1", port),
            (
                "a,b",
                "",
                "1,s3cret",
                "connection option \"port\": element 2 of the list is not a port",
            ),
            ("a", "s3cret", "", "connection option \"hostaddr\": the value is not an IP address"),
        ];
        for (host, hostaddr, port, expected) in cases {
            let error = shape(host, hostaddr, port).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
