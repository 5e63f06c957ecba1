-- What depends on the members of extensions, by extension and description. $1 are names.
--
-- columns: extension, dependent
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-depend.html
select distinct
    e.extname as extension,
    pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) as dependent
from pg_catalog.pg_extension e
join pg_catalog.pg_depend m
    on m.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
    and m.refobjid = e.oid
    and m.deptype = 'e'
join pg_catalog.pg_depend d
    on d.refclassid = m.classid
    and d.refobjid = m.objid
    and d.deptype in ('n', 'a')
    -- Parts of the extension's own operator families.
    and d.classid not in (
        'pg_catalog.pg_amop'::pg_catalog.regclass,
        'pg_catalog.pg_amproc'::pg_catalog.regclass
    )
where e.extname = any ($1::pg_catalog.text[])
    and not exists (
        select
        from pg_catalog.pg_depend o
        where o.classid = d.classid
            and o.objid = d.objid
            and o.deptype in ('e', 'i')
    )
order by e.extname, dependent
