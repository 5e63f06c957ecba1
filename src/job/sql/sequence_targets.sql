-- The named sequences on the target: which exist, and how they count.
--
-- params: schemas, names (text arrays of equal length)
-- columns: position (from 1), descending, cycles, accessible
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-sequence.html
select w.position,
       q.seqincrement < 0,
       q.seqcycle,
       pg_catalog.has_sequence_privilege(c.oid, 'SELECT')
       and pg_catalog.has_sequence_privilege(c.oid, 'UPDATE')
  from rows from (pg_catalog.unnest($1::pg_catalog.text[]),
                  pg_catalog.unnest($2::pg_catalog.text[]))
       with ordinality as w (schema, name, position)
  join pg_catalog.pg_namespace as n on n.nspname = w.schema
  join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = w.name
  join pg_catalog.pg_sequence as q on q.seqrelid = c.oid
 order by w.position
