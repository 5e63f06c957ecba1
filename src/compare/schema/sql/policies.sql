-- Policies of row-level security.
--
-- columns: kind, schema, object, parent, catalog, oid, parent_oid, then one per property, named as people see it
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-policy.html
select
    'policy' as kind, n.nspname as schema,
    format('%I.%I.%I', n.nspname, c.relname, p.polname) as object,
    format('%I.%I', n.nspname, c.relname) as parent,
    3256 as catalog, p.oid, c.oid as parent_oid,
    case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
        when 'd' then 'delete' else 'all' end as command,
    p.polpermissive as permissive,
    (select string_agg(case u.role when 0 then 'public' else pg_get_userbyid(u.role)::text end,
            ', ' order by case u.role when 0 then 'public' else pg_get_userbyid(u.role)::text end)
        from unnest(p.polroles) as u (role)) as roles,
    pg_get_expr(p.polqual, p.polrelid) as "using",
    pg_get_expr(p.polwithcheck, p.polrelid) as "with check",
    obj_description(p.oid, 'pg_policy') as comment
from pg_catalog.pg_policy p
join pg_catalog.pg_class c on c.oid = p.polrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where {user_schema} and {free(pg_class, c.oid)}
order by 3
