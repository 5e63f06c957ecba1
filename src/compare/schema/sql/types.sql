-- Types: enums, domains, composites, ranges, base types; not those that stand for tables or arrays.
--
-- columns: kind, schema, object, parent, catalog, oid, parent_oid, then one per property, named as people see it
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-type.html
select
    case t.typtype when 'e' then 'enum' when 'd' then 'domain' when 'c' then 'composite type'
        when 'r' then 'range type' else 'type' end as kind,
    n.nspname as schema, format('%I.%I', n.nspname, t.typname) as object, null as parent,
    1247 as catalog, t.oid, 0 as parent_oid,
    {owner(t.typowner)} as owner,
    {acl(t.typacl, T, t.typowner)} as privileges,
    obj_description(t.oid, 'pg_type') as comment,
    (select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder)
        from pg_catalog.pg_enum e where e.enumtypid = t.oid) as labels,
    case when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod) end as base,
    case when t.typtype = 'd' then t.typdefault end as "default",
    case when t.typtype = 'd' then t.typnotnull end as "not null",
    case when t.typcollation <> 0 then (select format('%I.%I', o.nspname, l.collname)
        from pg_catalog.pg_collation l
        join pg_catalog.pg_namespace o on o.oid = l.collnamespace where l.oid = t.typcollation) end
        as collation,
    (select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', '
            order by a.attnum)
        from pg_catalog.pg_attribute a
        where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) as attributes,
    (select concat_ws(', ', 'subtype ' || format_type(r.rngsubtype, null),
            'canonical ' || nullif(r.rngcanonical, 0)::regproc,
            'difference ' || nullif(r.rngsubdiff, 0)::regproc)
        from pg_catalog.pg_range r where r.rngtypid = t.oid) as range,
    case when t.typtype = 'b' then concat_ws(', ', 'length ' || t.typlen, 'align ' || t.typalign::text,
        'storage ' || t.typstorage::text, 'input ' || t.typinput::regproc,
        'output ' || t.typoutput::regproc, 'category ' || t.typcategory::text,
        'default ' || t.typdefault) end as "base type"
from pg_catalog.pg_type t
join pg_catalog.pg_namespace n on n.oid = t.typnamespace
left join pg_catalog.pg_class c on c.oid = t.typrelid
where (t.typtype in ('e', 'd', 'r', 'b', 'p') or t.typtype = 'c' and c.relkind = 'c')
    and not exists (select from pg_catalog.pg_type e where e.typarray = t.oid)
    and {user_schema} and {free(pg_type, t.oid)}
order by 3
