-- Collations that columns, indexes and domains of the user use, and those that the user created, by
-- schema and name; those that every database has left out.
--
-- The locale's column has another name in nearly every version, so the row is read as JSON.
--
-- columns: schema, name, provider, locale, recorded, actual, of_user
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-collation.html
select
    n.nspname as schema,
    c.collname as name,
    c.collprovider as provider,
    coalesce(
        pg_catalog.to_jsonb(c) ->> 'colllocale',
        pg_catalog.to_jsonb(c) ->> 'colliculocale',
        c.collcollate::pg_catalog.text,
        ''
    ) as locale,
    c.collversion as recorded,
    pg_catalog.pg_collation_actual_version(c.oid) as actual,
    c.oid >= 16384 as of_user
from pg_catalog.pg_collation c
join pg_catalog.pg_namespace n on n.oid = c.collnamespace
where c.oid in (
        select a.attcollation
        from pg_catalog.pg_attribute a
        where a.attrelid >= 16384
            and a.attcollation <> 0
        union
        select t.typcollation
        from pg_catalog.pg_type t
        where t.oid >= 16384
        union
        select o.oid
        from pg_catalog.pg_collation o
        where o.oid >= 16384
    )
    and c.collname not in ('default', 'C', 'POSIX')
    and n.nspname <> 'information_schema'
    and not exists (
        select
        from pg_catalog.pg_depend e
        where e.classid = 'pg_catalog.pg_collation'::pg_catalog.regclass
            and e.objid = c.oid
            and e.deptype = 'e'
    )
order by n.nspname, c.collname
