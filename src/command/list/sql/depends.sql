-- Everything that depends on given tables, through any number of steps, with the table it hangs on.
--
-- params: tables (array)
-- columns: schema, name (of the table), catalog, object, type, identity
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-depend.html
with recursive dependent (root, classid, objid) as (
    select s.oid, 'pg_catalog.pg_class'::pg_catalog.regclass::oid, s.oid
      from pg_catalog.unnest($1::oid[]) as s (oid)
    union
    select g.root, t.classid, t.objid
      from dependent g
      join pg_catalog.pg_depend d
        on d.refclassid = g.classid and d.refobjid = g.objid and d.deptype in ('n', 'a', 'i')
      left join pg_catalog.pg_rewrite r
        on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and r.oid = d.objid
      -- A view goes with its rule.
     cross join lateral (
           select case when r.rulename = '_RETURN'
                       then 'pg_catalog.pg_class'::pg_catalog.regclass::oid else d.classid end,
                  case when r.rulename = '_RETURN' then r.ev_class else d.objid end
           ) as t (classid, objid)
     where not exists (
           select
             from pg_catalog.pg_depend e
            where e.classid = t.classid and e.objid = t.objid and e.deptype = 'e')
)
select
    n.nspname as schema,
    c.relname as name,
    g.classid as catalog,
    g.objid as object,
    i.type,
    i.identity
from dependent g
join pg_catalog.pg_class c on c.oid = g.root
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
cross join lateral pg_catalog.pg_identify_object(g.classid, g.objid, 0) as i
where (g.classid, g.objid) <> ('pg_catalog.pg_class'::pg_catalog.regclass::oid, g.root)
order by n.nspname, c.relname, g.classid, g.objid
