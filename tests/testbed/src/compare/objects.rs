//! Compares what `pg_dump --schema-only` does not print.
//!
//! Each query prints one line per object: kind, name, properties. The lines of both sides are
//! compared as multisets, so a changed property shows up once for each side.

use std::collections::BTreeMap;

use anyhow::Result;

use super::{Comparison, Difference, Side, both, multiset_diff, session};
use crate::cluster::quote_literal;

/// Compares properties, sequences, large objects and settings; returns how many objects of each
/// kind the source has, and what differs.
///
/// # Errors
/// When a side cannot be read.
pub(super) fn diff(comparison: &Comparison) -> Result<(BTreeMap<String, usize>, Vec<Difference>)> {
    let (source, target) = both(|side| {
        let script = script(comparison, side);
        session::all_lines(comparison.uri(side), &script)
    })?;
    let mut kinds = BTreeMap::new();
    for line in &source {
        let kind = line.split('\t').next().unwrap_or_default();
        *kinds.entry(kind.to_owned()).or_default() += 1;
    }
    Ok((kinds, multiset_diff(source, target)))
}

/// All queries, with the schemas left out and the side's index condition filled in.
fn script(comparison: &Comparison, side: Side) -> String {
    let schemas: Vec<String> =
        comparison.excluded_schemas.iter().map(|name| quote_literal(name)).collect();
    let user_schema = format!(
        "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
         and n.nspname <> all (array[{}]::text[])",
        schemas.join(", ")
    );
    // An invalid index of the source is no part of the data model: pg_dump leaves it out too.
    // On the target it would be a failure.
    let index_condition = match side {
        Side::Source => "(i.indisvalid or c.relkind = 'I')",
        Side::Target => "true",
    };
    QUERIES
        .concat()
        .replace("{user_schema}", &user_schema)
        .replace("{index_condition}", index_condition)
}

/// The queries. `n` is always pg_namespace.
const QUERIES: [&str; 8] =
    [RELATIONS, COLUMNS, INDEXES, CONSTRAINTS, TRIGGERS, SEQUENCES, SETTINGS, LARGE_OBJECTS];

/// Persistence, access method, replica identity, population and row security of relations.
const RELATIONS: &str = "
copy (
  select case c.relkind when 'r' then 'table' when 'p' then 'partitioned table'
                        when 'v' then 'view' when 'm' then 'materialized view'
                        when 'f' then 'foreign table' else 'sequence definition' end,
         n.nspname || '.' || c.relname,
         'persistence ' || c.relpersistence::text, 'access method ' || coalesce(m.amname, ''),
         'replica identity ' || c.relreplident::text, 'populated ' || c.relispopulated,
         'row security ' || c.relrowsecurity || c.relforcerowsecurity
    from pg_class c
         join pg_namespace n on n.oid = c.relnamespace
         left join pg_am m on m.oid = c.relam
   where c.relkind in ('r', 'p', 'm', 'v', 'S', 'f') and c.relpersistence <> 't'
     and {user_schema}
) to stdout;
";

/// Order, type, statistics target, storage and compression of columns, those of indexes too.
///
/// The default statistics target is -1 before version 17, null since.
const COLUMNS: &str = "
copy (
  select 'column', n.nspname || '.' || c.relname || '.' || a.attname,
         'place ' || row_number() over (partition by c.oid order by a.attnum),
         format_type(a.atttypid, a.atttypmod), 'not null ' || a.attnotnull,
         'statistics ' || coalesce(a.attstattarget, -1), 'storage ' || a.attstorage::text,
         'compression ' || a.attcompression::text, 'identity ' || a.attidentity::text,
         'generated ' || a.attgenerated::text,
         'options ' || coalesce((select string_agg(o, ',' order by o) from unnest(a.attoptions) o
                                  where o !~ '^pg_attver='), '')
    from pg_attribute a
         join pg_class c on c.oid = a.attrelid
         join pg_namespace n on n.oid = c.relnamespace
         left join pg_index i on i.indexrelid = c.oid
   where a.attnum > 0 and not a.attisdropped and c.relpersistence <> 't'
     and c.relkind in ('r', 'p', 'm', 'v', 'f', 'i', 'I')
     and (c.relkind not in ('i', 'I') or {index_condition})
     and {user_schema}
) to stdout;
";

