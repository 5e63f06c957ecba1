//! The catalog queries: one `.sql` file each, and how their rows are read.
//!
//! A file starts with a header of comment lines: what it returns, `columns:` with the names in order,
//! `since:` with the oldest server version, `docs:` with a link. Messages about a bad value take the
//! column's name from there.
//!
//! To add one: write the file, add its constant and its place in `ALL`, and a function in `rows`.

use std::str::FromStr;

use crate::base::error::{Error, ErrorKind, Result, Side};
use crate::catalog::model::Oid;
use crate::catalog::version;
use crate::connect::client::{Row, Session};

/// A catalog query.
#[derive(Debug)]
pub(super) struct Query {
    /// File name under `catalog/sql/`.
    pub(super) file: &'static str,
    /// Its text, placeholders not yet filled.
    pub(super) sql: &'static str,
}

/// Declares the queries as constants and the list of them all.
macro_rules! queries {
    ($($name:ident = $file:literal,)*) => {
        $(
            #[doc = concat!("`", $file, "`; see the file's header.")]
            pub(super) const $name: Query =
                Query { file: $file, sql: include_str!(concat!("sql/", $file)) };
        )*
        /// Every query, for tests.
        #[cfg(test)]
        pub(super) const ALL: &[Query] = &[$($name),*];
    };
}

queries! {
    AVAILABLE_EXTENSIONS = "available_extensions.sql",
    COLUMNS = "columns.sql",
    CONDITION_ACCESS_METHODS = "condition_access_methods.sql",
    CONDITION_CLOSED_CONFIG = "condition_closed_config.sql",
    CONDITION_CLOSED_SCHEMAS = "condition_closed_schemas.sql",
    CONDITION_COLLATIONS = "condition_collations.sql",
    CONDITION_DEPENDENTS = "condition_dependents.sql",
    CONDITION_EVENT_TRIGGERS = "condition_event_triggers.sql",
    CONDITION_LOST_FEATURES = "condition_lost_features.sql",
    CONDITION_OWNERS = "condition_owners.sql",
    CONDITION_PARTITIONS = "condition_partitions.sql",
    CONDITION_ROLES = "condition_roles.sql",
    CONDITION_ROW_SECURITY = "condition_row_security.sql",
    CONDITION_SEARCH_PATH = "condition_search_path.sql",
    CONDITION_SOURCE = "condition_source.sql",
    CONDITION_SUPERUSER = "condition_superuser.sql",
    CONDITION_TABLESPACES = "condition_tablespaces.sql",
    CONDITION_TARGET = "condition_target.sql",
    CONDITION_TARGET_COLLATIONS = "condition_target_collations.sql",
    CONDITION_TARGET_EXTENSIONS = "condition_target_extensions.sql",
    CONDITION_TARGET_ROLES = "condition_target_roles.sql",
    CONDITION_TRANSACTIONS = "condition_transactions.sql",
    CONSTRAINTS = "constraints.sql",
    DATABASES = "databases.sql",
    EXTENSIONS = "extensions.sql",
    EXTENSION_CONFIG = "extension_config.sql",
    EXTENSION_MEMBERS = "extension_members.sql",
    EXTENSION_TABLES = "extension_tables.sql",
    EXTENSION_TOUCHED = "extension_touched.sql",
    INDEXES = "indexes.sql",
    INDEX_EXTENSIONS = "index_extensions.sql",
    INDEX_SIZES = "index_sizes.sql",
    INDEX_SIZES_ESTIMATE = "index_sizes_estimate.sql",
    INDEX_STATISTICS = "index_statistics.sql",
    KEY_HISTOGRAM = "key_histogram.sql",
    LARGE_OBJECTS = "large_objects.sql",
    ROLES = "roles.sql",
    SCHEMAS = "schemas.sql",
    SEQUENCES = "sequences.sql",
    SEQUENCE_ACCESS = "sequence_access.sql",
    SEQUENCE_DATA = "sequence_data.sql",
    SEQUENCE_USERS = "sequence_users.sql",
    SERVER = "server.sql",
    SYSTEM_IDENTIFIER = "system_identifier.sql",
    TABLES = "tables.sql",
    TABLESPACES = "tablespaces.sql",
    TABLE_SIZES = "table_sizes.sql",
    TABLE_SIZES_ESTIMATE = "table_sizes_estimate.sql",
    TARGET_RELATIONS = "target_relations.sql",
    TARGET_SCHEMAS = "target_schemas.sql",
    TRY_REPLICATION_ROLE = "try_replication_role.sql",
    TYPES = "types.sql",
}

