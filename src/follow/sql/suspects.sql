-- Columns of tables ($1: their oids) whose type has values that JSON has no word for: NaN and the
-- infinities of real, double precision and numeric.
--
-- columns: schema, table, column
-- since: 10
-- docs: https://www.postgresql.org/docs/current/datatype-numeric.html
select
    n.nspname,
    c.relname,
    a.attname
from pg_catalog.pg_attribute a
join pg_catalog.pg_class c on c.oid = a.attrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where a.attrelid = any ($1::pg_catalog.oid[])
    and c.relkind = 'r'
    and a.attnum > 0
    and not a.attisdropped
    and not a.attnotnull
    and a.atttypid in (700, 701, 1700)
order by 1, 2, 3
