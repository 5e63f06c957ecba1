-- Removes the schema of the ledger from the target when nothing is left in it.
-- Columns: none.
-- Minimum server version: 10.
-- Source: https://www.postgresql.org/docs/current/catalog-pg-class.html
do $$
declare
    positions bigint;
begin
    if pg_catalog.to_regclass('pgcopydb.follow') is not null then
        execute 'select pg_catalog.count(*) from pgcopydb.follow' into positions;
        if positions = 0 then
            drop table pgcopydb.follow;
        end if;
    end if;
    if not exists (select from pg_catalog.pg_class as c
                     join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
                    where n.nspname = 'pgcopydb') then
        drop schema if exists pgcopydb;
    end if;
end $$;
