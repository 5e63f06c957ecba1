-- Collations.
--
-- columns: kind, schema, object, parent, catalog, oid, parent_oid, then one per property, named as people see it
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-collation.html
select
    'collation' as kind, n.nspname as schema, format('%I.%I', n.nspname, c.collname) as object,
    null as parent, 3456 as catalog, c.oid, 0 as parent_oid,
    {owner(c.collowner)} as owner,
    c.collprovider as provider,
    {colllocale} as locale,
    {collisdeterministic} as deterministic,
    {collicurules} as rules,
    obj_description(c.oid, 'pg_collation') as comment
from pg_catalog.pg_collation c
join pg_catalog.pg_namespace n on n.oid = c.collnamespace
where {user_schema} and {free(pg_collation, c.oid)}
order by 3
