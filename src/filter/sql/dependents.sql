-- What cannot be without objects that are left out, through pg_depend and any number of steps: views,
-- materialized views, functions, types, rules, triggers, policies, ….
--
-- Ordinary, partitioned and foreign tables, indexes and sequences are not followed: the filters have
-- decided about them. One that is kept and needs something that goes is a conflict. Members of
-- extensions are not dumped, so they do not matter.
--
-- params: catalogs, objects (arrays of equal length: what is left out so far)
-- columns: catalog, object, description, description of what it depends on,
--          by_itself (it is no mere part of that), conflict,
--          schema of what it depends on (conflicts only; null for what is in none)
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-depend.html
with recursive gone (classid, objid, via_classid, via_objid, deptype) as (
    select s.classid, s.objid, null::oid, null::oid, null::"char"
      from rows from (pg_catalog.unnest($1::oid[]), pg_catalog.unnest($2::oid[])) as s (classid, objid)
    union
    select t.classid, t.objid, g.classid, g.objid, d.deptype
      from gone g
      join pg_catalog.pg_depend d
        on d.refclassid = g.classid and d.refobjid = g.objid and d.deptype in ('n', 'a', 'i')
      left join pg_catalog.pg_rewrite r
        on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and r.oid = d.objid
      -- A view goes with its rule; a composite type is known by its type.
      left join pg_catalog.pg_class c
        on c.oid = case when r.rulename = '_RETURN' then r.ev_class
                        when d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass then d.objid end
     cross join lateral (
           select case when c.relkind = 'c' then 'pg_catalog.pg_type'::pg_catalog.regclass::oid
                       when c.oid is not null then 'pg_catalog.pg_class'::pg_catalog.regclass::oid
                       else d.classid end,
                  case when c.relkind = 'c' then c.reltype
                       when c.oid is not null then c.oid
                       else d.objid end
           ) as t (classid, objid)
     where (c.oid is null or c.relkind in ('v', 'm', 'c'))
       and d.classid <> 'pg_catalog.pg_attrdef'::pg_catalog.regclass
       and not exists (
           select
             from pg_catalog.pg_constraint k
            where d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass
              and k.oid = d.objid and k.contype in ('c', 'n') and k.conrelid <> 0)
       and not exists (
           select
             from pg_catalog.pg_depend e
            where e.classid = t.classid and e.objid = t.objid and e.deptype = 'e')
), dependent as (
    select g.classid, g.objid,
           pg_catalog.min(g.via_classid) as via_classid,
           -- Of several reasons the first one by identifier, for the same answer every time.
           (pg_catalog.array_agg(g.via_objid order by g.via_classid, g.via_objid))[1] as via_objid,
           pg_catalog.bool_or(g.deptype = 'n') as by_itself
      from gone g
     where g.via_objid is not null
     group by g.classid, g.objid
), conflict as (
    select distinct on (t.oid) t.oid, d.refclassid, d.refobjid
      from (select distinct classid, objid from gone) g
      join pg_catalog.pg_depend d
        on d.refclassid = g.classid and d.refobjid = g.objid and d.deptype = 'n'
      left join pg_catalog.pg_attrdef a
        on d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass and a.oid = d.objid
      left join pg_catalog.pg_constraint k
        on d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass
       and k.oid = d.objid and k.contype in ('c', 'n')
      join pg_catalog.pg_class t
        on t.oid = case when d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass then d.objid
                        else coalesce(a.adrelid, k.conrelid) end
     where t.relkind in ('r', 'p', 'f')
       and d.refclassid <> 'pg_catalog.pg_namespace'::pg_catalog.regclass
     order by t.oid, d.refclassid, d.refobjid
)
select d.classid, d.objid,
       pg_catalog.pg_describe_object(d.classid, d.objid, 0),
       pg_catalog.pg_describe_object(d.via_classid, d.via_objid, 0),
       d.by_itself, false, null
  from dependent d
union all
select 'pg_catalog.pg_class'::pg_catalog.regclass::oid, c.oid,
       pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, c.oid, 0),
       pg_catalog.pg_describe_object(c.refclassid, c.refobjid, 0),
       true, true,
       (pg_catalog.pg_identify_object(c.refclassid, c.refobjid, 0)).schema
  from conflict c
 order by 6, 1, 2
