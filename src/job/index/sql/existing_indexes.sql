-- Which of the named indexes exist on the target, and as what.
--
-- params: index schemas, index names, table schemas, table names (text arrays of equal length)
-- columns: position (from 1), is_index, on_table, valid, definition, has_constraint
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-index.html
select w.position,
       x.indexrelid is not null,
       coalesce(t.relname = w.table_name and tn.nspname = w.table_schema, false),
       coalesce(x.indisvalid and x.indisready and x.indislive, false),
       case when x.indexrelid is not null then pg_catalog.pg_get_indexdef(x.indexrelid) else '' end,
       exists (select from pg_catalog.pg_constraint as k
                where k.conindid = c.oid and k.contype in ('p', 'u', 'x'))
  from rows from (pg_catalog.unnest($1::pg_catalog.text[]),
                  pg_catalog.unnest($2::pg_catalog.text[]),
                  pg_catalog.unnest($3::pg_catalog.text[]),
                  pg_catalog.unnest($4::pg_catalog.text[]))
       with ordinality as w (schema, name, table_schema, table_name, position)
  join pg_catalog.pg_namespace as n on n.nspname = w.schema
  join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = w.name
  left join pg_catalog.pg_index as x on x.indexrelid = c.oid
  left join pg_catalog.pg_class as t on t.oid = x.indrelid
  left join pg_catalog.pg_namespace as tn on tn.oid = t.relnamespace
 order by w.position
