-- Schemas of the user, by identifier.
--
-- columns: oid, name, owner, extension
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-namespace.html
select
    n.oid,
    n.nspname as name,
    pg_catalog.pg_get_userbyid(n.nspowner) as owner,
    e.extname as extension
from pg_catalog.pg_namespace n
left join pg_catalog.pg_depend d
    on d.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
    and d.objid = n.oid
    and d.objsubid = 0
    and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
    and d.deptype = 'e'
left join pg_catalog.pg_extension e on e.oid = d.refobjid
where {user_schema}
order by n.oid
