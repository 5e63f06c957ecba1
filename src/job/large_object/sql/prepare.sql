-- Creates the large objects that are missing and empties the others. Descriptors close with the
-- transaction.
--
-- params: identifiers (oid array)
-- columns: how many
-- since: 10
-- docs: https://www.postgresql.org/docs/current/lo-funcs.html
select pg_catalog.count(
         case when m.oid is null then pg_catalog.lo_create(w.oid)::pg_catalog.int8
              else pg_catalog.lo_truncate64(pg_catalog.lo_open(m.oid, 131072), 0)::pg_catalog.int8
         end)
  from pg_catalog.unnest($1::pg_catalog.oid[]) as w (oid)
  left join pg_catalog.pg_largeobject_metadata as m on m.oid = w.oid
