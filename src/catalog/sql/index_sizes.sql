-- Bytes on disk of the indexes of ordinary tables and materialized views, read from their files, by
-- identifier. An index that was dropped since the snapshot counts as empty.
--
-- columns: oid, bytes
-- since: 10
-- docs: https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-DBSIZE
select
    x.indexrelid as oid,
    coalesce(pg_catalog.pg_relation_size(x.indexrelid), 0) as bytes
from pg_catalog.pg_index x
join pg_catalog.pg_class c on c.oid = x.indrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm')
    and c.relpersistence <> 't'
    and {user_schema}
order by x.indexrelid
