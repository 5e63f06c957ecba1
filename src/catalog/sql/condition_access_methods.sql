-- Table access methods of a server, by name.
--
-- columns: name
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-am.html
select a.amname as name
from pg_catalog.pg_am a
where a.amtype = 't'
order by a.amname
