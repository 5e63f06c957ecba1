-- Extensions that a target could install, by name.
--
-- columns: name, default_version
-- since: 10
-- docs: https://www.postgresql.org/docs/current/view-pg-available-extensions.html
select
    a.name,
    a.default_version
from pg_catalog.pg_available_extensions a
order by a.name
