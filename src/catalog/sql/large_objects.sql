-- How many large objects there are: one row.
--
-- columns: count
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-largeobject-metadata.html
select pg_catalog.count(*) as count
from pg_catalog.pg_largeobject_metadata
order by 1
