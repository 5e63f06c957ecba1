-- Permanent tables of the user with what decides how their changes can be published: one row each.
--
-- Left out: temporary and unlogged tables, foreign tables, views, members of extensions. A table that
-- is a partition comes with its topmost partitioned table. A deferrable primary key identifies no rows.
--
-- columns: oid, schema, name, partitioned, root, owned, identity, has_primary_key, generated_key,
--          stored_column, virtual_column
-- since: 10
-- docs: https://www.postgresql.org/docs/current/logical-replication-publication.html
with recursive ancestor (oid, root) as (
    select c.oid, c.oid
    from pg_catalog.pg_class c
    where not c.relispartition
    union all
    select i.inhrelid, a.root
    from ancestor a
    join pg_catalog.pg_inherits i on i.inhparent = a.oid
    join pg_catalog.pg_class c on c.oid = i.inhrelid and c.relispartition
)
select
    c.oid,
    n.nspname as schema,
    c.relname as name,
    c.relkind = 'p' as partitioned,
    case when c.relispartition then a.root end as root,
    pg_catalog.pg_has_role(c.relowner, 'usage') as owned,
    case c.relreplident
        when 'f' then 'full'
        when 'd' then case when k.primary_key then 'index' else 'none' end
        when 'i' then case when k.identity then 'index' else 'none' end
        else 'none'
    end as identity,
    coalesce(k.primary_key, false) as has_primary_key,
    coalesce(k.generated_key, false) as generated_key,
    coalesce(g.stored, false) as stored_column,
    coalesce(g.virtual, false) as virtual_column
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join ancestor a on a.oid = c.oid
left join lateral (
    select
        pg_catalog.bool_or(x.indisprimary) as primary_key,
        pg_catalog.bool_or(x.indisreplident) as identity,
        pg_catalog.bool_or(
            (case when c.relreplident = 'i' then x.indisreplident else x.indisprimary end)
            and exists (
                select
                from pg_catalog.pg_attribute ka
                where ka.attrelid = c.oid
                    and ka.attnum = any (x.indkey::pg_catalog.int2[])
                    and (pg_catalog.to_jsonb(ka) ->> 'attgenerated') in ('s', 'v')
            )
        ) as generated_key
    from pg_catalog.pg_index x
    where x.indrelid = c.oid and x.indisvalid and x.indimmediate
) k on true
left join lateral (
    select
        pg_catalog.bool_or((pg_catalog.to_jsonb(ga) ->> 'attgenerated') = 's') as stored,
        pg_catalog.bool_or((pg_catalog.to_jsonb(ga) ->> 'attgenerated') = 'v') as virtual
    from pg_catalog.pg_attribute ga
    where ga.attrelid = c.oid and ga.attnum > 0 and not ga.attisdropped
) g on true
where c.relkind in ('r', 'p')
    and c.relpersistence = 'p'
    and pg_catalog.left(n.nspname::pg_catalog.text, 3) <> 'pg_'
    and n.nspname not in ('information_schema', 'pgcopydb')
    and not exists (
        select
        from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
            and d.objid = c.oid
            and d.objsubid = 0
            and d.deptype = 'e'
    )
order by c.oid
