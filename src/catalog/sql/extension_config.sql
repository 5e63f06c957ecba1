-- Configuration tables of extensions with the condition of the rows that are the user's (empty: all
-- rows), by extension and in the order the extension gives. Sequences may be among them.
--
-- columns: extension_oid, table_oid, condition
-- since: 10
-- docs: https://www.postgresql.org/docs/current/extend-extensions.html#EXTEND-EXTENSIONS-CONFIG-TABLES
select
    e.oid as extension_oid,
    e.extconfig[s.position] as table_oid,
    coalesce(e.extcondition[s.position], '') as condition
from pg_catalog.pg_extension e
cross join pg_catalog.generate_subscripts(e.extconfig, 1) as s (position)
order by e.oid, s.position
