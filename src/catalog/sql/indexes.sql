-- Indexes of the relations of tables.sql, partitioned and invalid ones included, by identifier.
--
-- The definition is null for an index that was dropped since the snapshot; reading it opens the
-- table, so it waits for an ACCESS EXCLUSIVE lock of another session. Key columns are table
-- column numbers, 0 for an expression, followed by INCLUDE columns from position key_count on.
--
-- columns: oid, schema, name, table_oid, definition, primary, unique, valid, partitioned, parent,
--          replica_identity, clustered, key_count, columns, partial, tablespace, constraint_oid,
--          access_method
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-index.html
select
    x.indexrelid as oid,
    n.nspname as schema,
    ic.relname as name,
    x.indrelid as table_oid,
    pg_catalog.pg_get_indexdef(x.indexrelid) as definition,
    x.indisprimary as primary,
    x.indisunique as unique,
    x.indisvalid and x.indisready and x.indislive as valid,
    ic.relkind = 'I' as partitioned,
    h.inhparent as parent,
    x.indisreplident as replica_identity,
    x.indisclustered as clustered,
    {indnkeyatts} as key_count,
    x.indkey as columns,
    x.indpred is not null as partial,
    ts.spcname as tablespace,
    con.oid as constraint_oid,
    am.amname as access_method
from pg_catalog.pg_index x
join pg_catalog.pg_class ic on ic.oid = x.indexrelid
join pg_catalog.pg_am am on am.oid = ic.relam
join pg_catalog.pg_class c on c.oid = x.indrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_inherits h on h.inhrelid = x.indexrelid
left join pg_catalog.pg_tablespace ts on ts.oid = ic.reltablespace
left join pg_catalog.pg_constraint con
    on con.conrelid = x.indrelid
    and con.conindid = x.indexrelid
    and con.contype in ('p', 'u', 'x')
where c.relkind in ('r', 'p', 'm', 'f')
    and c.relpersistence <> 't'
    and {user_schema}
order by x.indexrelid
