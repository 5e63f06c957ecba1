-- The cluster's identity, to notice a run that is continued against another server: one row.
--
-- columns: system_identifier
-- since: 10
-- docs: https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-CONTROL-SYSTEM
select c.system_identifier
from pg_catalog.pg_control_system() c
order by c.system_identifier
