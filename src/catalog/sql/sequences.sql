-- Sequences of the user, by identifier, with the table that owns them (OWNED BY or identity).
--
-- Temporary sequences are left out. One that is gone by now counts as readable, so that reading it
-- finds out.
--
-- columns: oid, schema, name, owned_by, may_select, extension
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-sequence.html
select
    c.oid,
    n.nspname as schema,
    c.relname as name,
    o.refobjid as owned_by,
    coalesce(
        pg_catalog.has_schema_privilege(n.oid, 'usage')
            and pg_catalog.has_sequence_privilege(c.oid, 'select'),
        true
    ) as may_select,
    e.extname as extension
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_depend o
    on o.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and o.objid = c.oid
    and o.objsubid = 0
    and o.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and o.refobjsubid > 0
    and o.deptype in ('a', 'i')
left join pg_catalog.pg_depend d
    on d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and d.objid = c.oid
    and d.objsubid = 0
    and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
    and d.deptype = 'e'
left join pg_catalog.pg_extension e on e.oid = d.refobjid
where c.relkind = 'S'
    and c.relpersistence <> 't'
    and {user_schema}
order by c.oid
