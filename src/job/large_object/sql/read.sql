-- Reads chunks of large objects, in the order asked for.
--
-- params: identifiers (oid array), offsets (bigint array), lengths (integer array)
-- columns: contents
-- since: 10
-- docs: https://www.postgresql.org/docs/current/lo-funcs.html
select pg_catalog.lo_get(c.oid, c.start, c.length)
  from rows from (pg_catalog.unnest($1::pg_catalog.oid[]),
                  pg_catalog.unnest($2::pg_catalog.int8[]),
                  pg_catalog.unnest($3::pg_catalog.int4[])) as c (oid, start, length)
