-- Tables whose rows a policy would hide from our role, by schema and name.
--
-- columns: schema, name
-- since: 10
-- docs: https://www.postgresql.org/docs/current/ddl-rowsecurity.html
select
    n.nspname as schema,
    c.relname as name
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p')
    and c.relrowsecurity
    and pg_catalog.row_security_active(c.oid)
    and {user_schema}
order by n.nspname, c.relname
