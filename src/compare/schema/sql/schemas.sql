-- Schemas of the user.
--
-- columns: kind, schema, object, parent, catalog, oid, parent_oid, then one per property, named as people see it
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-namespace.html
select
    'schema' as kind, n.nspname as schema, quote_ident(n.nspname) as object, null as parent,
    2615 as catalog, n.oid, 0 as parent_oid,
    {owner(n.nspowner)} as owner,
    {acl(n.nspacl, n, n.nspowner)} as privileges,
    obj_description(n.oid, 'pg_namespace') as comment
from pg_catalog.pg_namespace n
where {user_schema} and {free(pg_namespace, n.oid)}
order by 3
