-- Operators, operator classes and families, casts, conversions, languages, access methods, text search objects, transforms, security labels.
--
-- columns: kind, schema, object, parent, catalog, oid, parent_oid, then one per property, named as people see it
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalogs.html
select
    'operator' as kind, n.nspname as schema, o.oid::regoperator::text as object, null as parent,
    2617 as catalog, o.oid, 0 as parent_oid,
    {owner(o.oprowner)} as owner,
    concat_ws(', ', 'function ' || o.oprcode, 'commutator ' || nullif(o.oprcom, 0)::regoperator,
        'negator ' || nullif(o.oprnegate, 0)::regoperator, 'restrict ' || nullif(o.oprrest, 0)::regproc,
        'join ' || nullif(o.oprjoin, 0)::regproc, case when o.oprcanmerge then 'merges' end,
        case when o.oprcanhash then 'hashes' end) as definition,
    obj_description(o.oid, 'pg_operator') as comment
from pg_catalog.pg_operator o
join pg_catalog.pg_namespace n on n.oid = o.oprnamespace
where {user_schema} and {free(pg_operator, o.oid)}
union all
select
    'operator class', n.nspname, format('%I.%I using %I', n.nspname, o.opcname, m.amname), null,
    2616, o.oid, 0, {owner(o.opcowner)},
    concat_ws(', ', 'type ' || format_type(o.opcintype, null), case when o.opcdefault then 'default' end,
        'family ' || f.opfname, 'storage ' || format_type(nullif(o.opckeytype, 0), null)),
    obj_description(o.oid, 'pg_opclass')
from pg_catalog.pg_opclass o
join pg_catalog.pg_namespace n on n.oid = o.opcnamespace
join pg_catalog.pg_am m on m.oid = o.opcmethod
join pg_catalog.pg_opfamily f on f.oid = o.opcfamily
where {user_schema} and {free(pg_opclass, o.oid)}
union all
select
    'operator family', n.nspname, format('%I.%I using %I', n.nspname, f.opfname, m.amname), null,
    2753, f.oid, 0, {owner(f.opfowner)},
    concat_ws('; ',
        (select string_agg(a.amopstrategy || ' ' || a.amopopr::regoperator, ', '
                order by a.amopstrategy, a.amopopr::regoperator::text)
            from pg_catalog.pg_amop a where a.amopfamily = f.oid),
        (select string_agg(a.amprocnum || ' ' || a.amproc::regprocedure, ', '
                order by a.amprocnum, a.amproc::regprocedure::text)
            from pg_catalog.pg_amproc a where a.amprocfamily = f.oid)),
    obj_description(f.oid, 'pg_opfamily')
from pg_catalog.pg_opfamily f
join pg_catalog.pg_namespace n on n.oid = f.opfnamespace
join pg_catalog.pg_am m on m.oid = f.opfmethod
where {user_schema} and {free(pg_opfamily, f.oid)}
union all
select
    'cast', null, format('%s as %s', format_type(c.castsource, null), format_type(c.casttarget, null)),
    null, 2605, c.oid, 0, null,
    concat_ws(', ', 'function ' || nullif(c.castfunc, 0)::regprocedure,
        'context ' || c.castcontext::text, 'method ' || c.castmethod::text),
    obj_description(c.oid, 'pg_cast')
from pg_catalog.pg_cast c
where c.oid >= 16384 and {free(pg_cast, c.oid)}
    -- A range type brings its own.
    and not exists (select from pg_catalog.pg_depend d
        where d.classid = 2605 and d.objid = c.oid and d.deptype = 'i')
union all
select
    'conversion', n.nspname, format('%I.%I', n.nspname, c.conname), null, 2607, c.oid, 0,
    {owner(c.conowner)},
    format('from %s to %s by %s%s', pg_encoding_to_char(c.conforencoding),
        pg_encoding_to_char(c.contoencoding), c.conproc, case when c.condefault then ', default' end),
    obj_description(c.oid, 'pg_conversion')
from pg_catalog.pg_conversion c
join pg_catalog.pg_namespace n on n.oid = c.connamespace
where {user_schema} and {free(pg_conversion, c.oid)}
union all
select
    'language', null, quote_ident(l.lanname), null, 2612, l.oid, 0, {owner(l.lanowner)},
    concat_ws(', ', case when l.lanpltrusted then 'trusted' end,
        'handler ' || nullif(l.lanplcallfoid, 0)::regproc, 'inline ' || nullif(l.laninline, 0)::regproc,
        'validator ' || nullif(l.lanvalidator, 0)::regproc, {acl(l.lanacl, l, l.lanowner)}),
    obj_description(l.oid, 'pg_language')
from pg_catalog.pg_language l
where l.lanispl
union all
select
    'access method', null, quote_ident(m.amname), null, 2601, m.oid, 0, null,
    format('%s by %s', m.amtype, m.amhandler), obj_description(m.oid, 'pg_am')
from pg_catalog.pg_am m
where m.oid >= 16384 and {free(pg_am, m.oid)}
union all
select
    'text search configuration', n.nspname, format('%I.%I', n.nspname, c.cfgname), null, 3602, c.oid,
    0, {owner(c.cfgowner)},
    concat_ws('; ', 'parser ' || p.prsname,
        (select string_agg(m.maptokentype || ' ' || m.mapdict::regdictionary, ', '
                order by m.maptokentype, m.mapseqno)
            from pg_catalog.pg_ts_config_map m where m.mapcfg = c.oid)),
    obj_description(c.oid, 'pg_ts_config')
from pg_catalog.pg_ts_config c
join pg_catalog.pg_namespace n on n.oid = c.cfgnamespace
join pg_catalog.pg_ts_parser p on p.oid = c.cfgparser
where {user_schema} and {free(pg_ts_config, c.oid)}
union all
select
    'text search dictionary', n.nspname, format('%I.%I', n.nspname, d.dictname), null, 3600, d.oid,
    0, {owner(d.dictowner)},
    concat_ws('; ', 'template ' || t.tmplname, d.dictinitoption),
    obj_description(d.oid, 'pg_ts_dict')
from pg_catalog.pg_ts_dict d
join pg_catalog.pg_namespace n on n.oid = d.dictnamespace
join pg_catalog.pg_ts_template t on t.oid = d.dicttemplate
where {user_schema} and {free(pg_ts_dict, d.oid)}
union all
select
    'transform', null, format('for %s language %I', format_type(t.trftype, null), l.lanname), null,
    3576, t.oid, 0, null,
    concat_ws(', ', 'from ' || nullif(t.trffromsql, 0)::regproc, 'to ' || nullif(t.trftosql, 0)::regproc),
    obj_description(t.oid, 'pg_transform')
from pg_catalog.pg_transform t
join pg_catalog.pg_language l on l.oid = t.trflang
where {free(pg_transform, t.oid)}
union all
select
    'security label', null, format('%s %s by %s', s.objtype, s.objname, s.provider), null,
    s.classoid, s.objoid, 0, null, s.label, null
from pg_catalog.pg_seclabels s
where s.objtype not in ('role', 'database', 'tablespace')
union all
select
    'database setting', null,
    case when s.setrole = 0 then split_part(u.setting, '=', 1)
        else format('%s for role %I', split_part(u.setting, '=', 1), pg_get_userbyid(s.setrole)) end,
    null, 2964, 0, 0, null, substr(u.setting, strpos(u.setting, '=') + 1), null
from pg_catalog.pg_db_role_setting s
cross join unnest(s.setconfig) as u (setting)
where s.setdatabase = (select d.oid from pg_catalog.pg_database d
    where d.datname = current_database())
order by 3
