-- Members of extensions as text: one row per property, by extension, object and property. $1 are names of
-- extensions, $2 says whether texts that only one major version prints alike are wanted.
--
-- Objects are named by pg_identify_object(), whose words are in no language. Bodies of functions are
-- digests, all else is text that stands in a statement.
--
-- columns: extension, object, property, value
-- since: 10
-- docs: https://www.postgresql.org/docs/current/extend-extensions.html
with member as (
    select
        e.extname as extension,
        d.classid,
        d.objid,
        i.type || ' ' || i.identity as object
    from pg_catalog.pg_extension e
    join pg_catalog.pg_depend d
        on d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
        and d.refobjid = e.oid
        and d.deptype = 'e'
    cross join lateral pg_catalog.pg_identify_object(d.classid, d.objid, 0) as i
    where e.extname = any ($1::pg_catalog.text[])
), relation as (
    select m.extension, m.object, c.oid, c.relkind, c.reloptions
    from member m
    join pg_catalog.pg_class c on c.oid = m.objid
    where m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
)
select p.extension, p.object, p.property, p.value
from (
    select m.extension, m.object, 'existence'::pg_catalog.text as property, 'member'::pg_catalog.text as value
    from member m
    union all
    select e.extname, 'extension', 'schema', n.nspname::pg_catalog.text
    from pg_catalog.pg_extension e
    join pg_catalog.pg_namespace n on n.oid = e.extnamespace
    where e.extname = any ($1::pg_catalog.text[])
    union all
    select m.extension, m.object, 'comment', d.description
    from member m
    join pg_catalog.pg_description d
        on d.classoid = m.classid
        and d.objoid = m.objid
        and d.objsubid = 0
    union all
    select
        m.extension,
        m.object,
        'definition',
        pg_catalog.md5(pg_catalog.concat_ws(
            ' ',
            l.lanname,
            f.provolatile,
            f.proisstrict,
            f.prosecdef,
            f.proconfig,
            f.prosrc
        ))
    from member m
    join pg_catalog.pg_proc f on f.oid = m.objid
    join pg_catalog.pg_language l on l.oid = f.prolang
    where m.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    union all
    select
        r.extension,
        r.object,
        'column ' || pg_catalog.quote_ident(a.attname),
        pg_catalog.format_type(a.atttypid, a.atttypmod)
            || case when a.attnotnull then ' not null' else '' end
            || coalesce(' default ' || pg_catalog.pg_get_expr(x.adbin, x.adrelid), '')
    from relation r
    join pg_catalog.pg_attribute a on a.attrelid = r.oid
    left join pg_catalog.pg_attrdef x on x.adrelid = a.attrelid and x.adnum = a.attnum
    where r.relkind in ('r', 'p', 'f')
        and a.attnum > 0
        and not a.attisdropped
    union all
    select
        m.extension,
        m.object,
        'attribute ' || pg_catalog.quote_ident(a.attname),
        pg_catalog.format_type(a.atttypid, a.atttypmod)
    from member m
    join pg_catalog.pg_type t on t.oid = m.objid
    join pg_catalog.pg_class c on c.oid = t.typrelid and c.relkind = 'c'
    join pg_catalog.pg_attribute a on a.attrelid = c.oid
    where m.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
        and a.attnum > 0
        and not a.attisdropped
    union all
    select
        m.extension,
        m.object,
        'value ' || pg_catalog.quote_literal(l.enumlabel),
        'label'
    from member m
    join pg_catalog.pg_enum l on l.enumtypid = m.objid
    where m.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
    union all
    select
        m.extension,
        m.object,
        'constraint ' || pg_catalog.quote_ident(k.conname),
        pg_catalog.pg_get_constraintdef(k.oid)
    from pg_catalog.pg_constraint k
    join member m
        on m.objid = case when k.contypid <> 0 then k.contypid else k.conrelid end
        and m.classid = case
            when k.contypid <> 0 then 'pg_catalog.pg_type'::pg_catalog.regclass
            else 'pg_catalog.pg_class'::pg_catalog.regclass
        end
    where k.contype in ('p', 'u', 'x', 'f', 'c')
    union all
    select
        r.extension,
        r.object,
        'index ' || pg_catalog.quote_ident(c.relname),
        pg_catalog.pg_get_indexdef(x.indexrelid)
    from relation r
    join pg_catalog.pg_index x on x.indrelid = r.oid
    join pg_catalog.pg_class c on c.oid = x.indexrelid
    where not exists (
        select
        from pg_catalog.pg_constraint k
        where k.conindid = x.indexrelid
            and k.conrelid = x.indrelid
    )
    union all
    select
        r.extension,
        r.object,
        'trigger ' || pg_catalog.quote_ident(t.tgname),
        pg_catalog.pg_get_triggerdef(t.oid)
            || case t.tgenabled when 'O' then '' else ' [' || t.tgenabled::pg_catalog.text || ']' end
    from relation r
    join pg_catalog.pg_trigger t on t.tgrelid = r.oid
    where not t.tgisinternal
    union all
    select
        r.extension,
        r.object,
        'row security',
        case when c.relforcerowsecurity then 'FORCE' else 'ENABLE' end
    from relation r
    join pg_catalog.pg_class c on c.oid = r.oid
    where c.relrowsecurity
        or c.relforcerowsecurity
    union all
    select
        r.extension,
        r.object,
        'policy ' || pg_catalog.quote_ident(y.polname),
        'CREATE POLICY ' || pg_catalog.quote_ident(y.polname)
            || ' ON ' || r.oid::pg_catalog.regclass::pg_catalog.text
            || case when y.polpermissive then '' else ' AS RESTRICTIVE' end
            || case y.polcmd
                when 'r' then ' FOR SELECT'
                when 'a' then ' FOR INSERT'
                when 'w' then ' FOR UPDATE'
                when 'd' then ' FOR DELETE'
                else ''
            end
            || ' TO ' || (
                select pg_catalog.string_agg(
                    coalesce(pg_catalog.quote_ident(o.rolname), 'PUBLIC'),
                    ', '
                    order by o.rolname
                )
                from pg_catalog.unnest(y.polroles) as u (oid)
                left join pg_catalog.pg_roles o on o.oid = u.oid
            )
            || coalesce(' USING (' || pg_catalog.pg_get_expr(y.polqual, y.polrelid) || ')', '')
            || coalesce(
                ' WITH CHECK (' || pg_catalog.pg_get_expr(y.polwithcheck, y.polrelid) || ')',
                ''
            )
    from relation r
    join pg_catalog.pg_policy y on y.polrelid = r.oid
    union all
    select r.extension, r.object, 'rule ' || pg_catalog.quote_ident(w.rulename), w.ev_enabled::pg_catalog.text
    from relation r
    join pg_catalog.pg_rewrite w on w.ev_class = r.oid
    where w.rulename <> '_RETURN'
    union all
    select r.extension, r.object, 'definition', pg_catalog.pg_get_viewdef(r.oid)
    from relation r
    where r.relkind in ('v', 'm')
        and $2::pg_catalog.bool
    union all
    select r.extension, r.object, 'options', r.reloptions::pg_catalog.text
    from relation r
    where r.reloptions is not null
) p
order by p.extension, p.object, p.property
