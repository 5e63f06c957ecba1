//! The catalog queries of a schema comparison: one `.sql` file per family of objects.
//!
//! The first seven columns say what the object is: kind, schema, name, name of the table it belongs
//! to, catalog, identifier there, identifier of that table. Each further column is a property, and its
//! name is the one that people see.
//!
//! `{name}` and `{name(arguments)}` in a file are filled in by [`statement`]: with what differs between
//! versions, and with what many files share. To add a property: one column. To add a family: a file and
//! its line in [`FAMILIES`].

use std::cmp::min;

use crate::base::error::{Error, Result};

/// Columns in front of the properties.
pub(super) const IDENTITY_COLUMNS: usize = 7;

/// A family of objects, read by one query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Family {
    /// Name of the file under `compare/schema/sql/`.
    pub(super) name: &'static str,
    /// Its text.
    pub(super) sql: &'static str,
    /// Objects of different kinds may have the same name.
    pub(super) by_kind: bool,
}

/// Declares the families.
macro_rules! families {
    ($($name:literal $(by $kind:ident)?,)*) => {
        /// Every family, in the order in which differences are reported.
        pub(super) const FAMILIES: &[Family] = &[$(Family {
            name: $name,
            sql: include_str!(concat!("sql/", $name, ".sql")),
            by_kind: families!(@ $($kind)?),
        }),*];
    };
    (@ kind) => { true };
    (@) => { false };
}

families! {
    "extensions",
    "schemas",
    "types",
    "collations",
    "functions",
    "relations",
    "columns",
    "constraints",
    "indexes",
    "sequences",
    "triggers",
    "rules",
    "policies",
    "statistics",
    "default_privileges",
    "publications",
    "event_triggers",
    "foreign" by kind,
    "others" by kind,
}

/// Versions of the server that is asked and of the other one, as `server_version_num`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Versions {
    /// Of the server that is asked.
    pub(super) own: u32,
    /// Of the other one.
    pub(super) other: u32,
}

/// Whose version decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// That of the server asked: the catalogs differ, the meaning does not.
    Own,
    /// The older of both: what only one of them can say is not compared.
    Older,
}

/// A spot that depends on a version: what stands there from each version on, newest first.
struct Gate {
    name: &'static str,
    whose: Whose,
    texts: &'static [(u32, &'static str)],
}

/// Every spot that depends on a version.
const GATES: &[Gate] = &[
    Gate {
        name: "user_schema",
        whose: Whose::Own,
        texts: &[(
            0,
            "left(n.nspname::text, 3) <> 'pg_' \
                      and n.nspname not in ('information_schema', 'pgcopydb')",
        )],
    },
    Gate {
        name: "access_method",
        whose: Whose::Own,
        texts: &[(120_000, "am.amname"), (0, "case when c.relkind in ('r', 'm') then 'heap' end")],
    },
    Gate {
        name: "attgenerated",
        whose: Whose::Own,
        texts: &[(120_000, "a.attgenerated::text"), (0, "''::text")],
    },
    Gate {
        name: "attcompression",
        whose: Whose::Older,
        texts: &[(140_000, "nullif(a.attcompression::text, '')"), (0, "null::text")],
    },
    // NOT NULL became a constraint with a name in 18.
    Gate {
        name: "not_null_constraints",
        whose: Whose::Older,
        texts: &[(180_000, "'n'"), (0, "'p'")],
    },
    Gate { name: "conparentid", whose: Whose::Own, texts: &[(110_000, "k.conparentid"), (0, "0")] },
    Gate {
        name: "prokind",
        whose: Whose::Own,
        texts: &[
            (110_000, "p.prokind"),
            (0, "case when p.proisagg then 'a' when p.proiswindow then 'w' else 'f' end"),
        ],
    },
    Gate {
        name: "sqlbody",
        whose: Whose::Own,
        texts: &[(140_000, "pg_get_function_sqlbody(p.oid)"), (0, "null::text")],
    },
    Gate { name: "tgparentid", whose: Whose::Own, texts: &[(130_000, "t.tgparentid"), (0, "0")] },
    Gate {
        name: "stxstattarget",
        whose: Whose::Own,
        texts: &[(130_000, "coalesce(s.stxstattarget, -1)"), (0, "-1")],
    },
    Gate {
        name: "pubtruncate",
        whose: Whose::Older,
        texts: &[(110_000, "p.pubtruncate"), (0, "false")],
    },
    Gate {
        name: "pubviaroot",
        whose: Whose::Older,
        texts: &[(130_000, "p.pubviaroot"), (0, "null::text")],
    },
    Gate {
        name: "pub_table",
        whose: Whose::Own,
        texts: &[
            (
                150_000,
                "concat(r.prrelid::regclass::text, ' (' || (select string_agg(\
                 quote_ident(a.attname), ', ' order by a.attname) from pg_catalog.pg_attribute a \
                 where a.attrelid = r.prrelid and a.attnum = any (r.prattrs)) || ')', \
                 ' where ' || pg_get_expr(r.prqual, r.prrelid))",
            ),
            (0, "r.prrelid::regclass::text"),
        ],
    },
    Gate {
        name: "pub_schemas",
        whose: Whose::Own,
        texts: &[
            (
                150_000,
                "(select string_agg(quote_ident(n.nspname), ', ' order by n.nspname) \
                 from pg_catalog.pg_publication_namespace x \
                 join pg_catalog.pg_namespace n on n.oid = x.pnnspid where x.pnpubid = p.oid)",
            ),
            (0, "null::text"),
        ],
    },
    Gate {
        name: "colllocale",
        whose: Whose::Own,
        texts: &[
            (170_000, "coalesce(c.colllocale, concat_ws(' ', c.collcollate, c.collctype))"),
            (150_000, "coalesce(c.colliculocale, concat_ws(' ', c.collcollate, c.collctype))"),
            (
                0,
                "case when c.collprovider = 'i' then c.collcollate::text \
                 else concat_ws(' ', c.collcollate, c.collctype) end",
            ),
        ],
    },
    Gate {
        name: "collisdeterministic",
        whose: Whose::Own,
        texts: &[(120_000, "c.collisdeterministic"), (0, "true")],
    },
    Gate {
        name: "collicurules",
        whose: Whose::Own,
        texts: &[(160_000, "c.collicurules"), (0, "null::text")],
    },
    // 17 gives owners MAINTAIN.
    Gate {
        name: "maintain",
        whose: Whose::Older,
        texts: &[(170_000, "true"), (0, "e.privilege_type <> 'MAINTAIN'")],
    },
];

