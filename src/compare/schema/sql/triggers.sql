-- Triggers; their copies on partitions are left out.
--
-- columns: kind, schema, object, parent, catalog, oid, parent_oid, then one per property, named as people see it
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-trigger.html
select
    'trigger' as kind, n.nspname as schema,
    format('%I.%I.%I', n.nspname, c.relname, t.tgname) as object,
    format('%I.%I', n.nspname, c.relname) as parent,
    2620 as catalog, t.oid, c.oid as parent_oid,
    pg_get_triggerdef(t.oid) as definition,
    case t.tgenabled when 'O' then 'origin' when 'D' then 'disabled' when 'R' then 'replica'
        else 'always' end as enabled,
    obj_description(t.oid, 'pg_trigger') as comment
from pg_catalog.pg_trigger t
join pg_catalog.pg_class c on c.oid = t.tgrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where not t.tgisinternal and {tgparentid} = 0 and {user_schema} and {free(pg_class, c.oid)}
order by 3
