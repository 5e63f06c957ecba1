-- Tablespaces that relations of the user are in, other than the database's own, by name.
--
-- columns: name
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-tablespace.html
select distinct t.spcname as name
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_tablespace t on t.oid = c.reltablespace
where c.oid >= 16384
    and {user_schema}
order by t.spcname
