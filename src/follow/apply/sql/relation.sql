-- A relation of the target that changes are applied to.
--
-- params: schema, name
-- columns: oid, kind, has_children, fires_as_replica, fires_as_origin, cascades
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-trigger.html
with recursive tree (oid) as (
    select c.oid
      from pg_catalog.pg_class as c
      join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relname = $2
    union
    select h.inhrelid
      from tree as t
      join pg_catalog.pg_class as c on c.oid = t.oid and c.relkind = 'p'
      join pg_catalog.pg_inherits as h on h.inhparent = t.oid)
select c.oid,
       c.relkind,
       exists (select from pg_catalog.pg_inherits as h where h.inhparent = c.oid),
       (select pg_catalog.string_agg(f.name, ', ' order by f.name)
          from (select g.tgname::pg_catalog.text as name
                  from pg_catalog.pg_trigger as g
                 where g.tgrelid in (select oid from tree)
                   and not g.tgisinternal and g.tgenabled in ('A', 'R')
                union
                select r.rulename::pg_catalog.text
                  from pg_catalog.pg_rewrite as r
                 where r.ev_class = c.oid and r.rulename <> '_RETURN'
                   and r.ev_enabled in ('A', 'R')) as f),
       (select pg_catalog.string_agg(f.name, ', ' order by f.name)
          from (select coalesce(k.conname, g.tgname)::pg_catalog.text as name
                  from pg_catalog.pg_trigger as g
                  left join pg_catalog.pg_constraint as k on k.oid = g.tgconstraint
                 where g.tgrelid in (select oid from tree) and g.tgenabled in ('A', 'O')
                union
                select r.rulename::pg_catalog.text
                  from pg_catalog.pg_rewrite as r
                 where r.ev_class = c.oid and r.rulename <> '_RETURN'
                   and r.ev_enabled in ('A', 'O')) as f),
       exists (select from pg_catalog.pg_constraint as k
                where k.conrelid in (select oid from tree) and k.contype = 'f'
                  and (k.confdeltype in ('c', 'n', 'd') or k.confupdtype in ('c', 'n', 'd')))
  from pg_catalog.pg_class as c
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
 where n.nspname = $1 and c.relname = $2
   and c.relkind in ('r', 'p', 'm', 'v', 'f')
 order by c.oid
