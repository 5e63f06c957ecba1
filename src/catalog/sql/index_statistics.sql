-- Statistics targets set on columns of indexes (ALTER INDEX … ALTER COLUMN … SET STATISTICS), by index
-- and column. The default is null from version 17, -1 before.
--
-- columns: index_oid, number, target
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-attribute.html
select
    a.attrelid as index_oid,
    a.attnum as number,
    a.attstattarget as target
from pg_catalog.pg_attribute a
join pg_catalog.pg_class c on c.oid = a.attrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where a.attnum > 0
    and a.attstattarget >= 0
    and c.relkind in ('i', 'I')
    and c.relpersistence <> 't'
    and {user_schema}
order by a.attrelid, a.attnum
