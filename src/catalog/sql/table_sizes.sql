-- Bytes on disk of tables and materialized views, read from their files, by identifier.
--
-- A table that was dropped since the snapshot has no size any more and counts as empty. The functions
-- open each relation, so they wait for an ACCESS EXCLUSIVE lock of another session.
--
-- columns: oid, heap_bytes, bytes
-- since: 10
-- docs: https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-DBSIZE
select
    c.oid,
    coalesce(pg_catalog.pg_relation_size(c.oid), 0) as heap_bytes,
    coalesce(pg_catalog.pg_table_size(c.oid), 0) as bytes
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm')
    and c.relpersistence <> 't'
    and {user_schema}
order by c.oid
