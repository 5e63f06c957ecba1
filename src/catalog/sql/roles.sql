-- Roles of a server, by name.
--
-- columns: name
-- since: 10
-- docs: https://www.postgresql.org/docs/current/view-pg-roles.html
select r.rolname as name
from pg_catalog.pg_roles r
order by r.rolname
