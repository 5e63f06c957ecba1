-- Extended statistics.
--
-- columns: kind, schema, object, parent, catalog, oid, parent_oid, then one per property, named as people see it
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-statistic-ext.html
select
    'statistics' as kind, n.nspname as schema, format('%I.%I', n.nspname, s.stxname) as object,
    s.stxrelid::regclass::text as parent, 3381 as catalog, s.oid, s.stxrelid as parent_oid,
    {owner(s.stxowner)} as owner,
    pg_get_statisticsobjdef(s.oid) as definition,
    {stxstattarget} as target,
    obj_description(s.oid, 'pg_statistic_ext') as comment
from pg_catalog.pg_statistic_ext s
join pg_catalog.pg_namespace n on n.oid = s.stxnamespace
where {user_schema} and {free(pg_statistic_ext, s.oid)}
order by 3
