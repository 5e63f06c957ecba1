//! Functions that look for names on the `search_path` while an index is built or a table analyzed (D-11).
//!
//! Our sessions have an empty one, as those of `pg_restore`, so that nobody's object takes the place of a
//! built-in one. What then misses a name is done once more with the source's own. From version 17 on the
//! server itself looks in `pg_catalog` only, whatever the session has: there only the function can be
//! changed.

use crate::base::error::{Error, Result};
use crate::base::ident::quote_literal;
use crate::connect::client::Session;

/// What can be done about a function that still misses a name.
pub(super) const HINT: &str = "A function that it calls looks for a name on the search_path; from version \
    17 on the server looks in pg_catalog only. ALTER FUNCTION … SET search_path = …; on the source and on \
    the target, then run the same command again.";

/// Whether a name was not found: undefined_function, undefined_table, undefined_object,
/// invalid_schema_name.
pub(super) fn misses_a_name(error: &Error) -> bool {
    matches!(error.sqlstate(), Some("42883" | "42P01" | "42704" | "3F000"))
}

/// Gives a session this `search_path`; empty is what our sessions have.
///
/// # Errors
/// Only when the session is lost.
pub(super) async fn look_in(search_path: &str, session: &mut Session) -> Result<()> {
    let path = quote_literal(search_path);
    let sql = format!("select pg_catalog.set_config('search_path', {path}, false)");
    session.execute(&sql).await.map(drop)
}
