-- The columns of the B-tree indexes of a relation of the target, with their equality operators.
--
-- params: schema, name
-- columns: index_oid, is_unique_key, is_primary, is_total, column_name, operator_schema, operator_name
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-index.html
select i.indexrelid,
       i.indisunique and i.indimmediate and i.indpred is null and i.indexprs is null,
       i.indisprimary,
       i.indpred is null,
       a.attname,
       pn.nspname,
       p.oprname
  from pg_catalog.pg_class as c
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  join pg_catalog.pg_index as i on i.indrelid = c.oid and i.indisvalid and i.indisready
 cross join lateral pg_catalog.generate_series(
       0,
       coalesce((pg_catalog.to_jsonb(i) operator(pg_catalog.->>) 'indnkeyatts')::pg_catalog.int4,
                i.indnatts) - 1) as g (position)
  left join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum = i.indkey[g.position]
  join pg_catalog.pg_opclass as o on o.oid = i.indclass[g.position]
  join pg_catalog.pg_am as m on m.oid = o.opcmethod and m.amname = 'btree'
  join pg_catalog.pg_amop as x on x.amopfamily = o.opcfamily and x.amopstrategy = 3
       and x.amoplefttype = o.opcintype and x.amoprighttype = o.opcintype
  join pg_catalog.pg_operator as p on p.oid = x.amopopr
  join pg_catalog.pg_namespace as pn on pn.oid = p.oprnamespace
 where n.nspname = $1 and c.relname = $2
 order by i.indisprimary desc, i.indexrelid, g.position
