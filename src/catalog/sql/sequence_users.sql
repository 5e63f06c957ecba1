-- Tables whose column defaults use a sequence, by sequence and table.
--
-- columns: sequence_oid, table_oid
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-attrdef.html
select distinct
    d.refobjid as sequence_oid,
    ad.adrelid as table_oid
from pg_catalog.pg_depend d
join pg_catalog.pg_attrdef ad on ad.oid = d.objid
join pg_catalog.pg_class c on c.oid = d.refobjid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
    and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and c.relkind = 'S'
    and c.relpersistence <> 't'
    and {user_schema}
order by d.refobjid, ad.adrelid
