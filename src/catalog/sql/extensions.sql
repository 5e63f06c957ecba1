-- Extensions, by identifier.
--
-- columns: oid, name, version, schema
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-extension.html
select
    e.oid,
    e.extname as name,
    e.extversion as version,
    n.nspname as schema
from pg_catalog.pg_extension e
join pg_catalog.pg_namespace n on n.oid = e.extnamespace
order by e.oid
