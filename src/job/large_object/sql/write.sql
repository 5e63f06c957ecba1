-- Writes chunks of large objects, in the order given.
--
-- params: identifiers (oid array), offsets (bigint array), contents (bytea array)
-- columns: how many
-- since: 10
-- docs: https://www.postgresql.org/docs/current/lo-funcs.html
select pg_catalog.count(pg_catalog.lo_put(c.oid, c.start, c.contents))
  from rows from (pg_catalog.unnest($1::pg_catalog.oid[]),
                  pg_catalog.unnest($2::pg_catalog.int8[]),
                  pg_catalog.unnest($3::pg_catalog.bytea[])) as c (oid, start, contents)
