-- Objects of the user that only a superuser can create, with their class in the plural, by class and
-- name; members of extensions left out.
--
-- columns: class, name
-- since: 10
-- docs: https://www.postgresql.org/docs/current/sql-commands.html
select
    o.class,
    o.name
from (
    select
        'event triggers' as class,
        'pg_catalog.pg_event_trigger'::pg_catalog.regclass as classid,
        e.oid,
        e.evtname::pg_catalog.text as name
    from pg_catalog.pg_event_trigger e
    union all
    select
        'operator classes',
        'pg_catalog.pg_opclass'::pg_catalog.regclass,
        c.oid,
        pg_catalog.format('%I.%I', n.nspname, c.opcname)
    from pg_catalog.pg_opclass c
    join pg_catalog.pg_namespace n on n.oid = c.opcnamespace
    union all
    select
        'operator families',
        'pg_catalog.pg_opfamily'::pg_catalog.regclass,
        f.oid,
        pg_catalog.format('%I.%I', n.nspname, f.opfname)
    from pg_catalog.pg_opfamily f
    join pg_catalog.pg_namespace n on n.oid = f.opfnamespace
    union all
    select
        'base types',
        'pg_catalog.pg_type'::pg_catalog.regclass,
        t.oid,
        pg_catalog.format('%I.%I', n.nspname, t.typname)
    from pg_catalog.pg_type t
    join pg_catalog.pg_namespace n on n.oid = t.typnamespace
    where t.typtype = 'b'
        and t.typelem = 0
    union all
    select
        'functions in untrusted languages',
        'pg_catalog.pg_proc'::pg_catalog.regclass,
        p.oid,
        p.oid::pg_catalog.regprocedure::pg_catalog.text
    from pg_catalog.pg_proc p
    join pg_catalog.pg_language l on l.oid = p.prolang
    where not l.lanpltrusted
        -- Aggregates are of an untrusted language in name only.
        and not exists (
            select
            from pg_catalog.pg_aggregate a
            where a.aggfnoid = p.oid
        )
    union all
    select
        'foreign-data wrappers',
        'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass,
        w.oid,
        pg_catalog.quote_ident(w.fdwname)
    from pg_catalog.pg_foreign_data_wrapper w
    union all
    select
        'publications for all tables',
        'pg_catalog.pg_publication'::pg_catalog.regclass,
        p.oid,
        pg_catalog.quote_ident(p.pubname)
    from pg_catalog.pg_publication p
    where p.puballtables
    union all
    select
        'text search parsers and templates',
        'pg_catalog.pg_ts_parser'::pg_catalog.regclass,
        p.oid,
        pg_catalog.quote_ident(p.prsname)
    from pg_catalog.pg_ts_parser p
    union all
    select
        'text search parsers and templates',
        'pg_catalog.pg_ts_template'::pg_catalog.regclass,
        t.oid,
        pg_catalog.quote_ident(t.tmplname)
    from pg_catalog.pg_ts_template t
    union all
    select
        'access methods',
        'pg_catalog.pg_am'::pg_catalog.regclass,
        a.oid,
        pg_catalog.quote_ident(a.amname)
    from pg_catalog.pg_am a
) o
where o.oid >= 16384
    and not exists (
        select
        from pg_catalog.pg_depend d
        where d.classid = o.classid
            and d.objid = o.oid
            and d.deptype = 'e'
    )
order by o.class, o.name
