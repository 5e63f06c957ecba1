-- Schemas whose name matches a pattern of a filter file.
-- $1 pattern.
--
-- columns: oid
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-namespace.html
select n.oid
  from pg_catalog.pg_namespace n
 where n.nspname::pg_catalog.text operator(pg_catalog.~) $1::pg_catalog.text
 order by n.oid
