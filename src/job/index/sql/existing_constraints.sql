-- Which of the named constraints exist on the target.
--
-- params: table schemas, table names, constraint names (text arrays of equal length)
-- columns: position (from 1), definition
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-constraint.html
select w.position,
       pg_catalog.pg_get_constraintdef(k.oid)
  from rows from (pg_catalog.unnest($1::pg_catalog.text[]),
                  pg_catalog.unnest($2::pg_catalog.text[]),
                  pg_catalog.unnest($3::pg_catalog.text[]))
       with ordinality as w (schema, table_name, name, position)
  join pg_catalog.pg_namespace as n on n.nspname = w.schema
  join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = w.table_name
  join pg_catalog.pg_constraint as k on k.conrelid = c.oid and k.conname = w.name
 order by w.position
