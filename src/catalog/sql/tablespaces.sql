-- Tablespaces of a server, by name.
--
-- columns: name
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-tablespace.html
select t.spcname as name
from pg_catalog.pg_tablespace t
order by t.spcname