/// The statement of a family for a server.
///
/// # Errors
/// `Internal` for a spot that nobody fills; a test keeps that from happening.
pub(super) fn statement(family: &Family, versions: Versions) -> Result<String> {
    let is_header = |line: &&str| line.starts_with("--");
    let header: usize = family.sql.split_inclusive('\n').take_while(is_header).map(str::len).sum();
    fill(family.sql.get(header..).unwrap_or_default().trim_end(), versions)
}

/// Fills the spots of a text.
fn fill(text: &str, versions: Versions) -> Result<String> {
    let mut filled = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let (spot, after) = after
            .split_once('}')
            .ok_or_else(|| Error::internal("a catalog query has an open brace without its end"))?;
        filled.push_str(&expand(spot, versions)?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The text for a spot.
fn expand(spot: &str, versions: Versions) -> Result<String> {
    let unknown = || Error::internal(format!("{{{spot}}} of a catalog query has no text"));
    if let Some((name, arguments)) = spot.split_once('(') {
        let arguments: Vec<&str> =
            arguments.trim_end_matches(')').split(',').map(str::trim).collect();
        return match (name, arguments.as_slice()) {
            ("owner", [role]) => Ok(format!("pg_get_userbyid({role})::text")),
            // Late minors of 15 keep an internal option on columns (D-43).
            ("options", [list]) => Ok(format!(
                "(select string_agg(o, ', ' order by o collate \"C\") from unnest({list}) as o \
                 where o !~ '^pg_attver=')"
            )),
            ("free", [catalog, oid]) => Ok(format!(
                "not exists (select from pg_catalog.pg_depend as member \
                 where member.classid = 'pg_catalog.{catalog}'::regclass \
                 and member.objid = {oid} and member.deptype = 'e')"
            )),
            ("acl", [list, kind, owner]) => fill(&acl(list, kind, owner), versions),
            _ => Err(unknown()),
        };
    }
    let gate = GATES.iter().find(|gate| gate.name == spot).ok_or_else(unknown)?;
    let version = match gate.whose {
        Whose::Own => versions.own,
        Whose::Older => min(versions.own, versions.other),
    };
    let text = gate.texts.iter().find(|(since, _)| version >= *since).ok_or_else(unknown)?;
    Ok(text.1.to_owned())
}

/// An access control list as text: the one in effect, so that no list and the default one are equal.
/// `PUBLIC has SELECT from owner; reader has SELECT* from owner`, with `*` for the grant option.
fn acl(list: &str, kind: &str, owner: &str) -> String {
    // A column without privileges of its own has an empty default.
    format!(
        "(select string_agg(g.line, '; ' order by g.line collate \"C\") from (\
         select case e.grantee when 0 then 'PUBLIC' else pg_get_userbyid(e.grantee) end \
         || ' has ' || string_agg(e.privilege_type || case when e.is_grantable then '*' else '' end, \
         ' ' order by e.privilege_type) || ' from ' || pg_get_userbyid(e.grantor) as line \
         from aclexplode(coalesce({list}, acldefault('{kind}', {owner}))) as e \
         where {{maintain}} group by e.grantee, e.grantor) as g)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spot_is_filled_for_every_pair_of_versions() {
        for family in FAMILIES {
            for own in [100_000, 110_000, 120_000, 130_000, 140_000, 150_000, 170_000, 180_000] {
                for other in [100_000, 180_000] {
                    let sql = statement(family, Versions { own, other }).expect(family.name);
                    assert!(!sql.contains(['{', '}']), "{}", family.name);
                    assert!(sql.starts_with("select"), "{}", family.name);
                }
            }
        }
    }

    #[test]
    fn every_gate_is_used() {
        let texts: String = FAMILIES.iter().map(|family| family.sql).collect();
        let texts = format!("{texts}{}", acl("a", "r", "o"));
        for gate in GATES {
            assert!(texts.contains(&format!("{{{}}}", gate.name)), "{}", gate.name);
        }
    }

    #[test]
    fn what_one_server_cannot_say_is_not_asked_of_the_other() {
        let sql = |own, other| expand("attcompression", Versions { own, other }).unwrap();
        assert_eq!(sql(180_000, 130_000), "null::text");
        assert!(sql(180_000, 140_000).contains("attcompression"));
    }
}
