//! Connection service files: named sets of settings in `pg_service.conf`.
//!
//! The user's file is looked at first, then the system-wide one; the first that has a section of the
//! wanted name provides all its settings.
//! Source: <https://www.postgresql.org/docs/current/libpq-pgservice.html>.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::environment::Environment;
use super::error::ConnInfoError;
use super::keyword::{self, Keyword};
use super::plain_file;
use crate::base::ini;

/// Name of the file in a system-wide directory.
const SYSTEM_FILE: &str = "pg_service.conf";

/// Where libpq builds look for the system-wide file when `PGSYSCONFDIR` does not say: Debian's, Red
/// Hat's, and the one of a build from source.
const SYSTEM_DIRECTORIES: [&str; 3] =
    ["/etc/postgresql-common", "/etc/sysconfig/pgsql", "/usr/local/pgsql/etc"];

/// Keywords and values in file order; the first of several equal keywords counts.
type Pairs = Vec<(&'static Keyword, Zeroizing<String>)>;

/// A service's settings and the file they came from.
pub(super) struct Service {
    /// The file.
    pub(super) file: PathBuf,
    /// What it sets.
    pub(super) settings: Pairs,
}

/// Finds a service. `file` is the one named in the connection string, if any.
///
/// # Errors
/// A file that is no plain one, too long, or cannot be read or understood; no file that defines the
/// service.
pub(super) fn load(
    name: &str,
    file: Option<&str>,
    environment: &Environment,
) -> Result<Service, ConnInfoError> {
    for path in candidates(file, environment) {
        let bytes = match plain_file::read(&path) {
            Ok(bytes) => bytes,
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                continue;
            }
            Err(error) => {
                return Err(ConnInfoError::ServiceFile { file: path, reason: error.to_string() });
            }
        };
        let text = std::str::from_utf8(&bytes).map_err(|_| ConnInfoError::ServiceFile {
            file: path.clone(),
            reason: "it is not UTF-8".to_owned(),
        })?;
        if let Some(settings) = section(text, name, &path)? {
            return Ok(Service { file: path, settings });
        }
    }
    Err(ConnInfoError::UnknownService(name.to_owned()))
}

/// The files to look at, in order.
fn candidates(file: Option<&str>, environment: &Environment) -> Vec<PathBuf> {
    let user_file = file
        .filter(|file| !file.is_empty())
        .or_else(|| environment.nonempty("PGSERVICEFILE"))
        .map(PathBuf::from)
        .or_else(|| environment.home().map(|home| home.join(".pg_service.conf")));
    let mut files: Vec<_> = user_file.into_iter().collect();
    match environment.nonempty("PGSYSCONFDIR") {
        Some(directory) => files.push(Path::new(directory).join(SYSTEM_FILE)),
        None => files.extend(SYSTEM_DIRECTORIES.map(|dir| Path::new(dir).join(SYSTEM_FILE))),
    }
    files
}

/// The settings of the first section of that name, `None` when there is none.
fn section(text: &str, name: &str, file: &Path) -> Result<Option<Pairs>, ConnInfoError> {
    let at =
        |line, problem: String| ConnInfoError::ServiceLine { file: file.to_owned(), line, problem };
    let sections = ini::parse(text).map_err(|error| at(error.line, error.kind.to_string()))?;
    // A name is looked for among headers only: entries before the first one belong to no service.
    let Some(section) = sections.into_iter().find(|s| s.line > 0 && s.name == name) else {
        return Ok(None);
    };
    let mut settings = Vec::with_capacity(section.entries.len());
    for entry in section.entries {
        let text = Zeroizing::new(entry.text);
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| at(entry.line, "expected keyword=value".to_owned()))?;
        if key.ends_with([' ', '\t']) {
            return Err(at(entry.line, "no blank may stand before \"=\"".to_owned()));
        }
        if matches!(key, "service" | "servicefile") {
            return Err(at(entry.line, "a service cannot refer to another service".to_owned()));
        }
        let keyword = keyword::find(key)
            .ok_or_else(|| at(entry.line, "unknown connection option".to_owned()))?;
        settings.push((keyword, Zeroizing::new(value.to_owned())));
    }
    Ok(Some(settings))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loads a service and flattens it to `keyword=value;…`.
    fn flat(name: &str, file: Option<&str>, environment: &Environment) -> Result<String, String> {
        let service = load(name, file, environment).map_err(|error| error.to_string())?;
        let parts: Vec<_> =
            service.settings.iter().map(|(k, v)| format!("{}={}", k.name, v.as_str())).collect();
        Ok(parts.join(";"))
    }

    // trap P-11
    #[test]
    fn user_file_wins_over_system_file_and_string_over_variable() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        write(".pg_service.conf", "[a]\nport=1\n");
        write("pg_service.conf", "[a]\nport=2\n[b]\nport=3\n");
        let named = write("named", "# c\n[a]\nport=4\n\n[a]\nport=5\n");
        let other = write("other", "[a]\nport=6\nhost=x\nport=7\n");
        let base = Environment::empty()
            .with_home(dir.path())
            .with_variable("PGSYSCONFDIR", dir.path().to_str().unwrap());
        let with_variable = base.clone().with_variable("PGSERVICEFILE", named.clone());

        assert_eq!(flat("a", None, &base), Ok("port=1".to_owned()));
        assert_eq!(flat("b", None, &base), Ok("port=3".to_owned()));
        assert_eq!(flat("a", None, &with_variable), Ok("port=4".to_owned()));
        assert_eq!(flat("a", Some(&other), &with_variable), Ok("port=6;host=x;port=7".to_owned()));
        assert_eq!(flat("c", None, &base), Err("definition of service \"c\" not found".to_owned()));
        // A file that does not exist is passed over, as libpq does.
        assert_eq!(flat("b", Some("/nonexistent/x"), &base), Ok("port=3".to_owned()));
    }

    #[test]
    fn file_that_is_no_plain_text_file_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let long = write("long", b"[a]\nport=1\n");
        let file = std::fs::File::options().write(true).open(&long).unwrap();
        file.set_len(plain_file::FILE_BYTES_MAX + 1).unwrap();
        let cases = [
            (dir.path().to_owned(), "it is not a plain file"),
            (PathBuf::from("/dev/zero"), "it is not a plain file"),
            (long, "it is longer than 16 MiB"),
            (write("latin", b"[a]\npassword=s\xe9cret\n"), "it is not UTF-8"),
        ];
        for (path, reason) in cases {
            let path = path.to_str().unwrap();
            let expected = format!("service file \"{path}\" cannot be read: {reason}");
            let by_variable = Environment::empty().with_variable("PGSERVICEFILE", path);
            assert_eq!(flat("a", None, &by_variable), Err(expected.clone()));
            assert_eq!(flat("a", Some(path), &Environment::empty()), Err(expected));
        }
    }

    #[test]
    fn bad_lines_are_named_without_their_text() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("service");
        let cases = [
            ("[a]\ns3cret\n", "line 2: expected keyword=value"),
            ("[a]\nhost = s3cret\n", "line 2: no blank may stand before \"=\""),
            ("[a]\ns3cret=1\n", "line 2: unknown connection option"),
            ("[a]\nservice=b\n", "line 2: a service cannot refer to another service"),
            ("[a\npassword=s3cret", "line 1: section header without closing \"]\" at its end"),
        ];
        for (text, expected) in cases {
            std::fs::write(&path, text).unwrap();
            let error = flat("a", path.to_str(), &Environment::empty()).unwrap_err();
            assert_eq!(error, format!("service file \"{}\", {expected}", path.display()));
        }
    }
}
