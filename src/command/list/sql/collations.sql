-- Collations other than the default that indexes, the database itself and columns of tables use, with
-- the object that uses each, by name.
--
-- columns: oid, name, object
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-collation.html
with used (collation_oid, classid, objid, objsubid) as (
    select k.collation_oid, 'pg_catalog.pg_class'::pg_catalog.regclass::oid, i.indexrelid, 0
      from pg_catalog.pg_index i
     cross join pg_catalog.unnest(i.indcollation) as k (collation_oid)
    union
    select a.attcollation, 'pg_catalog.pg_class'::pg_catalog.regclass::oid, a.attrelid,
           a.attnum::integer
      from pg_catalog.pg_attribute a
     where a.attnum > 0 and not a.attisdropped
    union
    select c.oid, 'pg_catalog.pg_database'::pg_catalog.regclass::oid, d.oid, 0
      from pg_catalog.pg_database d
      join pg_catalog.pg_collation c on c.collname = d.datcollate
     where d.datname = pg_catalog.current_database()
       and c.collencoding in (-1, d.encoding)
)
select
    c.oid,
    c.collname as name,
    pg_catalog.pg_describe_object(u.classid, u.objid, u.objsubid) as object
from used u
join pg_catalog.pg_collation c on c.oid = u.collation_oid
left join pg_catalog.pg_class r
  on u.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and r.oid = u.objid
left join pg_catalog.pg_namespace n on n.oid = r.relnamespace
where c.collname <> 'default'
  and (r.oid is null
       or (n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
           and r.relkind in ('r', 'p', 'm', 'f', 'i', 'I')))
order by c.collname, c.oid, u.classid, u.objid, u.objsubid