/// State of indexes.
const INDEXES: &str = "
copy (
  select 'index', n.nspname || '.' || c.relname, pg_get_indexdef(c.oid),
         'valid ' || i.indisvalid, 'ready ' || i.indisready, 'clustered ' || i.indisclustered,
         'replica identity ' || i.indisreplident, 'primary ' || i.indisprimary,
         'immediate ' || i.indimmediate,
         'tablespace ' || coalesce((select spcname from pg_tablespace s
                                     where s.oid = c.reltablespace), '')
    from pg_index i
         join pg_class c on c.oid = i.indexrelid
         join pg_namespace n on n.oid = c.relnamespace
   where c.relpersistence <> 't' and {index_condition} and {user_schema}
) to stdout;
";

/// State of constraints; version 18 also lists NOT NULL here, which is a column's property above.
const CONSTRAINTS: &str = "
copy (
  select 'constraint', n.nspname || '.' || coalesce(c.relname, t.typname, '') || '.' ||
         -- The server itself names a foreign key's copies for partitions, each version its own way.
         case when k.contype = 'f' and k.conparentid <> 0 then '(copy)' else k.conname end,
         'kind ' || k.contype::text, 'validated ' || k.convalidated, 'deferrable ' || k.condeferrable,
         'deferred ' || k.condeferred, 'local ' || k.conislocal
    from pg_constraint k
         join pg_namespace n on n.oid = k.connamespace
         left join pg_class c on c.oid = k.conrelid
         left join pg_type t on t.oid = k.contypid
   where k.contype <> 'n' and {user_schema}
) to stdout;
";

/// Whether triggers fire.
const TRIGGERS: &str = "
copy (
  select 'trigger', n.nspname || '.' || c.relname || '.' || t.tgname, 'enabled ' || t.tgenabled::text
    from pg_trigger t
         join pg_class c on c.oid = t.tgrelid
         join pg_namespace n on n.oid = c.relnamespace
   where not t.tgisinternal and {user_schema}
) to stdout;
";

/// Position of sequences. Each is a relation of its own, so the queries are made by a query.
const SEQUENCES: &str = r"
select format('copy (select ''sequence'', %L, ''last value '' || last_value,'
              ' ''is called '' || is_called from %I.%I) to stdout',
              n.nspname || '.' || c.relname, n.nspname, c.relname)
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'S' and c.relpersistence <> 't' and {user_schema} \gexec
";

/// Settings of the database, and of roles in it.
const SETTINGS: &str = "
copy (
  select 'database setting', coalesce(r.rolname, ''), unnest(s.setconfig)
    from pg_db_role_setting s left join pg_roles r on r.oid = s.setrole
   where s.setdatabase = (select oid from pg_database where datname = current_database())
) to stdout;
";

/// Owner, privileges, comment, size and content of large objects.
///
/// A page that was never written reads as zeros, so the content is read through `lo_get`, a
/// megabyte at a time, not from the pages. A page holds 2048 bytes (LOBLKSIZE).
const LARGE_OBJECTS: &str = "
copy (
  select 'large object', m.oid, 'owner ' || pg_get_userbyid(m.lomowner),
         'privileges ' || coalesce((select string_agg(a::text, ',' order by a::text)
                                      from unnest(m.lomacl) a), ''),
         'comment ' || coalesce(obj_description(m.oid, 'pg_largeobject'), ''),
         'bytes ' || s.bytes,
         (select md5(string_agg(md5(lo_get(m.oid, at, 1048576)), '' order by at))
            from generate_series(0, s.bytes, 1048576) at)
    from pg_largeobject_metadata m
         cross join lateral (
           select coalesce((select l.pageno * 2048::bigint + length(l.data)
                              from pg_largeobject l where l.loid = m.oid
                             order by l.pageno desc limit 1), 0) as bytes) s
) to stdout;
";
