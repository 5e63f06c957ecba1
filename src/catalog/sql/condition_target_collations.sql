-- Collations with some names, by schema and name. $1 are names.
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
where c.collname = any ($1::pg_catalog.text[])
    and c.collencoding in (
        -1,
        (
            select d.encoding
            from pg_catalog.pg_database d
            where d.datname = pg_catalog.current_database()
        )
    )
order by n.nspname, c.collname
