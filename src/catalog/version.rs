//! What differs between server versions in the catalog queries.
//!
//! There is one way to deal with a difference: a `{placeholder}` in the `.sql` file, and one row in
//! [`GATES`] that says which expression stands there from which version on, and which one before. A
//! query that needs more than another expression becomes a file of its own, chosen in `fetch`.
//!
//! To add one: put `{name}` into the query, add the row. `every_placeholder_has_a_gate` fails until
//! both exist.

use std::borrow::Cow;

use crate::base::error::{Error, ErrorKind, Result, Side};

/// Oldest server whose catalogs the queries fit.
///
/// Identity columns, `relispartition` and `pg_sequence` came with version 10.
pub const VERSION_MIN: u32 = 100_000;

/// One spot where a catalog query differs between versions.
#[derive(Debug)]
struct Gate {
    /// Name between the braces.
    placeholder: &'static str,
    /// First `server_version_num` with [`Gate::then`].
    since: u32,
    /// The expression from then on.
    then: &'static str,
    /// The expression before.
    before: &'static str,
}

/// Every spot where a catalog query differs between versions, and the text that several share.
const GATES: &[Gate] = &[
    // Shared text: schemas of the user. "pg_" is reserved for the server's own, temporary ones
    // included; "pgcopydb" holds our ledger.
    Gate {
        placeholder: "user_schema",
        since: 0,
        then: "pg_catalog.left(n.nspname::pg_catalog.text, 3) <> 'pg_' \
               and n.nspname not in ('information_schema', 'pgcopydb')",
        before: "",
    },
    // Shared text: functions that are no members of extensions.
    Gate {
        placeholder: "own_function",
        since: 0,
        then: "not exists (select from pg_catalog.pg_depend e \
               where e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass \
               and e.objid = p.oid and e.deptype = 'e')",
        before: "",
    },
    Gate { placeholder: "conparentid", since: 110_000, then: "con.conparentid", before: "0" },
    Gate {
        placeholder: "indnkeyatts",
        since: 110_000,
        then: "x.indnkeyatts",
        before: "x.indnatts",
    },
    Gate { placeholder: "attgenerated", since: 120_000, then: "a.attgenerated", before: "''" },
    Gate { placeholder: "relhasoids", since: 120_000, then: "false", before: "c.relhasoids" },
    Gate {
        placeholder: "table_access_method",
        since: 120_000,
        then: "am.amname",
        before: "case when c.relkind in ('r', 'm') then 'heap' end",
    },
    // From 14 on -1 says "never counted", and 0 is a count.
    Gate {
        placeholder: "row_estimate",
        since: 140_000,
        then: "nullif(c.reltuples, -1)::pg_catalog.float8",
        before: "case when c.relpages > 0 then c.reltuples::pg_catalog.float8 end",
    },
    Gate {
        placeholder: "rngmultitypid",
        since: 140_000,
        then: "r.rngmultitypid",
        before: "0::pg_catalog.oid",
    },
    Gate { placeholder: "extension_trusted", since: 130_000, then: "v.trusted", before: "false" },
    Gate {
        placeholder: "prosqlbody",
        since: 140_000,
        then: "p.prosqlbody",
        before: "null::pg_catalog.text",
    },
    Gate { placeholder: "attcompression", since: 140_000, then: "a.attcompression", before: "''" },
    Gate {
        placeholder: "datcollversion",
        since: 150_000,
        then: "d.datcollversion",
        before: "null::pg_catalog.text",
    },
    Gate {
        placeholder: "datcollversion_actual",
        since: 150_000,
        then: "pg_catalog.pg_database_collation_actual_version(d.oid)",
        before: "null::pg_catalog.text",
    },
    // A member without the SET option of version 16 may not give objects to the role.
    Gate { placeholder: "set_role", since: 160_000, then: "'set'", before: "'member'" },
    Gate {
        placeholder: "database_provider",
        since: 150_000,
        then: "d.datlocprovider",
        before: "'c'",
    },
    Gate {
        placeholder: "database_locale",
        since: 150_000,
        // The column was renamed in 17; a row as JSON has whatever name there is.
        then: "coalesce(pg_catalog.to_jsonb(d) ->> 'datlocale', \
               pg_catalog.to_jsonb(d) ->> 'daticulocale')",
        before: "null",
    },
    Gate { placeholder: "database_rules", since: 160_000, then: "d.daticurules", before: "null" },
    Gate { placeholder: "conperiod", since: 180_000, then: "con.conperiod", before: "false" },
    Gate { placeholder: "conenforced", since: 180_000, then: "con.conenforced", before: "true" },
];

/// Refuses a server that is older than the queries.
///
/// # Errors
/// Class `Unsupported`, naming the version found and the oldest one that will do.
pub fn check(side: Side, version: u32, version_text: &str) -> Result<()> {
    if version >= VERSION_MIN {
        return Ok(());
    }
    let text = format!(
        "server version {version_text} is too old, expected {} or newer",
        VERSION_MIN / 10_000
    );
    Err(Error::new(side, ErrorKind::Unsupported(text)))
}

/// Fills the placeholders of a catalog query for a server version (`server_version_num`).
///
/// # Errors
/// Class `Internal` for a placeholder without a gate; a test keeps that from happening.
pub(super) fn adapt(sql: &str, version: u32) -> Result<Cow<'_, str>> {
    if !sql.contains('{') {
        return Ok(Cow::Borrowed(sql));
    }
    let mut adapted = String::with_capacity(sql.len() + 256);
    let mut rest = sql;
    while let Some((text, after)) = rest.split_once('{') {
        adapted.push_str(text);
        let (name, after) = after
            .split_once('}')
            .ok_or_else(|| Error::internal("a catalog query has an open brace without its end"))?;
        let gate = GATES.iter().find(|gate| gate.placeholder == name).ok_or_else(|| {
            Error::internal(format!("placeholder {{{name}}} of a catalog query has no gate"))
        })?;
        adapted.push_str(if version >= gate.since { gate.then } else { gate.before });
        rest = after;
    }
    adapted.push_str(rest);
    Ok(Cow::Owned(adapted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::query::ALL;

    #[test]
    fn every_placeholder_has_a_gate() {
        for query in ALL {
            for version in [100_000, 110_000, 120_000, 130_000, 140_000, 150_000, 160_000, 180_000]
            {
                let sql = adapt(query.sql, version).expect(query.file);
                assert!(!sql.contains(['{', '}']), "{}", query.file);
            }
        }
    }

    #[test]
    fn every_gate_is_used() {
        for gate in GATES {
            let placeholder = format!("{{{}}}", gate.placeholder);
            assert!(ALL.iter().any(|query| query.sql.contains(&placeholder)), "{placeholder}");
        }
    }

    #[test]
    fn gate_opens_at_its_version() {
        assert_eq!(adapt("{relhasoids}", 119_999).unwrap(), "c.relhasoids");
        assert_eq!(adapt("a {relhasoids} b", 120_000).unwrap(), "a false b");
    }

    #[test]
    fn unknown_placeholder_is_refused() {
        assert!(adapt("{nope}", 180_000).is_err());
        assert!(adapt("{relhasoids", 180_000).is_err());
    }

    #[test]
    fn too_old_server_is_named() {
        let error = check(Side::Source, 90_624, "9.6.24").unwrap_err();
        assert_eq!(
            error.to_string(),
            "source: server version 9.6.24 is too old, expected 10 or newer"
        );
        assert!(check(Side::Source, 100_000, "10.0").is_ok());
    }
}
