-- Indexes and materialized views that call functions of the user which have no search_path of their own,
-- by object and function.
--
-- columns: object, function
-- since: 10
-- docs: https://www.postgresql.org/docs/current/release-17.html#RELEASE-17-MIGRATION
select distinct
    case c.relkind when 'm' then 'materialized view ' else 'index ' end
        || c.oid::pg_catalog.regclass::pg_catalog.text as object,
    p.oid::pg_catalog.regprocedure::pg_catalog.text as function
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_rewrite w on w.ev_class = c.oid
join pg_catalog.pg_depend d
    on d.classid = case
        when c.relkind = 'm' then 'pg_catalog.pg_rewrite'::pg_catalog.regclass
        else 'pg_catalog.pg_class'::pg_catalog.regclass
    end
    and d.objid = case when c.relkind = 'm' then w.oid else c.oid end
    and d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
join pg_catalog.pg_proc p on p.oid = d.refobjid
join pg_catalog.pg_language l on l.oid = p.prolang
where c.relkind in ('i', 'I', 'm')
    and {user_schema}
    and p.oid >= 16384
    and l.lanname not in ('internal', 'c')
    and {prosqlbody} is null
    and not exists (
        select
        from pg_catalog.unnest(p.proconfig) as s (setting)
        where s.setting like 'search_path=%'
    )
    and {own_function}
order by object, function