impl Query {
    /// Names of the columns, from the header.
    fn columns(&self) -> impl Iterator<Item = &'static str> {
        let start = self.sql.find("-- columns:").map_or(self.sql.len(), |at| at + 11);
        let list = self.sql.get(start..).unwrap_or_default();
        let list = list.split_once("-- since:").map_or("", |(list, _)| list);
        list.split([',', '\n'])
            .map(|name| name.trim_matches([' ', '-']))
            .filter(|name| !name.is_empty())
    }

    /// The statement for a server version, without its header.
    fn statement(&self, version: u32) -> Result<String> {
        let is_header = |line: &&str| line.starts_with("--");
        let header: usize =
            self.sql.split_inclusive('\n').take_while(is_header).map(str::len).sum();
        let body = self.sql.get(header..).unwrap_or_default().trim_end();
        Ok(version::adapt(body, version)?.into_owned())
    }

    /// Runs the query and hands each row to `read` as it arrives.
    ///
    /// Not cancel safe: a dropped future leaves the session in the middle of the result.
    ///
    /// # Errors
    /// The server's, with a hint when a statement timeout cancelled it; those of `read`. Both name
    /// the file.
    pub(super) async fn each(
        &self,
        params: &[Option<&str>],
        server: ServerVersion,
        session: &mut Session,
        mut read: impl FnMut(&mut Fields<'_>) -> Result<()> + Send,
    ) -> Result<()> {
        let sql = self.statement(server.0)?;
        let side = session.side();
        let result = session
            .query_each(&sql, params, |row| {
                read(&mut Fields { query: self, side, row: &row, next: 0 })
            })
            .await;
        result.map_err(|error| {
            explain_timeout(error, session).during(format!("read catalog with {}", self.file))
        })
    }

    /// Runs a query that returns exactly one row.
    ///
    /// # Errors
    /// Those of [`Query::each`]; class `Internal` when there is no row.
    pub(super) async fn one<T: Send>(
        &self,
        params: &[Option<&str>],
        server: ServerVersion,
        session: &mut Session,
        mut read: impl FnMut(&mut Fields<'_>) -> Result<T> + Send,
    ) -> Result<T> {
        let mut found = None;
        let keep = |fields: &mut Fields<'_>| read(fields).map(|value| found = Some(value));
        self.each(params, server, session, keep).await?;
        found.ok_or_else(|| Error::internal(format!("catalog query {} has no row", self.file)))
    }
}

/// `server_version_num`, to choose the form of a query.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServerVersion(pub(super) u32);

impl ServerVersion {
    /// The major version that the server reported when the session started, as
    /// `server_version_num` of its first release; the oldest known one where it reported none, since
    /// that form of a query fits all.
    pub(super) fn of(session: &Session) -> Self {
        match session.version() {
            0 => Self(version::VERSION_MIN),
            version => Self(version),
        }
    }
}

/// Identifiers as text of an SQL array, for a bound parameter.
pub(super) fn oid_array(oids: impl IntoIterator<Item = Oid>) -> String {
    let oids: Vec<String> = oids.into_iter().map(|oid| oid.to_string()).collect();
    format!("{{{}}}", oids.join(","))
}

/// Adds a hint to an error that a statement timeout caused: which setting of which role.
///
/// Our sessions switch the timeout off when they start; a pooler or a cloud's own rule may set it
/// again. SQLSTATE 57014 is a user's request too, which the message tells apart (in English only: any
/// other text gets the hint as well).
pub(super) fn explain_timeout(error: Error, session: &Session) -> Error {
    let ErrorKind::Server(server) = error.kind() else { return error };
    if server.sqlstate != "57014" || server.message.ends_with("user request") {
        return error;
    }
    let role = session.parameter("session_authorization").unwrap_or("ours");
    let role = crate::base::ident::quote_identifier(role);
    error.hint(format!(
        "The setting statement_timeout of the session cancelled it. \
         Run \"alter role {role} set statement_timeout = 0\" and try again."
    ))
}

/// Reads the columns of one row, first to last.
///
/// An error names the query's file, the column and the value found.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    query: &'a Query,
    side: Side,
    row: &'a Row,
    next: usize,
}

