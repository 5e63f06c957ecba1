-- Ranges of large objects, each of a given number of them (the last one of fewer), by identifier.
--
-- params: objects per range
-- columns: first, last
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-largeobject-metadata.html
select pg_catalog.min(o.oid), pg_catalog.max(o.oid)
  from (select m.oid,
               (pg_catalog.row_number() over (order by m.oid) - 1)
               / $1::pg_catalog.int8 as range_index
          from pg_catalog.pg_largeobject_metadata as m) as o
 group by o.range_index
 order by 1
