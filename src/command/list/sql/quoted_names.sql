-- Names of relations and constraints as SQL spells them, and as a restore list does: blanks for line
-- breaks, the owner last.
--
-- columns: catalog, oid, schema, name (both quoted where SQL needs it), restore_list_name
-- since: 10
-- docs: https://www.postgresql.org/docs/current/functions-string.html
select
    'pg_catalog.pg_class'::pg_catalog.regclass::oid as catalog,
    c.oid,
    pg_catalog.quote_ident(n.nspname) as schema,
    pg_catalog.quote_ident(c.relname) as name,
    pg_catalog.translate(pg_catalog.concat_ws(' ', n.nspname, c.relname,
        pg_catalog.pg_get_userbyid(c.relowner)), E'\n\r', '  ') as restore_list_name
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
  and c.relkind in ('r', 'p', 'm', 'f', 'i', 'I', 'S')
union all
select
    'pg_catalog.pg_constraint'::pg_catalog.regclass::oid,
    k.oid,
    pg_catalog.quote_ident(n.nspname),
    pg_catalog.quote_ident(k.conname),
    pg_catalog.translate(pg_catalog.concat_ws(' ', n.nspname, c.relname, k.conname,
        pg_catalog.pg_get_userbyid(c.relowner)), E'\n\r', '  ')
from pg_catalog.pg_constraint k
join pg_catalog.pg_class c on c.oid = k.conrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
