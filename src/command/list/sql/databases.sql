-- Databases of the server, the two templates left out, by name. The size is null where our role may
-- neither connect to the database nor read all statistics.
--
-- columns: oid, name, bytes
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-database.html
select
    d.oid,
    d.datname as name,
    case when pg_catalog.has_database_privilege(d.oid, 'connect')
           or pg_catalog.pg_has_role('pg_read_all_stats', 'usage')
         then pg_catalog.pg_database_size(d.oid) end as bytes
from pg_catalog.pg_database d
where d.datname not in ('template0', 'template1')
order by d.datname
