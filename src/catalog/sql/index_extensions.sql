-- Extensions that indexes depend on (ALTER INDEX … DEPENDS ON EXTENSION), by index and name.
--
-- columns: index_oid, extension
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-depend.html
select
    d.objid as index_oid,
    e.extname as extension
from pg_catalog.pg_depend d
join pg_catalog.pg_extension e on e.oid = d.refobjid
join pg_catalog.pg_class c on c.oid = d.objid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
    and d.deptype = 'x'
    and c.relkind in ('i', 'I')
    and c.relpersistence <> 't'
    and {user_schema}
order by d.objid, e.extname
