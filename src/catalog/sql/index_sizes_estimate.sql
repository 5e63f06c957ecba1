-- Bytes on disk of the indexes of ordinary tables and materialized views as the last VACUUM or
-- ANALYZE counted them, by identifier: no file is touched and no lock is waited for.
--
-- columns: oid, bytes
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-class.html
select
    x.indexrelid as oid,
    greatest(ic.relpages, 0)::pg_catalog.int8
        * pg_catalog.current_setting('block_size')::pg_catalog.int8 as bytes
from pg_catalog.pg_index x
join pg_catalog.pg_class ic on ic.oid = x.indexrelid
join pg_catalog.pg_class c on c.oid = x.indrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm')
    and c.relpersistence <> 't'
    and {user_schema}
order by x.indexrelid
