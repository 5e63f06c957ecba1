//! SQLSTATE codes: five characters that say what an error is.
//!
//! Only the codes that the program acts on have names here. What each means for retrying is decided
//! in one place of the root crate (invariant A11), not here.
//! Source: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.

use std::fmt;

/// A SQLSTATE: five digits or upper-case letters, the first two of which are the class.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SqlState([u8; 5]);

impl SqlState {
    /// Stands in where the server sent none or an invalid one: `?????`, which no server sends.
    pub const MISSING: Self = Self(*b"?????");

    /// Reads a code; `None` unless it is five digits or upper-case letters.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let code: [u8; 5] = bytes.try_into().ok()?;
        code.iter().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()).then_some(Self(code))
    }

    /// The five characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("?????")
    }

    /// The class: the first two characters.
    #[must_use]
    pub fn class(&self) -> &str {
        self.as_str().get(..2).unwrap_or("??")
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqlState({self})")
    }
}

/// Defines the named codes, and for the tests the list of all of them.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        impl SqlState {
            $($(#[$doc])* pub const $name: Self = Self(*$code);)*
        }

        #[cfg(test)]
        const NAMED: &[SqlState] = &[$(SqlState::$name),*];
    };
}

codes! {
    /// Nothing went wrong.
    SUCCESSFUL_COMPLETION = b"00000";
    /// The connection failed in an unspecified way.
    CONNECTION_EXCEPTION = b"08000";
    /// The client could not establish the connection.
    SQLCLIENT_UNABLE_TO_ESTABLISH_CONNECTION = b"08001";
    /// The connection does not exist.
    CONNECTION_DOES_NOT_EXIST = b"08003";
    /// The server rejected the connection.
    SQLSERVER_REJECTED_CONNECTION = b"08004";
    /// The connection broke.
    CONNECTION_FAILURE = b"08006";
    /// The server did not understand what was sent.
    PROTOCOL_VIOLATION = b"08P01";
    /// The server does not have this feature.
    FEATURE_NOT_SUPPORTED = b"0A000";
    /// Bytes are not valid in the database's encoding.
    CHARACTER_NOT_IN_REPERTOIRE = b"22021";
    /// A character has no equivalent in the target encoding.
    UNTRANSLATABLE_CHARACTER = b"22P05";
    /// COPY input is malformed.
    BAD_COPY_FILE_FORMAT = b"22P04";
    /// A value is not text of its type.
    INVALID_TEXT_REPRESENTATION = b"22P02";
    /// A value is not the binary form of its type.
    INVALID_BINARY_REPRESENTATION = b"22P03";
    /// NULL in a column that forbids it.
    NOT_NULL_VIOLATION = b"23502";
    /// A foreign key has no partner.
    FOREIGN_KEY_VIOLATION = b"23503";
    /// A duplicate key.
    UNIQUE_VIOLATION = b"23505";
    /// A check constraint does not hold.
    CHECK_VIOLATION = b"23514";
    /// Another transaction is active.
    ACTIVE_SQL_TRANSACTION = b"25001";
    /// A write in a read-only transaction: a standby, or `default_transaction_read_only`.
    READ_ONLY_SQL_TRANSACTION = b"25006";
    /// A statement after a failed one in the same transaction.
    IN_FAILED_SQL_TRANSACTION = b"25P02";
    /// The session was idle in a transaction for too long and was ended.
    IDLE_IN_TRANSACTION_SESSION_TIMEOUT = b"25P03";
    /// The user may not log in this way (no `pg_hba.conf` entry, no such role).
    INVALID_AUTHORIZATION_SPECIFICATION = b"28000";
    /// Wrong password.
    INVALID_PASSWORD = b"28P01";
    /// The database does not exist.
    INVALID_CATALOG_NAME = b"3D000";
    /// The schema does not exist.
    INVALID_SCHEMA_NAME = b"3F000";
    /// Serializable or repeatable read transactions got in each other's way.
    SERIALIZATION_FAILURE = b"40001";
    /// A deadlock was resolved at our expense.
    DEADLOCK_DETECTED = b"40P01";
    /// The role lacks a privilege.
    INSUFFICIENT_PRIVILEGE = b"42501";
    /// The SQL is malformed.
    SYNTAX_ERROR = b"42601";
    /// The name is too long.
    NAME_TOO_LONG = b"42622";
    /// The column exists already.
    DUPLICATE_COLUMN = b"42701";
    /// The column does not exist.
    UNDEFINED_COLUMN = b"42703";
    /// The object does not exist.
    UNDEFINED_OBJECT = b"42704";
    /// The object exists already.
    DUPLICATE_OBJECT = b"42710";
    /// The function does not exist.
    UNDEFINED_FUNCTION = b"42883";
    /// The table does not exist.
    UNDEFINED_TABLE = b"42P01";
    /// The database exists already.
    DUPLICATE_DATABASE = b"42P04";
    /// The schema exists already.
    DUPLICATE_SCHEMA = b"42P06";
    /// The relation exists already.
    DUPLICATE_TABLE = b"42P07";
    /// The definition of a table contradicts the command.
    INVALID_TABLE_DEFINITION = b"42P16";
    /// The disk is full.
    DISK_FULL = b"53100";
    /// The server ran out of memory.
    OUT_OF_MEMORY = b"53200";
    /// All connections are taken.
    TOO_MANY_CONNECTIONS = b"53300";
    /// A limit of the server's configuration is reached.
    CONFIGURATION_LIMIT_EXCEEDED = b"53400";
    /// Something is too large or too complex for the server.
    PROGRAM_LIMIT_EXCEEDED = b"54000";
    /// The row or the table has too many columns.
    TOO_MANY_COLUMNS = b"54011";
    /// The object is not in the state that the command needs.
    OBJECT_NOT_IN_PREREQUISITE_STATE = b"55000";
    /// The object is in use: a replication slot with an active consumer.
    OBJECT_IN_USE = b"55006";
    /// A lock could not be had at once, or within `lock_timeout`.
    LOCK_NOT_AVAILABLE = b"55P03";
    /// The statement was cancelled, by a person or by `statement_timeout`.
    QUERY_CANCELED = b"57014";
    /// An administrator ended the session.
    ADMIN_SHUTDOWN = b"57P01";
    /// A server process crashed and all sessions were ended.
    CRASH_SHUTDOWN = b"57P02";
    /// The server is starting up, shutting down or recovering.
    CANNOT_CONNECT_NOW = b"57P03";
    /// The database was dropped.
    DATABASE_DROPPED = b"57P04";
    /// The session was idle for too long and was ended.
    IDLE_SESSION_TIMEOUT = b"57P05";
    /// The server could not read or write a file.
    IO_ERROR = b"58030";
    /// A file is missing on the server.
    UNDEFINED_FILE = b"58P01";
    /// An exported snapshot is gone, or too old.
    SNAPSHOT_TOO_OLD = b"72000";
    /// `RAISE` in a function.
    RAISE_EXCEPTION = b"P0001";
    /// A fault inside the server.
    INTERNAL_ERROR = b"XX000";
    /// A damaged page.
    DATA_CORRUPTED = b"XX001";
    /// A damaged index.
    INDEX_CORRUPTED = b"XX002";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_code_is_valid_and_unique() {
        let mut seen = std::collections::BTreeSet::new();
        for code in NAMED {
            assert_eq!(SqlState::parse(code.as_str().as_bytes()), Some(*code));
            assert!(seen.insert(*code), "{code} is there twice");
        }
    }

    #[test]
    fn class_is_the_first_two_characters() {
        assert_eq!(SqlState::INVALID_PASSWORD.class(), "28");
        assert_eq!(SqlState::PROTOCOL_VIOLATION.class(), "08");
        assert_eq!(SqlState::INTERNAL_ERROR.class(), "XX");
    }

    #[test]
    fn anything_but_five_digits_or_capitals_is_refused() {
        for bytes in [b"".as_slice(), b"2850", b"285000", b"28p01", b"28 01", b"?????", b"28P0\xff"]
        {
            assert_eq!(SqlState::parse(bytes), None);
        }
    }
}
