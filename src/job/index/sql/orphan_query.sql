-- The query that finds rows of a foreign key that reference nothing, built by the server itself from
-- the constraint, so that columns, operators and match type are the constraint's own.
--
-- params: table schema, table name, constraint name
-- columns: column list for messages, query (up to 5 rows of one text column)
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-constraint.html
select pg_catalog.string_agg(pg_catalog.quote_ident(fa.attname), ', ' order by o.position),
       pg_catalog.format(
         'select pg_catalog.left(row(%s)::pg_catalog.text, 200) from %s%I.%I as f where %s'
         ' and not exists (select from %s%I.%I as r where %s) limit 5',
         pg_catalog.string_agg(pg_catalog.format('f.%I', fa.attname), ', ' order by o.position),
         case when fc.relkind = 'r' then 'only ' else '' end, fn.nspname, fc.relname,
         pg_catalog.format('(%s)', pg_catalog.string_agg(
           pg_catalog.format('f.%I is not null', fa.attname),
           case when k.confmatchtype = 'f' then ' or ' else ' and ' end order by o.position)),
         case when rc.relkind = 'r' then 'only ' else '' end, rn.nspname, rc.relname,
         pg_catalog.string_agg(pg_catalog.format(
           'r.%I operator(%I.%s) f.%I', ra.attname, pn.nspname, p.oprname, fa.attname),
           ' and ' order by o.position))
  from pg_catalog.pg_constraint as k
  join pg_catalog.pg_class as fc on fc.oid = k.conrelid
  join pg_catalog.pg_namespace as fn on fn.oid = fc.relnamespace
  join pg_catalog.pg_class as rc on rc.oid = k.confrelid
  join pg_catalog.pg_namespace as rn on rn.oid = rc.relnamespace
 cross join rows from (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey),
                       pg_catalog.unnest(k.conpfeqop))
            with ordinality as o (attnum, referenced, operator, position)
  join pg_catalog.pg_attribute as fa on fa.attrelid = fc.oid and fa.attnum = o.attnum
  join pg_catalog.pg_attribute as ra on ra.attrelid = rc.oid and ra.attnum = o.referenced
  join pg_catalog.pg_operator as p on p.oid = o.operator
  join pg_catalog.pg_namespace as pn on pn.oid = p.oprnamespace
 where fn.nspname = $1::pg_catalog.text
   and fc.relname = $2::pg_catalog.text
   and k.conname = $3::pg_catalog.text
   and k.contype = 'f'
 group by k.confmatchtype, fc.relkind, fc.relname, fn.nspname, rc.relkind, rc.relname, rn.nspname
