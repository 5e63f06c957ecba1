-- Ordinary and partitioned tables, materialized views and foreign tables of the user, by identifier.
--
-- Temporary tables of any session are left out. The file node is read as a plain column, not through
-- pg_relation_filenode(): the snapshot's value is wanted, to notice a rewrite later (S-1). Privileges
-- are asked of the present catalog; a table that is gone by now counts as readable, so that its copy
-- finds out and names it (S-18).
--
-- columns: oid, schema, name, kind, persistence, owner, access_method, file_node, row_estimate,
--          partition_of, inherits, replica_identity, with_oids, row_security, may_select, populated,
--          extension
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-class.html
select
    c.oid,
    n.nspname as schema,
    c.relname as name,
    c.relkind as kind,
    c.relpersistence as persistence,
    pg_catalog.pg_get_userbyid(c.relowner) as owner,
    {table_access_method} as access_method,
    c.relfilenode as file_node,
    {row_estimate} as row_estimate,
    case when c.relispartition then i.parents end as partition_of,
    case when not c.relispartition then i.parents end as inherits,
    c.relreplident as replica_identity,
    {relhasoids} as with_oids,
    c.relrowsecurity as row_security,
    coalesce(
        pg_catalog.has_schema_privilege(n.oid, 'usage')
            and pg_catalog.has_table_privilege(c.oid, 'select'),
        true
    ) as may_select,
    c.relispopulated as populated,
    e.extname as extension
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_am am on am.oid = c.relam
left join (
    select
        h.inhrelid,
        pg_catalog.string_agg(h.inhparent::pg_catalog.text, ' ' order by h.inhseqno) as parents
    from pg_catalog.pg_inherits h
    group by h.inhrelid
) i on i.inhrelid = c.oid
left join pg_catalog.pg_depend d
    on d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and d.objid = c.oid
    and d.objsubid = 0
    and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
    and d.deptype = 'e'
left join pg_catalog.pg_extension e on e.oid = d.refobjid
where c.relkind in ('r', 'p', 'm', 'f')
    and c.relpersistence <> 't'
    and {user_schema}
order by c.oid
