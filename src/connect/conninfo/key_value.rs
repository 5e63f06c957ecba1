//! The `keyword = value` form of connection strings.
//!
//! Blanks may stand around `=`. A value is a bare word or stands in single quotes; in both a backslash
//! takes the next character as it is.
//! Source: <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE>.

use zeroize::Zeroizing;

use super::error::{ConnInfoError, SyntaxProblem};

/// A keyword and its value, as they stand in a connection string; wiped when dropped.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pair {
    /// The keyword; not yet known to exist.
    pub(super) keyword: String,
    /// The value, quotes and escapes removed.
    pub(super) value: Zeroizing<String>,
    /// Byte offset of the keyword in the text.
    pub(super) offset: usize,
}

/// Splits a text into its pairs.
///
/// # Errors
/// A word without `=`, `=` without a word, a quote without its end.
pub(super) fn parse(text: &str) -> Result<Vec<Pair>, ConnInfoError> {
    let mut scanner = Scanner { text, offset: 0 };
    let mut pairs = Vec::new();
    loop {
        scanner.skip_blanks();
        if scanner.rest().is_empty() {
            return Ok(pairs);
        }
        pairs.push(scanner.pair()?);
    }
}

/// A position in the text.
struct Scanner<'a> {
    text: &'a str,
    offset: usize,
}

impl<'a> Scanner<'a> {
    /// What has not been read yet.
    fn rest(&self) -> &'a str {
        self.text.get(self.offset..).unwrap_or_default()
    }

    /// Passes blanks.
    fn skip_blanks(&mut self) {
        self.offset = self.text.len() - self.rest().trim_start_matches(is_blank).len();
    }

    /// Reads `keyword = value`; a keyword or `=` stands next.
    fn pair(&mut self) -> Result<Pair, ConnInfoError> {
        let offset = self.offset;
        let rest = self.rest();
        let end = rest.find(|c| c == '=' || is_blank(c)).unwrap_or(rest.len());
        let (keyword, _) = rest.split_at(end);
        let error = |problem| ConnInfoError::syntax(self.text, offset, problem);
        if keyword.is_empty() {
            return Err(error(SyntaxProblem::MissingKeyword));
        }
        self.offset += end;
        self.skip_blanks();
        if !self.rest().starts_with('=') {
            return Err(error(SyntaxProblem::MissingEquals));
        }
        self.offset += 1;
        self.skip_blanks();
        let value = self.value()?;
        Ok(Pair { keyword: keyword.to_owned(), value, offset })
    }

    /// Reads a bare or quoted value.
    fn value(&mut self) -> Result<Zeroizing<String>, ConnInfoError> {
        let start = self.offset;
        let quoted = self.rest().starts_with('\'');
        let mut characters = self.rest().char_indices().skip(usize::from(quoted));
        let mut value = Zeroizing::new(String::with_capacity(self.rest().len()));
        let mut end = None;
        while let Some((at, character)) = characters.next() {
            match character {
                // A backslash at the very end stands for nothing.
                '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
                '\'' if quoted => {
                    end = Some(at + 1);
                    break;
                }
                blank if !quoted && is_blank(blank) => {
                    end = Some(at);
                    break;
                }
                other => value.push(other),
            }
        }
        match end {
            Some(end) => self.offset = start + end,
            None if quoted => {
                let problem = SyntaxProblem::UnterminatedQuote;
                return Err(ConnInfoError::syntax(self.text, start, problem));
            }
            None => self.offset = self.text.len(),
        }
        Ok(value)
    }
}

/// The characters that C's `isspace` knows in the C locale.
fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

/// Writes a value so that [`parse`] and libpq read it back: in quotes unless it is a plain word.
pub(super) fn quote(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,@+*".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('\'');
    for character in value.chars() {
        if matches!(character, '\'' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pairs as plain tuples.
    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap().into_iter().map(|p| (p.keyword, p.value.to_string())).collect()
    }

    #[test]
    fn values_follow_the_rules_of_the_manual() {
        // Expected values: PostgreSQL manual, 34.1.1.1, and libpq's behaviour checked with psql 15.
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("", &[]),
            ("  \t\n", &[]),
            ("host=localhost port=5432", &[("host", "localhost"), ("port", "5432")]),
            ("host = localhost", &[("host", "localhost")]),
            ("host\t=\n'local host' ", &[("host", "local host")]),
            ("user='it\\'s'", &[("user", "it's")]),
            ("user='a\\\\b'", &[("user", "a\\b")]),
            ("user=it\\'s", &[("user", "it's")]),
            ("user=a\\ b port=1", &[("user", "a b"), ("port", "1")]),
            ("user=o'neil", &[("user", "o'neil")]),
            ("user=''", &[("user", "")]),
            ("user=", &[("user", "")]),
            // The blanks after "=" are skipped, so the next word is the value.
            ("host= port=5432", &[("host", "port=5432")]),
            ("user=x\\", &[("user", "x")]),
            ("user=a%40b", &[("user", "a%40b")]),
            ("user='a'port=1", &[("user", "a"), ("port", "1")]),
            ("user=a user=b", &[("user", "a"), ("user", "b")]),
            ("user=É password='日 本'", &[("user", "É"), ("password", "日 本")]),
        ];
        for (text, expected) in cases {
            let expected: Vec<_> =
                expected.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            assert_eq!(pairs(text), expected, "{text:?}");
        }
    }

    #[test]
    fn errors_name_the_position_only() {
        let cases = [
            ("host", 1, SyntaxProblem::MissingEquals),
            ("host=a s3cret user=x", 8, SyntaxProblem::MissingEquals),
            ("É=1 = x", 5, SyntaxProblem::MissingKeyword),
            ("password='s3cret", 10, SyntaxProblem::UnterminatedQuote),
            ("password='s3cret\\'", 10, SyntaxProblem::UnterminatedQuote),
        ];
        for (text, position, problem) in cases {
            let error = parse(text).unwrap_err();
            assert_eq!(error, ConnInfoError::Syntax { position, problem }, "{text:?}");
            assert!(!error.to_string().contains("s3cret"));
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails_inside_itself(text in any::<String>()) {
            if let Err(ConnInfoError::Syntax { position, .. }) = parse(&text) {
                prop_assert!(position <= text.chars().count() + 1);
            }
        }

        #[test]
        fn quoted_values_read_back(values in proptest::collection::vec(any::<String>(), 1..4)) {
            let text: Vec<_> = values.iter().map(|v| format!("user={}", quote(v))).collect();
            let read: Vec<_> = pairs(&text.join(" ")).into_iter().map(|(_, v)| v).collect();
            prop_assert_eq!(read, values);
        }
    }
}
