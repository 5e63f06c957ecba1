-- Databases of the server that can be connected to, those that CREATE DATABASE starts from left out, by
-- name.
--
-- Grants are the privileges as statements behind "grant ", without their end, with the character 31
-- between them; NULL when the database never had privileges of its own.
--
-- columns: name, owner, encoding, collate, ctype, provider, locale, rules, tablespace, connection_limit,
--          is_template, grants, comment
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-database.html
select
    d.datname as name,
    pg_catalog.pg_get_userbyid(d.datdba) as owner,
    pg_catalog.pg_encoding_to_char(d.encoding) as encoding,
    d.datcollate as collate,
    d.datctype as ctype,
    {database_provider} as provider,
    {database_locale} as locale,
    {database_rules} as rules,
    nullif(t.spcname, 'pg_default') as tablespace,
    d.datconnlimit as connection_limit,
    d.datistemplate as is_template,
    case when d.datacl is not null then coalesce((
        select pg_catalog.string_agg(
            pg_catalog.format(
                '%s on database %I to %s%s',
                a.privilege_type,
                d.datname,
                case when a.grantee = 0 then 'public'
                    else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end,
                case when a.is_grantable then ' with grant option' end
            ),
            pg_catalog.chr(31) order by a.grantee, a.privilege_type
        )
        from pg_catalog.aclexplode(d.datacl) a
    ), '') end as grants,
    pg_catalog.shobj_description(d.oid, 'pg_database') as comment
from pg_catalog.pg_database d
join pg_catalog.pg_tablespace t on t.oid = d.dattablespace
where d.datallowconn and d.datname not in ('template0', 'template1')
order by d.datname
