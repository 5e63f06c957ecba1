//! Encodings of a copy: in which one the rows travel, and whose error says that one does not fit.
//!
//! | source | target | the rows travel in | converted by | checked by |
//! |---|---|---|---|---|
//! | UTF8 | UTF8 | UTF8 | nobody | the target |
//! | X | X | X | nobody | the target |
//! | X | UTF8 | UTF8 | the source | the target |
//! | UTF8 | Y | UTF8 | the target | the target |
//! | X | Y | UTF8 | both | both |
//! | SQL_ASCII | not SQL_ASCII | the bytes as they are, taken for UTF8 | the target | the target |
//! | SQL_ASCII | SQL_ASCII | the bytes as they are | nobody | nobody |
//!
//! Between equal encodings nothing may be converted: EUC_JP, WIN1252 and others store characters that
//! UTF8 has no place for, and a way there and back would refuse them.

use crate::base::ident::quote_literal;
use crate::connect::client::Session;

/// SQLSTATEs character_not_in_repertoire and untranslatable_character.
const REFUSED: [&str; 2] = ["22021", "22P05"];

/// The encodings of both databases, as the servers call them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Encodings {
    /// The source's.
    pub(super) source: String,
    /// The target's.
    pub(super) target: String,
}

impl Encodings {
    /// What both servers reported at start-up.
    pub(super) fn of(source: &Session, target: &Session) -> Self {
        let of =
            |session: &Session| session.parameter("server_encoding").unwrap_or("UTF8").to_owned();
        Self { source: of(source), target: of(target) }
    }

    /// Both databases have the same encoding, and our sessions another one.
    fn own(&self) -> Option<&str> {
        let same = self.source == self.target;
        let ours = matches!(self.source.as_str(), "UTF8" | "SQL_ASCII");
        (same && !ours).then_some(self.source.as_str())
    }

    /// The encoding that rows are checked against on their way.
    pub(super) fn wire(&self) -> &str {
        self.own().unwrap_or("UTF8")
    }

    /// The statement that sets the encoding of the rows in the transaction of a COPY; empty where that
    /// of the session is right. What is sent in this transaction afterwards must be plain ASCII.
    pub(super) fn statement(&self) -> String {
        self.own().map_or_else(String::new, |own| {
            format!("set local client_encoding = {}; ", quote_literal(own))
        })
    }
}

/// Whether an end refused a character of a row.
pub fn refused_characters(error: &crate::base::error::Error) -> bool {
    error.sqlstate().is_some_and(|code| REFUSED.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    // trap V-24
    #[test]
    fn rows_are_converted_only_between_different_encodings() {
        let both = |source: &str, target: &str| Encodings {
            source: source.to_owned(),
            target: target.to_owned(),
        };
        for same in ["EUC_JP", "WIN1252", "LATIN1"] {
            let encodings = both(same, same);
            assert_eq!(encodings.wire(), same);
            assert_eq!(encodings.statement(), format!("set local client_encoding = '{same}'; "));
        }
        for (source, target) in [
            ("UTF8", "UTF8"),
            ("LATIN1", "UTF8"),
            ("UTF8", "LATIN1"),
            ("LATIN1", "LATIN9"),
            ("SQL_ASCII", "SQL_ASCII"),
            ("SQL_ASCII", "UTF8"),
            ("LATIN1", "SQL_ASCII"),
        ] {
            let encodings = both(source, target);
            assert_eq!((encodings.wire(), encodings.statement().as_str()), ("UTF8", ""));
        }
    }
}
