//! The password file: `host:port:database:user:password` per line, first match wins.
//!
//! Source: <https://www.postgresql.org/docs/current/libpq-pgpass.html>.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::{HostAddress, Secret, plain_file};

/// Directories of unix sockets for which `localhost` stands in the password file: the two that
/// libpq is built with (Debian's and the one of a build from source).
pub(super) const DEFAULT_SOCKET_DIRECTORIES: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// What a password is looked up for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// The host.
    pub(super) address: &'a HostAddress,
    /// The port.
    pub(super) port: u16,
    /// The database.
    pub(super) dbname: &'a str,
    /// The role.
    pub(super) user: &'a str,
}

/// The lines of a password file; wiped when dropped.
#[derive(Debug)]
pub(super) struct PassFile(Zeroizing<Vec<u8>>);

impl PassFile {
    /// Reads a file. `None` when there is none to use: it does not exist, or is no plain file, is not
    /// private to its owner, or cannot be read; all but the first are warned about, naming the file
    /// only.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let file = path.display();
        let metadata = match plain_file::inspect(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                tracing::warn!(%file, "password file is ignored: {error}");
                return None;
            }
            Err(_) => return None,
        };
        if metadata.permissions().mode() & 0o077 != 0 {
            tracing::warn!(
                %file,
                "password file is ignored: group or others have access, permissions should be \
                 u=rw (0600) or less"
            );
            return None;
        }
        match plain_file::read(path) {
            Ok(bytes) => Some(Self(bytes)),
            Err(error) => {
                tracing::warn!(%file, %error, "password file is ignored: it cannot be read");
                None
            }
        }
    }

    /// The password of the first line that fits; `None` when none does or its password is empty.
    pub(super) fn password(&self, wanted: Wanted<'_>) -> Option<Secret> {
        let hosts = host_names(wanted.address);
        let port = wanted.port.to_string();
        self.0
            .split(|byte| *byte == b'\n')
            .filter_map(|line| std::str::from_utf8(line).ok())
            .filter(|line| !line.starts_with('#'))
            .find_map(|line| {
                let rest = hosts.iter().find_map(|host| strip_field(line, host))?;
                let rest = strip_field(rest, &port)?;
                let rest = strip_field(rest, wanted.dbname)?;
                strip_field(rest, wanted.user)
            })
            .map(|password| unescape(password.trim_end_matches('\r')))
            .filter(|password| !password.expose().is_empty())
    }
}

/// The names under which a host may stand in the file.
fn host_names(address: &HostAddress) -> Vec<String> {
    match address {
        HostAddress::Tcp { host, hostaddr: Some(address) } if host.is_empty() => {
            vec![address.to_string()]
        }
        HostAddress::Tcp { host, .. } => vec![host.clone()],
        HostAddress::Unix(directory) => {
            let mut names = vec![directory.display().to_string()];
            if DEFAULT_SOCKET_DIRECTORIES.iter().any(|default| directory == Path::new(default)) {
                names.push("localhost".to_owned());
            }
            names
        }
    }
}

/// What follows a line's first field and its colon, when the field is `*` or spells `wanted`.
fn strip_field<'a>(line: &'a str, wanted: &str) -> Option<&'a str> {
    if let Some(rest) = line.strip_prefix("*:") {
        return Some(rest);
    }
    let mut expected = wanted.chars();
    let mut characters = line.char_indices();
    while let Some((at, character)) = characters.next() {
        let literal = match character {
            ':' => return expected.next().is_none().then(|| line.get(at + 1..)).flatten(),
            '\\' => characters.next()?.1,
            other => other,
        };
        if expected.next() != Some(literal) {
            return None;
        }
    }
    None
}

