-- Functions, procedures, aggregates and window functions, named with the types of their arguments.
--
-- columns: kind, schema, object, parent, catalog, oid, parent_oid, then one per property, named as people see it
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-proc.html
select
    case {prokind} when 'p' then 'procedure' when 'a' then 'aggregate' when 'w' then
        'window function' else 'function' end as kind,
    n.nspname as schema,
    format('%I.%I(%s)', n.nspname, p.proname, (
        select string_agg(format_type(u.type, null), ', ' order by u.number)
        from unnest(p.proargtypes) with ordinality as u (type, number))) as object,
    null as parent, 1255 as catalog, p.oid, 0 as parent_oid,
    {owner(p.proowner)} as owner,
    {acl(p.proacl, f, p.proowner)} as privileges,
    obj_description(p.oid, 'pg_proc') as comment,
    l.lanname as language,
    regexp_replace(pg_get_function_arguments(p.oid), '(^|, )IN ', '\1', 'g') as arguments,
    pg_get_function_result(p.oid) as result,
    case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end
        as volatility,
    case p.proparallel when 's' then 'safe' when 'r' then 'restricted' else 'unsafe' end
        as parallel,
    p.proisstrict as strict, p.prosecdef as "security definer", p.proleakproof as leakproof,
    p.procost as cost, p.prorows as rows,
    array_to_string(p.proconfig, ', ') as settings,
    p.probin as library,
    case when {sqlbody} is null then p.prosrc end as body,
    {sqlbody} as definition,
    concat_ws(', ', 'kind ' || a.aggkind::text, 'direct ' || a.aggnumdirectargs,
        'state ' || format_type(a.aggtranstype, null), 'transition ' || a.aggtransfn::regproc,
        'final ' || nullif(a.aggfinalfn, 0)::regproc, 'combine ' || nullif(a.aggcombinefn, 0)::regproc,
        'initial ' || a.agginitval, 'sort ' || nullif(a.aggsortop, 0)::regoperator,
        'moving ' || nullif(a.aggmtransfn, 0)::regproc) as aggregate
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_language l on l.oid = p.prolang
left join pg_catalog.pg_aggregate a on a.aggfnoid = p.oid
where {user_schema} and {free(pg_proc, p.oid)}
    -- A range type brings its constructors.
    and not exists (select from pg_catalog.pg_depend d
        where d.classid = 1255 and d.objid = p.oid and d.refclassid = 1247 and d.deptype = 'i')
order by 3
