-- Sequences; where they stand is asked apart.
--
-- columns: kind, schema, object, parent, catalog, oid, parent_oid, then one per property, named as people see it
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-sequence.html
select
    'sequence' as kind, n.nspname as schema, format('%I.%I', n.nspname, c.relname) as object,
    null as parent, 1259 as catalog, c.oid, 0 as parent_oid,
    c.relname as name,
    {owner(c.relowner)} as owner,
    {acl(c.relacl, s, c.relowner)} as privileges,
    obj_description(c.oid, 'pg_class') as comment,
    case c.relpersistence when 'p' then 'permanent' when 'u' then 'unlogged' end as persistence,
    format_type(s.seqtypid, null) as type,
    s.seqstart as start, s.seqincrement as increment, s.seqmin as minimum, s.seqmax as maximum,
    s.seqcache as cache, s.seqcycle as cycle,
    (select format('%I.%I.%I', tn.nspname, t.relname, a.attname)
        from pg_catalog.pg_depend d
        join pg_catalog.pg_class t on t.oid = d.refobjid
        join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
        join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid
        where d.classid = 1259 and d.objid = c.oid and d.refclassid = 1259
            and d.deptype in ('a', 'i')) as "owned by"
from pg_catalog.pg_sequence s
join pg_catalog.pg_class c on c.oid = s.seqrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relpersistence <> 't' and {user_schema} and {free(pg_class, c.oid)}
order by 3
