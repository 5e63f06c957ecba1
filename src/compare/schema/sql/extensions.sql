-- Extensions.
--
-- columns: kind, schema, object, parent, catalog, oid, parent_oid, then one per property, named as people see it
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-extension.html
select
    'extension' as kind, null as schema, quote_ident(e.extname) as object, null as parent,
    3079 as catalog, e.oid, 0 as parent_oid,
    e.extversion as version,
    n.nspname as schema,
    obj_description(e.oid, 'pg_extension') as comment
from pg_catalog.pg_extension e
join pg_catalog.pg_namespace n on n.oid = e.extnamespace
order by 3
