-- Rules, those of views left out.
--
-- columns: kind, schema, object, parent, catalog, oid, parent_oid, then one per property, named as people see it
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-rewrite.html
select
    'rule' as kind, n.nspname as schema,
    format('%I.%I.%I', n.nspname, c.relname, r.rulename) as object,
    format('%I.%I', n.nspname, c.relname) as parent,
    2618 as catalog, r.oid, c.oid as parent_oid,
    pg_get_ruledef(r.oid) as definition,
    case r.ev_enabled when 'O' then 'origin' when 'D' then 'disabled' when 'R' then 'replica'
        else 'always' end as enabled,
    obj_description(r.oid, 'pg_rewrite') as comment
from pg_catalog.pg_rewrite r
join pg_catalog.pg_class c on c.oid = r.ev_class
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where r.rulename <> '_RETURN' and {user_schema} and {free(pg_class, c.oid)}
order by 3
