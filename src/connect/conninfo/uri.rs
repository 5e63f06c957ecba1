//! The URI form: `postgresql://[user[:password]@][host[:port],…][/dbname][?keyword=value&…]`.
//!
//! Not an RFC 3986 URL: several hosts may stand in the authority, and any part may be missing, so the
//! text is split here and not by a URL parser.
//! Source: <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS>.

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use super::error::{ConnInfoError, SyntaxProblem};
use super::key_value::Pair;

/// The two schemes.
const SCHEMES: [&str; 2] = ["postgresql://", "postgres://"];

/// Whether a text is a URI and not `keyword=value`.
pub(super) fn is_uri(text: &str) -> bool {
    SCHEMES.iter().any(|scheme| text.starts_with(scheme))
}

/// Splits a URI into keywords and values. Hosts and ports become comma-separated lists. Empty parts
/// yield nothing; query parameters do, even when empty.
///
/// # Errors
/// Brackets that do not close, bad percent-encoding, a query parameter without `=` or with two.
pub(super) fn parse(text: &str) -> Result<Vec<Pair>, ConnInfoError> {
    let start = SCHEMES.iter().find(|s| text.starts_with(**s)).map_or(0, |scheme| scheme.len());
    let mut parser = Parser { text, pairs: Vec::new() };
    let at = parser.user_info(start)?;
    let at = parser.hosts(at)?;
    let at = parser.database(at)?;
    parser.query(at)?;
    Ok(parser.pairs)
}

/// A URI being split. Offsets are in bytes; each step starts where the one before ended.
struct Parser<'a> {
    text: &'a str,
    pairs: Vec<Pair>,
}

impl<'a> Parser<'a> {
    /// The text from an offset on.
    fn from(&self, offset: usize) -> &'a str {
        self.text.get(offset..).unwrap_or_default()
    }

    /// A syntax error.
    fn error(&self, offset: usize, problem: SyntaxProblem) -> ConnInfoError {
        ConnInfoError::syntax(self.text, offset, problem)
    }

    /// Adds a value that is there.
    fn push_nonempty(&mut self, keyword: &str, value: Zeroizing<String>, offset: usize) {
        if !value.is_empty() {
            self.pairs.push(Pair { keyword: keyword.to_owned(), value, offset });
        }
    }

    /// Reads `user:password@`, if it is there.
    ///
    /// libpq ends it at the first `@`. What follows that can be no host when it holds another `@`
    /// before the host part ends, so the last of these ends it here: roles like `me@server`
    /// and passwords with `@` work unencoded, and no piece of a password is taken for a host.
    fn user_info(&mut self, start: usize) -> Result<usize, ConnInfoError> {
        let rest = self.from(start);
        let authority = rest.split('/').next().unwrap_or_default();
        let Some(first) = authority.find('@') else {
            return Ok(start);
        };
        let host_part = self.from(start + first + 1);
        let host_part = host_part.split(['/', '?']).next().unwrap_or_default();
        let end = host_part.rfind('@').map_or(first, |last| first + 1 + last);
        let user_info = rest.get(..end).unwrap_or_default();
        let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        let user_value = self.decode(user, start)?;
        self.push_nonempty("user", user_value, start);
        let password_start = start + user.len() + 1;
        let password_value = self.decode(password, password_start)?;
        self.push_nonempty("password", password_value, password_start);
        Ok(start + end + 1)
    }

    /// Reads `host:port,host:port,…`.
    fn hosts(&mut self, start: usize) -> Result<usize, ConnInfoError> {
        let mut hosts = String::new();
        let mut ports = String::new();
        let mut at = start;
        loop {
            let host = self.host(at)?;
            at += host.len();
            let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            hosts.push_str(bare.unwrap_or(host));
            if let Some(rest) = self.from(at).strip_prefix(':') {
                let port = rest.split(['/', '?', ',']).next().unwrap_or_default();
                ports.push_str(port);
                at += 1 + port.len();
            }
            if !self.from(at).starts_with(',') {
                break;
            }
            hosts.push(',');
            ports.push(',');
            at += 1;
        }
        let hosts = self.decode(&hosts, start)?;
        self.push_nonempty("host", hosts, start);
        let ports = self.decode(&ports, start)?;
        self.push_nonempty("port", ports, start);
        Ok(at)
    }

    /// One host, brackets included.
    fn host(&self, start: usize) -> Result<&'a str, ConnInfoError> {
        let rest = self.from(start);
        if !rest.starts_with('[') {
            return Ok(rest.split([':', '/', '?', ',']).next().unwrap_or_default());
        }
        let close =
            rest.find(']').ok_or_else(|| self.error(start, SyntaxProblem::UnclosedBracket))?;
        if close == 1 {
            return Err(self.error(start, SyntaxProblem::EmptyBracket));
        }
        let (host, after) = rest.split_at(close + 1);
        match after.chars().next() {
            None | Some(':' | '/' | '?' | ',') => Ok(host),
            Some(_) => Err(self.error(start + close + 1, SyntaxProblem::AfterBracket)),
        }
    }

    /// Reads `/dbname`, if it is there.
    fn database(&mut self, start: usize) -> Result<usize, ConnInfoError> {
        let Some(rest) = self.from(start).strip_prefix('/') else {
            return Ok(start);
        };
        let name = rest.split('?').next().unwrap_or_default();
        let value = self.decode(name, start + 1)?;
        self.push_nonempty("dbname", value, start + 1);
        Ok(start + 1 + name.len())
    }

    /// Reads `?keyword=value&…`, if it is there.
    fn query(&mut self, start: usize) -> Result<(), ConnInfoError> {
        let Some(query) = self.from(start).strip_prefix('?') else {
            return Ok(());
        };
        let mut offset = start + 1;
        // A "&" at the end is allowed, an empty parameter elsewhere is not.
        for parameter in query.split_terminator('&') {
            let (keyword, value) = parameter
                .split_once('=')
                .ok_or_else(|| self.error(offset, SyntaxProblem::MissingEquals))?;
            if value.contains('=') {
                return Err(self.error(offset, SyntaxProblem::ExtraEquals));
            }
            let decoded = self.decode(value, offset + keyword.len() + 1)?;
            let keyword = self.decode(keyword, offset)?;
            self.pairs.push(parameter_pair(&keyword, decoded, offset));
            offset += parameter.len() + 1;
        }
        Ok(())
    }

    /// Removes the percent-encoding of a part that starts at `offset`.
    fn decode(&self, part: &str, offset: usize) -> Result<Zeroizing<String>, ConnInfoError> {
        for (at, _) in part.match_indices('%') {
            let digits = part.as_bytes().get(at + 1..at + 3).unwrap_or_default();
            if digits.len() < 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
                return Err(self.error(offset + at, SyntaxProblem::BadPercent));
            }
            if digits == b"00" {
                return Err(self.error(offset + at, SyntaxProblem::ZeroByte));
            }
        }
        percent_decode_str(part)
            .decode_utf8()
            .map(|text| Zeroizing::new(text.into_owned()))
            .map_err(|_| self.error(offset, SyntaxProblem::NotUtf8))
    }
}

