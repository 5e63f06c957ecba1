-- The columns of a relation of the target, and how values reach them.
--
-- params: schema, name
-- columns: name, type_oid, type_modifier, type_schema, type_name, type_text, not_null, generated,
--          identity_always, is_array, has_array_type, has_text_cast
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-attribute.html
select a.attname,
       a.atttypid,
       a.atttypmod,
       tn.nspname,
       t.typname,
       pg_catalog.format_type(a.atttypid, a.atttypmod),
       a.attnotnull,
       coalesce(pg_catalog.to_jsonb(a) operator(pg_catalog.->>) 'attgenerated', '') <> '',
       a.attidentity = 'a',
       coalesce(b.typelem, t.typelem) <> 0 and coalesce(b.typlen, t.typlen) = -1,
       t.typarray <> 0,
       exists (select from pg_catalog.pg_cast as k
                where k.castsource = 'pg_catalog.text'::pg_catalog.regtype
                  and k.casttarget in (t.oid, t.typbasetype) and k.castmethod = 'f')
  from pg_catalog.pg_class as c
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  join pg_catalog.pg_attribute as a on a.attrelid = c.oid
  join pg_catalog.pg_type as t on t.oid = a.atttypid
  join pg_catalog.pg_namespace as tn on tn.oid = t.typnamespace
  left join pg_catalog.pg_type as b on b.oid = t.typbasetype
 where n.nspname = $1 and c.relname = $2
   and a.attnum > 0 and not a.attisdropped
 order by a.attnum
