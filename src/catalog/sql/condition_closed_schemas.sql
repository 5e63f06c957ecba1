-- Which of some schemas exist and may not be created in by our role, by name. $1 are names.
--
-- columns: name
-- since: 10
-- docs: https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-ACCESS
select n.nspname as name
from pg_catalog.pg_namespace n
where n.nspname = any ($1::pg_catalog.text[])
    and not pg_catalog.has_schema_privilege(n.oid, 'create')
order by n.nspname
