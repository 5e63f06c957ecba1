-- How many large objects there are in each window of identifiers, by window.
--
-- params: bits that a window spans
-- columns: window, objects
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-largeobject-metadata.html
select m.oid::pg_catalog.int8 >> $1::pg_catalog.int4, pg_catalog.count(*)
  from pg_catalog.pg_largeobject_metadata as m
 group by 1
 order by 1
