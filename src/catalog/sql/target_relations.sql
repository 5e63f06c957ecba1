-- Tables, views and sequences that exist on a target before anything is created, by schema and name;
-- members of extensions left out.
--
-- columns: schema, name, kind
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-class.html
select
    n.nspname as schema,
    c.relname as name,
    c.relkind as kind
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'm', 'f', 'v', 'S')
    and c.relpersistence <> 't'
    and {user_schema}
    and not exists (
        select
        from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
            and d.objid = c.oid
            and d.objsubid = 0
            and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
            and d.deptype = 'e'
    )
order by n.nspname, c.relname
