-- Tables, views, materialized views, foreign tables.
--
-- columns: kind, schema, object, parent, catalog, oid, parent_oid, then one per property, named as people see it
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-class.html
select
    case c.relkind when 'r' then 'table' when 'p' then 'partitioned table' when 'v' then 'view'
        when 'm' then 'materialized view' else 'foreign table' end as kind,
    n.nspname as schema, format('%I.%I', n.nspname, c.relname) as object, null as parent,
    1259 as catalog, c.oid, 0 as parent_oid,
    {owner(c.relowner)} as owner,
    {acl(c.relacl, r, c.relowner)} as privileges,
    obj_description(c.oid, 'pg_class') as comment,
    case c.relpersistence when 'p' then 'permanent' when 'u' then 'unlogged' end as persistence,
    {access_method} as "access method",
    ts.spcname as tablespace,
    {options(c.reloptions)} as options,
    {options(toast.reloptions)} as "toast options",
    case c.relreplident when 'd' then 'default' when 'n' then 'nothing' when 'f' then 'full'
        else 'index' end as "replica identity",
    case when c.relforcerowsecurity then 'forced' when c.relrowsecurity then 'enabled' end
        as "row security",
    case when c.relkind = 'm' then c.relispopulated end as populated,
    case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end as "partition key",
    pg_get_expr(c.relpartbound, c.oid) as "partition bound",
    (select string_agg(h.inhparent::regclass::text, ', ' order by h.inhseqno)
        from pg_catalog.pg_inherits h where h.inhrelid = c.oid) as parents,
    case when c.reloftype <> 0 then c.reloftype::regtype::text end as "of type",
    fs.srvname as server,
    {options(ft.ftoptions)} as "foreign options",
    case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end as definition
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_am am on am.oid = c.relam
left join pg_catalog.pg_tablespace ts on ts.oid = c.reltablespace
left join pg_catalog.pg_class toast on toast.oid = c.reltoastrelid
left join pg_catalog.pg_foreign_table ft on ft.ftrelid = c.oid
left join pg_catalog.pg_foreign_server fs on fs.oid = ft.ftserver
where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relpersistence <> 't'
    and {user_schema} and {free(pg_class, c.oid)}
order by 3
