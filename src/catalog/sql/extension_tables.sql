-- Ordinary tables of extensions that our role may read and whose rows are the extension's at least in
-- part, with the condition of those that are the user's (null: all are the extension's), by extension and
-- name. $1 are names of extensions. Left out are those that keep in such tables what they make anew on
-- the target when they are called there.
--
-- columns: extension, object, schema, name, condition
-- since: 10
-- docs: https://www.postgresql.org/docs/current/extend-extensions.html#EXTEND-EXTENSIONS-CONFIG-TABLES
select
    e.extname as extension,
    i.type || ' ' || i.identity as object,
    n.nspname as schema,
    c.relname as name,
    e.extcondition[pg_catalog.array_position(e.extconfig, c.oid)] as condition
from pg_catalog.pg_extension e
join pg_catalog.pg_depend d
    on d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
    and d.refobjid = e.oid
    and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and d.deptype = 'e'
join pg_catalog.pg_class c on c.oid = d.objid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
cross join lateral pg_catalog.pg_identify_object(d.classid, d.objid, 0) as i
where e.extname = any ($1::pg_catalog.text[])
    and e.extname not in ('citus', 'timescaledb')
    and c.relkind = 'r'
    and pg_catalog.has_schema_privilege(n.oid, 'usage')
    and pg_catalog.has_table_privilege(c.oid, 'select')
    and not c.relrowsecurity
    and not (
        pg_catalog.array_position(e.extconfig, c.oid) is not null
        and coalesce(e.extcondition[pg_catalog.array_position(e.extconfig, c.oid)], '') = ''
    )
order by e.extname, n.nspname, c.relname
