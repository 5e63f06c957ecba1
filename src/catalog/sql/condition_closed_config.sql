-- Configuration tables and sequences of extensions that our role may not write, by name.
--
-- columns: schema, name
-- since: 10
-- docs: https://www.postgresql.org/docs/current/extend-extensions.html#EXTEND-EXTENSIONS-CONFIG-TABLES
select
    n.nspname as schema,
    c.relname as name
from pg_catalog.pg_extension e
cross join lateral pg_catalog.unnest(e.extconfig) as x (oid)
join pg_catalog.pg_class c on c.oid = x.oid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where not (
        pg_catalog.has_schema_privilege(n.oid, 'usage')
        and case
            when c.relkind in ('r', 'p') then pg_catalog.has_table_privilege(c.oid, 'insert')
            when c.relkind = 'S'
            then pg_catalog.has_sequence_privilege(c.oid, 'select')
                and pg_catalog.has_sequence_privilege(c.oid, 'update')
            else true
        end
    )
order by n.nspname, c.relname
