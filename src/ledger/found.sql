-- Whether the target holds a ledger, and whether its schema holds what is not ours instead.
-- What change data capture keeps (follow, follow_table) outlives the ledger.
-- Columns: has_run, is_foreign.
-- Minimum server version: 10.
-- Source: https://www.postgresql.org/docs/current/catalog-pg-class.html
select coalesce(pg_catalog.bool_or(c.relname = 'run'), false),
       -- An empty schema of the name is nobody's that we know.
       pg_catalog.count(n.oid) > 0
           and not coalesce(pg_catalog.bool_or(c.relname in ('run', 'follow', 'follow_table')), false)
  from (select 1) as one
  left join pg_catalog.pg_namespace as n on n.nspname = 'pgcopydb'
  left join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relkind = 'r'
