//! Database properties: settings of the database, and of roles in it (P-8).
//!
//! They change how sessions behave, so they are the last thing that a clone does. None is worth a
//! failed run: what the target refuses is a finding with the statement.

use crate::base::error::Result;
use crate::base::ident::{quote_identifier, quote_literal};
use crate::base::summary::{Finding, Severity};
use crate::connect::client::Session;

/// Settings of the current database: role or NULL for all roles, and `name=value`, in stored order.
///
/// A role's entry goes away with the role, so none is missing in `pg_roles`.
const SQL: &str = "select r.rolname, c.setting \
    from pg_catalog.pg_db_role_setting s \
    join pg_catalog.pg_database d on d.oid = s.setdatabase \
    left join pg_catalog.pg_roles r on r.oid = s.setrole \
    cross join lateral pg_catalog.unnest(s.setconfig) with ordinality as c (setting, position) \
    where d.datname = pg_catalog.current_database() and (s.setrole = 0 or r.oid is not null) \
    order by r.rolname nulls first, c.position";

/// Settings whose value is a list of quoted names: each element is a value of its own, and the list as
/// one value would be one odd name.
///
/// No extension may define such a setting, so the list is complete.
/// Source: `GUC_LIST_QUOTE` in `src/backend/utils/misc/guc_tables.c`, versions 10 to 18.
const QUOTED_LISTS: [&str; 6] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

/// A setting of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Property {
    /// The role that it is for; `None` is every role.
    role: Option<String>,
    /// Name of the setting.
    name: String,
    /// Value, as stored.
    value: String,
}

impl Property {
    /// The statement that makes it, in a database.
    fn sql(&self, database: &str) -> String {
        let database = quote_identifier(database);
        let whose = match &self.role {
            Some(role) => format!("role {} in database {database}", quote_identifier(role)),
            None => format!("database {database}"),
        };
        let name = quote_identifier(&self.name);
        format!("alter {whose} set {name} to {}", value_sql(&self.name, &self.value))
    }
}

/// The value of a setting as SQL.
fn value_sql(name: &str, value: &str) -> String {
    let is_list = QUOTED_LISTS.iter().any(|list| list.eq_ignore_ascii_case(name));
    match elements(value).filter(|elements| is_list && !elements.is_empty()) {
        Some(elements) => {
            let literals: Vec<String> = elements.iter().map(|text| quote_literal(text)).collect();
            literals.join(", ")
        }
        None => quote_literal(value),
    }
}

/// Splits a stored list by the server's rules: elements are separated by commas and spaces; those in
/// double quotes hold anything, a quote doubled. `None` when it is no such list.
fn elements(list: &str) -> Option<Vec<String>> {
    let mut elements = Vec::new();
    let mut rest = list.trim_start();
    while !rest.is_empty() {
        let mut element = String::new();
        if let Some(mut quoted) = rest.strip_prefix('"') {
            loop {
                let (part, after) = quoted.split_once('"')?;
                element.push_str(part);
                rest = after;
                let Some(more) = after.strip_prefix('"') else { break };
                element.push('"');
                quoted = more;
            }
        } else {
            let end = rest.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(rest.len());
            let (part, after) = rest.split_at(end);
            element.push_str(part);
            rest = after;
        }
        elements.push(element);
        rest = rest.trim_start();
        if !rest.is_empty() {
            rest = rest.strip_prefix(',')?.trim_start();
        }
    }
    Some(elements)
}

/// Reads the properties of the database that a session is connected to.
///
/// # Errors
/// The server's.
pub(super) async fn read(source: &mut Session) -> Result<Vec<Property>> {
    let rows = source.query(SQL, &[]).await.map_err(|e| e.during("read database properties"))?;
    let mut properties = Vec::with_capacity(rows.rows.len());
    for row in &rows.rows {
        let Some((name, value)) = row.text(1)?.split_once('=') else { continue };
        properties.push(Property {
            role: row.optional_text(0)?.map(str::to_owned),
            name: name.to_owned(),
            value: value.to_owned(),
        });
    }
    Ok(properties)
}

/// Gives the properties to a database. Returns a finding for each that the server refuses.
///
/// # Errors
/// Only when the session is lost. Not cancel safe.
pub(super) async fn apply(
    target: &mut Session,
    database: &str,
    properties: &[Property],
) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for property in properties {
        let sql = property.sql(database);
        let Err(error) = target.execute(&sql).await else { continue };
        if target.is_broken() || error.as_server().is_none() {
            return Err(error.during("set database properties"));
        }
        findings.push(Finding {
            severity: Severity::Warning,
            object: match &property.role {
                Some(role) => {
                    format!("setting {} of role {}", property.name, quote_identifier(role))
                }
                None => format!("setting {} of the database", property.name),
            },
            reason: error.to_string(),
            hint: Some(format!("Run `{sql}` on the target where it is wanted.")),
        });
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A setting of every role.
    fn of_all(name: &str, value: &str) -> Property {
        Property { role: None, name: name.into(), value: value.into() }
    }

    #[test]
    fn lists_of_names_are_quoted_by_element() {
        for (stored, sql) in [
            ("\"$user\", public", "'$user', 'public'"),
            ("\"a,b\",\"c\"\"d\" , e", "'a,b', 'c\"d', 'e'"),
            ("\"it's\"", "'it''s'"),
            ("\"\"", "''"),
            ("", "''"),
            ("\"\"\"\", \"back\\slash\"", "'\"', E'back\\\\slash'"),
        ] {
            assert_eq!(value_sql("search_path", stored), sql, "{stored}");
            assert_eq!(value_sql("Search_Path", stored), sql, "{stored}");
        }
    }

    #[test]
    fn values_that_are_no_list_of_names_stay_whole() {
        for (name, stored, sql) in [
            ("DateStyle", "ISO, DMY", "'ISO, DMY'"),
            ("app.tenant", "a,\"b\"", "'a,\"b\"'"),
            ("search_path", "\"open", "'\"open'"),
            ("search_path", "a b", "'a b'"),
        ] {
            assert_eq!(value_sql(name, stored), sql, "{name} {stored}");
        }
    }

    #[test]
    fn statements_name_the_role_and_the_target_database() {
        let all = of_all("app.x", "1=2");
        assert_eq!(all.sql("D\"b"), "alter database \"D\"\"b\" set \"app.x\" to '1=2'");
        let one = Property { role: Some("Joe".into()), ..all };
        assert_eq!(one.sql("d"), "alter role \"Joe\" in database \"d\" set \"app.x\" to '1=2'");
    }
}
