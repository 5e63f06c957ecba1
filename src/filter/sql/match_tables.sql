-- Tables, partitioned tables, materialized views and foreign tables that a rule of a filter file
-- names, at least one of the two names by pattern.
-- $1 schema or null, $2 schema pattern or null, $3 name or null, $4 name pattern or null.
--
-- columns: oid
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-class.html
select c.oid
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace
 where c.relkind in ('r', 'p', 'm', 'f')
   and ($1::pg_catalog.text is null or n.nspname::pg_catalog.text operator(pg_catalog.=) $1)
   and ($2::pg_catalog.text is null or n.nspname::pg_catalog.text operator(pg_catalog.~) $2)
   and ($3::pg_catalog.text is null or c.relname::pg_catalog.text operator(pg_catalog.=) $3)
   and ($4::pg_catalog.text is null or c.relname::pg_catalog.text operator(pg_catalog.~) $4)
 order by c.oid