impl<'a> Fields<'a> {
    /// The next column as text, `None` for NULL.
    pub(super) fn optional_text(&mut self) -> Result<Option<&'a str>> {
        let index = self.next;
        self.next += 1;
        self.row.optional_text(index).map_err(|_| self.no_text(index))
    }

    /// The next column as text; NULL is an error.
    pub(super) fn text(&mut self) -> Result<&'a str> {
        let index = self.next;
        self.next += 1;
        match self.row.optional_text(index) {
            Ok(Some(text)) => Ok(text),
            Ok(None) => Err(self.broken(index, "is null")),
            Err(_) => Err(self.no_text(index)),
        }
    }

    /// The next column as an owned text.
    pub(super) fn string(&mut self) -> Result<String> {
        self.text().map(str::to_owned)
    }

    /// The next column as an owned text, `None` for NULL.
    pub(super) fn optional_string(&mut self) -> Result<Option<String>> {
        Ok(self.optional_text()?.map(str::to_owned))
    }

    /// The next column, parsed.
    pub(super) fn parse<T: FromStr>(&mut self) -> Result<T> {
        self.parse_optional()?.ok_or_else(|| self.broken(self.next - 1, "is null"))
    }

    /// The next column, parsed, `None` for NULL.
    pub(super) fn parse_optional<T: FromStr>(&mut self) -> Result<Option<T>> {
        let index = self.next;
        let Some(text) = self.optional_text()? else { return Ok(None) };
        match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => {
                let problem = format!("has the unexpected value \"{text}\"");
                Err(self.broken(index, &problem))
            }
        }
    }

    /// The next column as a boolean.
    pub(super) fn flag(&mut self) -> Result<bool> {
        self.code(|text| match text {
            "t" => Some(true),
            "f" => Some(false),
            _ => None,
        })
    }

    /// The next column, a one-letter code or the like, through a table.
    pub(super) fn code<T>(&mut self, decode: impl FnOnce(&str) -> Option<T>) -> Result<T> {
        let index = self.next;
        let text = self.text()?;
        if let Some(value) = decode(text) {
            return Ok(value);
        }
        let problem = format!("has the unexpected value \"{text}\"");
        Err(self.broken(index, &problem))
    }

    /// The next column, numbers between spaces; NULL is none.
    pub(super) fn list<T: FromStr>(&mut self) -> Result<Vec<T>> {
        let index = self.next;
        let text = self.optional_text()?.unwrap_or_default();
        let parsed: Result<Vec<T>, _> = text.split_ascii_whitespace().map(str::parse).collect();
        match parsed {
            Ok(values) => Ok(values),
            Err(_) => {
                let problem = format!("has the unexpected value \"{text}\"");
                Err(self.broken(index, &problem))
            }
        }
    }

    /// An error about a column whose bytes are no text: a database of encoding SQL_ASCII takes any.
    fn no_text(&self, index: usize) -> Error {
        let name = self.query.columns().nth(index).unwrap_or("unknown");
        let text =
            format!("column {name} of {} holds a name that is no UTF-8 text", self.query.file);
        Error::new(self.side, ErrorKind::Unsupported(text)).hint(
            "Rename the object: names of a database of encoding SQL_ASCII must be UTF-8 here.",
        )
    }

    /// An error about a column.
    fn broken(&self, index: usize, problem: &str) -> Error {
        let name = self.query.columns().nth(index).unwrap_or("unknown");
        Error::internal(format!("column {name} of {} {problem}", self.query.file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_complete() {
        for query in ALL {
            assert!(query.sql.starts_with("-- "), "{}", query.file);
            assert!(query.columns().count() > 0, "{}", query.file);
            let since =
                query.sql.split_once("\n-- since: ").and_then(|(_, rest)| rest.lines().next());
            let since: u32 = since.and_then(|text| text.parse().ok()).expect(query.file);
            assert!((10..=18).contains(&since), "{}", query.file);
            assert!(query.sql.contains("\n-- docs: https://www.postgresql.org/"), "{}", query.file);
            assert!(query.sql.contains("\norder by ") || query.sql.contains("set_config"));
        }
    }

    #[test]
    fn columns_come_from_the_header() {
        let columns: Vec<_> = SEQUENCES.columns().collect();
        assert_eq!(columns, ["oid", "schema", "name", "owned_by", "may_select", "extension"]);
        assert_eq!(SERVER.columns().last(), Some("search_path"));
    }

    #[test]
    fn identifiers_become_an_array() {
        assert_eq!(oid_array([7, Oid::MAX]), "{7,4294967295}");
        assert_eq!(oid_array([]), "{}");
    }

    #[test]
    fn values_that_do_not_fit_name_file_and_column() {
        let row = Row::new(vec![Some(b"x".to_vec()), None, Some(b"\xff".to_vec())]);
        let fields = || Fields { query: &SEQUENCES, side: Side::Source, row: &row, next: 0 };
        let text = |error: Error| error.to_string();
        assert!(
            text(fields().parse::<u32>().unwrap_err())
                .ends_with("column oid of sequences.sql has the unexpected value \"x\"")
        );
        assert!(text(fields().flag().unwrap_err()).contains("column oid of sequences.sql"));
        assert!(text(fields().list::<u32>().unwrap_err()).contains("column oid of sequences.sql"));
        let mut fields = fields();
        assert_eq!(fields.text().unwrap(), "x");
        assert!(
            text(fields.parse::<u32>().unwrap_err())
                .ends_with("column schema of sequences.sql is null")
        );
        assert_eq!(
            text(fields.text().unwrap_err()),
            "source: column name of sequences.sql holds a name that is no UTF-8 text"
        );
    }

    #[test]
    fn statements_lose_their_header() {
        for query in ALL {
            let sql = query.statement(180_000).expect(query.file);
            assert!(sql.starts_with("select") || sql.starts_with("with "), "{}", query.file);
        }
    }
}
