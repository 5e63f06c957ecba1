-- Removes the ledger of a migration from the target, and its schema when nothing else is in it.
-- Columns: none.
-- Minimum server version: 10.
-- Source: https://www.postgresql.org/docs/current/catalog-pg-class.html
drop table if exists pgcopydb.run, pgcopydb.part, pgcopydb.split, pgcopydb.statement, pgcopydb.object;
do $$
begin
    if not exists (select from pg_catalog.pg_class as c
                     join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
                    where n.nspname = 'pgcopydb') then
        drop schema if exists pgcopydb;
    end if;
end $$;
