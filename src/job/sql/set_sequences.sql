-- Sets sequences; each is resolved by schema and name, never through the search path.
--
-- params: schemas, names (text arrays), values (bigint array), called (boolean array)
-- columns: value set
-- since: 10
-- docs: https://www.postgresql.org/docs/current/functions-sequence.html
select pg_catalog.setval(c.oid, w.value, w.called)
  from rows from (pg_catalog.unnest($1::pg_catalog.text[]),
                  pg_catalog.unnest($2::pg_catalog.text[]),
                  pg_catalog.unnest($3::pg_catalog.int8[]),
                  pg_catalog.unnest($4::pg_catalog.bool[])) as w (schema, name, value, called)
  join pg_catalog.pg_namespace as n on n.nspname = w.schema
  join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = w.name
                               and c.relkind = 'S'
