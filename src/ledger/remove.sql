-- Removes the ledger of a migration from the target.
-- Columns: none.
-- Minimum server version: 10.
-- Source: https://www.postgresql.org/docs/current/catalog-pg-class.html
drop table if exists pgcopydb.run, pgcopydb.part, pgcopydb.split, pgcopydb.statement, pgcopydb.object;
