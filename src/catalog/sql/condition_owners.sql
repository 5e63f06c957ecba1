-- Which of some roles may create in which of some schemas, by schema and role. $1 are schemas, $2 roles.
--
-- columns: schema, role
-- since: 10
-- docs: https://www.postgresql.org/docs/current/sql-altertable.html
select
    n.nspname as schema,
    r.rolname as role
from pg_catalog.pg_namespace n
cross join pg_catalog.pg_roles r
where n.nspname = any ($1::pg_catalog.text[])
    and r.rolname = any ($2::pg_catalog.text[])
    and pg_catalog.has_schema_privilege(r.oid, n.oid, 'create')
order by n.nspname, r.rolname