/// A query parameter as a pair; `ssl=true`, which other drivers write, means `sslmode=require`.
fn parameter_pair(keyword: &str, value: Zeroizing<String>, offset: usize) -> Pair {
    if keyword == "ssl" && value.as_str() == "true" {
        let value = Zeroizing::new("require".to_owned());
        return Pair { keyword: "sslmode".to_owned(), value, offset };
    }
    Pair { keyword: keyword.to_owned(), value, offset }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pairs as one text, `keyword=value;…`.
    fn flat(text: &str) -> String {
        let pairs = parse(text).unwrap();
        let parts: Vec<_> =
            pairs.iter().map(|p| format!("{}={}", p.keyword, p.value.as_str())).collect();
        parts.join(";")
    }

    #[test]
    fn uris_split_as_libpq_splits_them() {
        // Expected values: PostgreSQL manual 34.1.1.2 and its libpq URI regression cases,
        // checked with psql 15 where they connect.
        let cases = [
            ("postgresql://", ""),
            ("postgres:///", ""),
            ("postgresql://localhost", "host=localhost"),
            ("postgresql://localhost:5433", "host=localhost;port=5433"),
            ("postgresql://localhost/mydb", "host=localhost;dbname=mydb"),
            ("postgresql://user@localhost", "user=user;host=localhost"),
            ("postgresql://user:secret@localhost", "user=user;password=secret;host=localhost"),
            ("postgres://user:@h", "user=user;host=h"),
            ("postgres://:pw@h", "password=pw;host=h"),
            ("postgres://@h", "host=h"),
            (
                "postgresql://other@localhost/otherdb?connect_timeout=10&application_name=myapp",
                "user=other;host=localhost;dbname=otherdb;connect_timeout=10;application_name=myapp",
            ),
            (
                "postgresql://host1:123,host2:456/somedb?target_session_attrs=any",
                "host=host1,host2;port=123,456;dbname=somedb;target_session_attrs=any",
            ),
            ("postgresql://h1,h2:2,:3/", "host=h1,h2,;port=,2,3"),
            ("postgres://,", "host=,;port=,"),
            ("postgresql:///mydb?host=localhost&port=5433", "dbname=mydb;host=localhost;port=5433"),
            ("postgresql://[2001:db8::1234]/database", "host=2001:db8::1234;dbname=database"),
            ("postgresql://[::1]:12345,[::2]", "host=::1,::2;port=12345,"),
            (
                "postgresql://%2Fvar%2Flib%2Fpostgresql/dbname",
                "host=/var/lib/postgresql;dbname=dbname",
            ),
            ("postgresql://uri-user@%65xample.com", "user=uri-user;host=example.com"),
            ("postgres://a%40b:p%3Aw%2Fd%25@h", "user=a@b;password=p:w/d%;host=h"),
            ("postgres://h/d%20b%3F", "host=h;dbname=d b?"),
            ("postgres://h/a/b", "host=h;dbname=a/b"),
            ("postgres://h?user=a%3Db", "host=h;user=a=b"),
            ("postgres://h/?", "host=h"),
            ("postgres://h/?options=", "host=h;options="),
            ("postgres://h/?user=a&", "host=h;user=a"),
            ("postgres://h/?ssl=true", "host=h;sslmode=require"),
            ("postgres://h/?%75ser=x", "host=h;user=x"),
            ("postgres://h/?options=a+b", "host=h;options=a+b"),
            ("postgres://u:p?q@h", "user=u;password=p?q;host=h"),
            ("postgres://%E6%97%A5@h/日", "user=日;host=h;dbname=日"),
        ];
        for (text, expected) in cases {
            assert_eq!(flat(text), expected, "{text}");
        }
    }

    // trap P-11
    #[test]
    fn at_signs_of_role_and_password_need_no_encoding() {
        let cases = [
            ("postgres://me@azure:pw@h:1/d", "user=me@azure;password=pw;host=h;port=1;dbname=d"),
            ("postgres://u:p@ss@h", "user=u;password=p@ss;host=h"),
            ("postgres://u:p@h?options=a@b", "user=u;password=p;host=h;options=a@b"),
            ("postgres://u:p@h/d@e", "user=u;password=p;host=h;dbname=d@e"),
            ("postgres://h/?user=a@b", "host=h;user=a@b"),
        ];
        for (text, expected) in cases {
            assert_eq!(flat(text), expected, "{text}");
        }
    }

    #[test]
    fn errors_name_the_position_only() {
        let cases = [
            ("postgres://[::1", 12, SyntaxProblem::UnclosedBracket),
            ("postgres://[]", 12, SyntaxProblem::EmptyBracket),
            ("postgres://[::1]x", 17, SyntaxProblem::AfterBracket),
            ("postgres://u:s3cret%4@h", 20, SyntaxProblem::BadPercent),
            ("postgres://u:s3cret%zz@h", 20, SyntaxProblem::BadPercent),
            ("postgres://u:s3cret%@h", 20, SyntaxProblem::BadPercent),
            ("postgres://u:s3cret%00@h", 20, SyntaxProblem::ZeroByte),
            ("postgres://u:s3cret%ff@h", 14, SyntaxProblem::NotUtf8),
            ("postgres://h/?s3cret", 15, SyntaxProblem::MissingEquals),
            ("postgres://h/?user=a&&dbname=b", 22, SyntaxProblem::MissingEquals),
            ("postgres://h/?user=a=s3cret", 15, SyntaxProblem::ExtraEquals),
        ];
        for (text, position, problem) in cases {
            let error = parse(text).unwrap_err();
            assert_eq!(error, ConnInfoError::Syntax { position, problem }, "{text}");
            assert!(!error.to_string().contains("s3cret"));
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails_inside_itself(tail in any::<String>()) {
            let text = format!("postgres://{tail}");
            if let Err(ConnInfoError::Syntax { position, .. }) = parse(&text) {
                prop_assert!(position <= text.chars().count() + 1);
            }
        }

        #[test]
        fn any_structure_parses_or_fails(tail in "[a@:/?,%&=\\[\\]]{0,24}") {
            let _ = parse(&format!("postgresql://{tail}"));
        }
    }
}
