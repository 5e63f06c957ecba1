-- Default privileges.
--
-- columns: kind, schema, object, parent, catalog, oid, parent_oid, then one per property, named as people see it
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-default-acl.html
select
    'default privileges' as kind, n.nspname as schema,
    format('for role %I%s on %s', pg_get_userbyid(d.defaclrole), ' in schema ' || quote_ident(n.nspname),
        case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions'
            when 'T' then 'types' when 'n' then 'schemas' else 'large objects' end) as object,
    null as parent, 826 as catalog, d.oid, 0 as parent_oid,
    {acl(d.defaclacl, r, d.defaclrole)} as privileges
from pg_catalog.pg_default_acl d
left join pg_catalog.pg_namespace n on n.oid = d.defaclnamespace
order by 3
