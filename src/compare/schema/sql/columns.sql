-- Columns of tables, views, materialized views and foreign tables.
--
-- columns: kind, schema, object, parent, catalog, oid, parent_oid, then one per property, named as people see it
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-attribute.html
select
    'column' as kind, n.nspname as schema,
    format('%I.%I.%I', n.nspname, c.relname, a.attname) as object,
    format('%I.%I', n.nspname, c.relname) as parent,
    1259 as catalog, c.oid, c.oid as parent_oid,
    row_number() over (partition by c.oid order by a.attnum) as position,
    format_type(a.atttypid, a.atttypmod) as type,
    case when a.attcollation <> t.typcollation then (select format('%I.%I', o.nspname, l.collname) from pg_catalog.pg_collation l
            join pg_catalog.pg_namespace o on o.oid = l.collnamespace where l.oid = a.attcollation) end
        as collation,
    a.attnotnull as "not null",
    case when {attgenerated} = '' then pg_get_expr(d.adbin, d.adrelid) end as "default",
    case a.attidentity when 'a' then 'always' when 'd' then 'by default' end as identity,
    case {attgenerated} when 's' then 'stored ' || pg_get_expr(d.adbin, d.adrelid)
        when 'v' then 'virtual ' || pg_get_expr(d.adbin, d.adrelid) end as generated,
    case a.attstorage when 'p' then 'plain' when 'e' then 'external' when 'm' then 'main'
        else 'extended' end as storage,
    {attcompression} as compression,
    coalesce(a.attstattarget, -1) as "statistics target",
    {options(a.attoptions)} as options,
    {options(a.attfdwoptions)} as "foreign options",
    a.attislocal as local,
    {acl(a.attacl, c, c.relowner)} as privileges,
    col_description(c.oid, a.attnum) as comment
from pg_catalog.pg_attribute a
join pg_catalog.pg_class c on c.oid = a.attrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_type t on t.oid = a.atttypid
left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attnum > 0 and not a.attisdropped
    and c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relpersistence <> 't'
    and {user_schema} and {free(pg_class, c.oid)}
order by 3
