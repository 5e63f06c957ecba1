-- Primary key, unique, exclusion and foreign-key constraints of the relations of tables.sql, by
-- identifier.
--
-- The definition is null for a constraint that went with a table or an index since the snapshot:
-- pg_get_constraintdef() finds the constraint's row under the snapshot, looks its index up in the
-- present catalog, and fails the whole query. A privilege function says whether a relation is still
-- there: it gives null when not.
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
    case
        when pg_catalog.has_table_privilege(con.conrelid, 'select') is not null
            and (
                con.conindid = 0
                or pg_catalog.has_table_privilege(con.conindid, 'select') is not null
            )
            and (
                con.confrelid = 0
                or pg_catalog.has_table_privilege(con.confrelid, 'select') is not null
            )
        then pg_catalog.pg_get_constraintdef(con.oid)
    end as definition,
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
