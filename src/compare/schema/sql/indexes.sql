-- Indexes.
--
-- columns: kind, schema, object, parent, catalog, oid, parent_oid, then one per property, named as people see it
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-index.html
select
    'index' as kind, n.nspname as schema, format('%I.%I', n.nspname, c.relname) as object,
    format('%I.%I', tn.nspname, t.relname) as parent,
    1259 as catalog, c.oid, t.oid as parent_oid,
    pg_get_indexdef(c.oid) as definition,
    i.indisprimary as "primary",
    i.indisunique as "unique",
    i.indimmediate as immediate,
    i.indisvalid as valid,
    i.indisclustered as clustered,
    i.indisreplident as "replica identity",
    ts.spcname as tablespace,
    (select h.inhparent::regclass::text from pg_catalog.pg_inherits h where h.inhrelid = c.oid)
        as "attached to",
    (select string_agg(a.attnum || ': ' || a.attstattarget, ', ' order by a.attnum)
        from pg_catalog.pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and a.attstattarget >= 0) as "statistics targets",
    (select string_agg(e.extname, ', ' order by e.extname) from pg_catalog.pg_depend d
        join pg_catalog.pg_extension e on e.oid = d.refobjid
        where d.classid = 1259 and d.objid = c.oid and d.refclassid = 3079 and d.deptype = 'x')
        as "depends on extensions",
    obj_description(c.oid, 'pg_class') as comment
from pg_catalog.pg_index i
join pg_catalog.pg_class c on c.oid = i.indexrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_class t on t.oid = i.indrelid
join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
left join pg_catalog.pg_tablespace ts on ts.oid = c.reltablespace
where c.relpersistence <> 't' and {user_schema} and {free(pg_class, t.oid)}
order by 3
