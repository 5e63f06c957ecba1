-- Bytes on disk of tables and materialized views as the last VACUUM or ANALYZE counted them, by
-- identifier: no file is touched and no lock is waited for. TOAST tables are included.
--
-- columns: oid, heap_bytes, bytes
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-class.html
select
    c.oid,
    greatest(c.relpages, 0)::pg_catalog.int8 * b.bytes as heap_bytes,
    (greatest(c.relpages, 0)::pg_catalog.int8 + coalesce(greatest(t.relpages, 0), 0)) * b.bytes
        as bytes
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_class t on t.oid = c.reltoastrelid
cross join (
    select pg_catalog.current_setting('block_size')::pg_catalog.int8 as bytes
) b
where c.relkind in ('r', 'm')
    and c.relpersistence <> 't'
    and {user_schema}
order by c.oid
