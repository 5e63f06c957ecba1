-- Primary key, unique, exclusion and foreign-key constraints of the relations of tables.sql, by
-- identifier. The definition is null for a constraint that was dropped since the snapshot.
--
-- columns: oid, name, kind, table_oid, index_oid, referenced_oid, definition, deferrable, deferred,
--          validated, parent, temporal, enforced, local
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-constraint.html
select
    con.oid,
    con.conname as name,
    con.contype as kind,
    con.conrelid as table_oid,
    nullif(con.conindid, 0) as index_oid,
    nullif(con.confrelid, 0) as referenced_oid,
    pg_catalog.pg_get_constraintdef(con.oid) as definition,
    con.condeferrable as deferrable,
    con.condeferred as deferred,
    con.convalidated as validated,
    nullif({conparentid}, 0) as parent,
    {conperiod} as temporal,
    {conenforced} as enforced,
    con.conislocal and con.coninhcount = 0 as local
from pg_catalog.pg_constraint con
join pg_catalog.pg_class c on c.oid = con.conrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where con.contype in ('p', 'u', 'x', 'f')
    and c.relkind in ('r', 'p', 'm', 'f')
    and c.relpersistence <> 't'
    and {user_schema}
order by con.oid
