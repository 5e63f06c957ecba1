-- Which table owns each sequence, and which column default reads it; 0 for none. One row per default.
--
-- columns: oid, owned_by (table), default_table, default_oid (pg_attrdef)
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-depend.html
select
    c.oid,
    coalesce((
        select o.refobjid
          from pg_catalog.pg_depend o
         where o.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and o.objid = c.oid
           and o.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
           and o.deptype in ('a', 'i') and o.refobjsubid > 0
         order by o.refobjid limit 1), 0) as owned_by,
    coalesce(a.adrelid, 0) as default_table,
    coalesce(a.oid, 0) as default_oid
from pg_catalog.pg_class c
left join pg_catalog.pg_depend d
  on d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = c.oid
 and d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
left join pg_catalog.pg_attrdef a on a.oid = d.objid
where c.relkind = 'S'
order by c.oid, a.oid
