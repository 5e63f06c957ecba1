-- Roles that the database's objects name, by name. What belongs to extensions is left out, and so are
-- roles that every server has.
--
-- Objects of the first superuser are in no row of pg_shdepend, so its tables, functions and schemas
-- are looked for.
--
-- columns: name, owns, granted, in_policy
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-shdepend.html
select
    r.rolname as name,
    pg_catalog.bool_or(s.deptype = 'o') as owns,
    pg_catalog.bool_or(s.deptype = 'a') as granted,
    pg_catalog.bool_or(s.deptype = 'r') as in_policy
from (
    select s.refobjid, s.deptype
    from pg_catalog.pg_shdepend s
    where s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
        and s.dbid = (
            select d.oid
            from pg_catalog.pg_database d
            where d.datname = pg_catalog.current_database()
        )
        and s.deptype in ('o', 'a', 'r')
        and s.classid <> 'pg_catalog.pg_extension'::pg_catalog.regclass
        and not exists (
            select
            from pg_catalog.pg_depend e
            where e.classid = s.classid
                and e.objid = s.objid
                and e.deptype = 'e'
        )
    union all
    select 10, 'o'
    where exists (
            select
            from pg_catalog.pg_class c
            join pg_catalog.pg_namespace n on n.oid = c.relnamespace
            where c.relowner = 10
                and c.oid >= 16384
                and {user_schema}
        )
        or exists (
            select
            from pg_catalog.pg_proc p
            where p.proowner = 10
                and p.oid >= 16384
                and {own_function}
        )
) s
join pg_catalog.pg_roles r on r.oid = s.refobjid
where pg_catalog.left(r.rolname::pg_catalog.text, 3) <> 'pg_'
group by r.rolname
order by r.rolname
