-- Columns of the relations of tables.sql, by relation and number; dropped and system columns left out.
--
-- columns: table_oid, number, name, type_oid, type_name, not_null, generated, identity
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-attribute.html
select
    a.attrelid as table_oid,
    a.attnum as number,
    a.attname as name,
    a.atttypid as type_oid,
    pg_catalog.format_type(a.atttypid, a.atttypmod) as type_name,
    a.attnotnull as not_null,
    {attgenerated} as generated,
    a.attidentity as identity
from pg_catalog.pg_attribute a
join pg_catalog.pg_class c on c.oid = a.attrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where a.attnum > 0
    and not a.attisdropped
    and c.relkind in ('r', 'p', 'm', 'f')
    and c.relpersistence <> 't'
    and {user_schema}
order by a.attrelid, a.attnum
