-- Columns of a table whose values are text or hold text, in the table's order: all but those of types
-- that print ASCII only (numbers, times, addresses, shapes, bits, bytea, uuid).
--
-- params: the table's identifier
-- columns: name
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-type.html
select a.attname
from pg_catalog.pg_attribute a
join pg_catalog.pg_type t on t.oid = a.atttypid
where a.attrelid = $1::pg_catalog.oid
    and a.attnum > 0
    and not a.attisdropped
    and t.typcategory not in ('B', 'D', 'G', 'I', 'N', 'T', 'V')
    and t.oid not in (17, 2950)
order by a.attnum
