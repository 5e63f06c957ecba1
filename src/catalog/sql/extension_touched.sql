-- Functions and columns of extensions that a transaction has written which did nothing else to the
-- extension: what a user may have changed after it was installed. Privileges are left out, they are copied;
-- so are columns with a default, which pg_upgrade sets apart. $1 are names of extensions.
--
-- columns: extension, object
-- since: 10
-- docs: https://www.postgresql.org/docs/current/ddl-system-columns.html
with own as (
    select e.oid, e.extname, e.xmin as written
    from pg_catalog.pg_extension e
    where e.extname = any ($1::pg_catalog.text[])
), part as (
    select o.oid, o.extname, d.classid, d.objid, d.xmin as written
    from own o
    join pg_catalog.pg_depend d
        on d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
        and d.refobjid = o.oid
        and d.deptype = 'e'
), known as (
    select o.oid, o.written from own o
    union
    select p.oid, p.written from part p
)
select t.extname as extension, t.object
from (
    select p.oid, p.extname, i.type || ' ' || i.identity as object, f.xmin as written
    from part p
    join pg_catalog.pg_proc f on f.oid = p.objid
    cross join lateral pg_catalog.pg_identify_object(p.classid, p.objid, 0) as i
    where p.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
        and f.proacl is null
    union all
    select
        p.oid,
        p.extname,
        i.type || ' ' || i.identity || ' column ' || pg_catalog.quote_ident(a.attname),
        a.xmin
    from part p
    join pg_catalog.pg_class c on c.oid = p.objid
    join pg_catalog.pg_attribute a on a.attrelid = c.oid
    cross join lateral pg_catalog.pg_identify_object(p.classid, p.objid, 0) as i
    where p.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
        and c.relkind in ('r', 'p', 'f')
        and a.attnum > 0
        and not a.attisdropped
        and not a.atthasdef
        and a.attacl is null
) t
where not exists (
        select
        from known k
        where k.oid = t.oid
            and k.written = t.written
    )
order by t.extname, t.object