/// Removes the backslashes of a password field. A colon ends nothing here: the password is the last
/// field.
fn unescape(field: &str) -> Secret {
    let mut password = Zeroizing::new(String::with_capacity(field.len()));
    let mut characters = field.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => password.extend(characters.next()),
            other => password.push(other),
        }
    }
    Secret::new(std::mem::take(&mut *password))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// Looks up (host, 5432, db, me) in a text.
    fn lookup(text: &str, address: &HostAddress, dbname: &str, user: &str) -> Option<String> {
        PassFile(Zeroizing::new(text.as_bytes().to_vec()))
            .password(Wanted { address, port: 5432, dbname, user })
            .map(|password| password.expose().to_owned())
    }

    /// A TCP host.
    fn tcp(host: &str) -> HostAddress {
        HostAddress::Tcp { host: host.to_owned(), hostaddr: None }
    }

    // trap P-11
    #[test]
    fn first_matching_line_wins_and_escapes_are_understood() {
        // Expected values: PostgreSQL manual 34.16, checked with psql 15.
        let cases: &[(&str, &str, &str, &str, Option<&str>)] = &[
            ("h:5432:d:u:pw", "h", "d", "u", Some("pw")),
            ("h:5432:d:u:pw\r\n", "h", "d", "u", Some("pw")),
            ("*:*:*:*:pw", "h", "d", "u", Some("pw")),
            ("h:5432:d:x:one\nh:*:d:u:two\n*:*:*:*:three", "h", "d", "u", Some("two")),
            ("h:1:d:u:pw", "h", "d", "u", None),
            ("h:5432:other:u:pw", "h", "d", "u", None),
            ("H:5432:d:u:pw", "h", "d", "u", None),
            ("#h:5432:d:u:pw", "h", "d", "u", None),
            ("\\:\\:1:5432:d:u:pw", "::1", "d", "u", Some("pw")),
            ("::1:5432:d:u:pw", "::1", "d", "u", None),
            ("h:5432:a\\:b:c\\\\d:p\\:w\\\\x", "h", "a:b", "c\\d", Some("p:w\\x")),
            ("h:5432:d:u:p:w", "h", "d", "u", Some("p:w")),
            ("h:5432:d:u: pw ", "h", "d", "u", Some(" pw ")),
            ("h:5432:d:u:", "h", "d", "u", None),
            ("h:5432:d:u", "h", "d", "u", None),
            ("h:5432:replication:u:pw", "h", "replication", "u", Some("pw")),
            ("hh:5432:d:u:pw", "h", "d", "u", None),
            ("h:5432:d:u:pässword", "h", "d", "u", Some("pässword")),
            ("h:5432:\\*:u:pw", "h", "*", "u", Some("pw")),
            ("h:5432:\\*:u:pw", "h", "d", "u", None),
        ];
        for (text, host, dbname, user, expected) in cases {
            let found = lookup(text, &tcp(host), dbname, user);
            assert_eq!(found.as_deref(), *expected, "{text:?}");
        }
    }

    #[test]
    fn localhost_stands_for_default_sockets_only() {
        let text = "localhost:5432:d:u:local\n/srv/pg:5432:d:u:other";
        let unix = |path: &str| HostAddress::Unix(PathBuf::from(path));
        let cases = [
            (unix("/var/run/postgresql"), Some("local")),
            (unix("/tmp"), Some("local")),
            (unix("/srv/pg"), Some("other")),
            (unix("/srv/else"), None),
            (tcp("localhost"), Some("local")),
            (tcp("127.0.0.1"), None),
        ];
        for (address, expected) in cases {
            assert_eq!(lookup(text, &address, "d", "u").as_deref(), expected, "{address:?}");
        }
    }

    #[test]
    fn hostaddr_is_the_name_when_there_is_no_other() {
        let address =
            HostAddress::Tcp { host: String::new(), hostaddr: Some("10.0.0.1".parse().unwrap()) };
        assert_eq!(lookup("10.0.0.1:*:*:*:pw", &address, "d", "u").as_deref(), Some("pw"));
        let both =
            HostAddress::Tcp { host: "h".to_owned(), hostaddr: Some("10.0.0.1".parse().unwrap()) };
        assert_eq!(lookup("10.0.0.1:*:*:*:pw", &both, "d", "u"), None);
    }

    #[test]
    fn file_that_others_can_read_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pgpass");
        std::fs::write(&path, "*:*:*:*:pw\n").unwrap();
        for (mode, usable) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(PassFile::read(&path).is_some(), usable, "{mode:o}");
        }
        assert!(PassFile::read(dir.path()).is_none());
        assert!(PassFile::read(&dir.path().join("missing")).is_none());
    }
}
