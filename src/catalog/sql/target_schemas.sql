-- Schemas of a target, the system's left out, by name.
--
-- columns: name
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-namespace.html
select n.nspname as name
from pg_catalog.pg_namespace n
where pg_catalog.left(n.nspname::pg_catalog.text, 3) <> 'pg_'
    and n.nspname <> 'information_schema'
order by n.nspname
