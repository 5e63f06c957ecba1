-- The types given (parameter 1, an array of identifiers: those of all columns), and every type that
-- those are made of, by identifier.
--
-- A true array is a type that its element names as its array type: int2vector, name or point have an
-- element too, but are base types with input and output of their own. Identifiers below 10 000 are
-- given by hand in the server's source and never change between versions.
--
-- columns: oid, name, type, built_in, has_binary_io, element, base, range_subtype, range_of_multirange,
--          attributes, extension, extension_version
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-type.html
with recursive used (oid) as (
    select g.oid
    from pg_catalog.unnest($1::pg_catalog.oid[]) as g (oid)
    union
    select part.oid
    from used u
    join pg_catalog.pg_type t on t.oid = u.oid
    cross join lateral (
        select el.oid
        from pg_catalog.pg_type el
        where el.oid = t.typelem and el.typarray = t.oid
        union all
        select t.typbasetype
        where t.typtype = 'd'
        union all
        select r.rngsubtype
        from pg_catalog.pg_range r
        where r.rngtypid = t.oid
        union all
        select r.rngtypid
        from pg_catalog.pg_range r
        where {rngmultitypid} = t.oid
        union all
        select a.atttypid
        from pg_catalog.pg_attribute a
        where t.typtype = 'c'
            and a.attrelid = t.typrelid
            and a.attnum > 0
            and not a.attisdropped
    ) part
)
select
    t.oid,
    pg_catalog.format_type(t.oid, null) as name,
    t.typtype as type,
    t.oid < 10000 and n.nspname = 'pg_catalog' as built_in,
    t.typsend <> 0 and t.typreceive <> 0 as has_binary_io,
    el.oid as element,
    nullif(t.typbasetype, 0) as base,
    r.rngsubtype as range_subtype,
    m.rngtypid as range_of_multirange,
    (
        select pg_catalog.string_agg(a.atttypid::pg_catalog.text, ' ' order by a.attnum)
        from pg_catalog.pg_attribute a
        where t.typtype = 'c'
            and a.attrelid = t.typrelid
            and a.attnum > 0
            and not a.attisdropped
    ) as attributes,
    e.extname as extension,
    e.extversion as extension_version
from used u
join pg_catalog.pg_type t on t.oid = u.oid
join pg_catalog.pg_namespace n on n.oid = t.typnamespace
left join pg_catalog.pg_type el on el.oid = t.typelem and el.typarray = t.oid
left join pg_catalog.pg_range r on r.rngtypid = t.oid
left join (
    select r.rngtypid, {rngmultitypid} as rngmultitypid
    from pg_catalog.pg_range r
) m on m.rngmultitypid = t.oid
left join lateral (
    -- A type of its own, or the row type of a member table.
    select x.extname, x.extversion
    from pg_catalog.pg_depend d
    join pg_catalog.pg_extension x on x.oid = d.refobjid
    where d.deptype = 'e'
        and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
        and d.objsubid = 0
        and (
            d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and d.objid = t.oid
            or d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = t.typrelid
        )
    order by x.extname
    limit 1
) e on true
order by t.oid
