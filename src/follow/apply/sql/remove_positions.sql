-- Removes the table of positions, and the schema when nothing else of ours is in it.
--
-- params: none
-- columns: none
-- since: 10
-- docs: https://www.postgresql.org/docs/current/sql-dropschema.html
drop table if exists pgcopydb.follow;
do $$
begin
    if not exists (select from pg_catalog.pg_class as c
                     join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
                    where n.nspname = 'pgcopydb') then
        drop schema if exists pgcopydb;
    end if;
end
$$;
