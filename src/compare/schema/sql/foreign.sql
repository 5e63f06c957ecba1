-- Foreign-data wrappers, servers and user mappings; values of the mappings may be secrets and are left out.
--
-- columns: kind, schema, object, parent, catalog, oid, parent_oid, then one per property, named as people see it
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-foreign-server.html
select
    'foreign-data wrapper' as kind, null as schema, quote_ident(w.fdwname) as object, null as parent,
    2328 as catalog, w.oid, 0 as parent_oid,
    {owner(w.fdwowner)} as owner,
    {acl(w.fdwacl, F, w.fdwowner)} as privileges,
    concat_ws(', ', 'handler ' || nullif(w.fdwhandler, 0)::regproc,
        'validator ' || nullif(w.fdwvalidator, 0)::regproc) as definition,
    {options(w.fdwoptions)} as options,
    obj_description(w.oid, 'pg_foreign_data_wrapper') as comment
from pg_catalog.pg_foreign_data_wrapper w
where {free(pg_foreign_data_wrapper, w.oid)}
union all
select
    'foreign server', null, quote_ident(s.srvname), null, 1417, s.oid, 0,
    {owner(s.srvowner)},
    {acl(s.srvacl, S, s.srvowner)},
    concat_ws(', ', 'wrapper ' || w.fdwname, 'type ' || s.srvtype, 'version ' || s.srvversion),
    {options(s.srvoptions)},
    obj_description(s.oid, 'pg_foreign_server')
from pg_catalog.pg_foreign_server s
join pg_catalog.pg_foreign_data_wrapper w on w.oid = s.srvfdw
where {free(pg_foreign_server, s.oid)}
union all
select
    'user mapping', null, format('for %I on server %I', u.usename, u.srvname), null, 1418, u.umid, 0,
    null, null, null,
    (select string_agg(split_part(o, '=', 1), ', ' order by o) from unnest(u.umoptions) as o), null
from pg_catalog.pg_user_mappings u
order by 3
