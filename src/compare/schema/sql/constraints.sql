-- Constraints of tables and domains. Copies of foreign keys for partitions are left out: the server names them, each version its own way. NOT NULL is a constraint from version 18 on.
--
-- columns: kind, schema, object, parent, catalog, oid, parent_oid, then one per property, named as people see it
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-constraint.html
select
    case k.contype when 'p' then 'primary key' when 'u' then 'unique constraint'
        when 'f' then 'foreign key' when 'c' then 'check constraint'
        when 'x' then 'exclusion constraint' when 'n' then 'not-null constraint'
        else 'constraint' end as kind,
    n.nspname as schema,
    format('%I.%I.%I', n.nspname, coalesce(c.relname, t.typname), k.conname) as object,
    format('%I.%I', n.nspname, coalesce(c.relname, t.typname)) as parent,
    2606 as catalog, k.oid, coalesce(c.oid, 0) as parent_oid,
    pg_get_constraintdef(k.oid) as definition,
    k.convalidated as validated,
    case when k.contype = 'f' then k.confrelid::regclass::text end as "references",
    k.conislocal as local,
    obj_description(k.oid, 'pg_constraint') as comment
from pg_catalog.pg_constraint k
join pg_catalog.pg_namespace n on n.oid = k.connamespace
left join pg_catalog.pg_class c on c.oid = k.conrelid
left join pg_catalog.pg_type t on t.oid = k.contypid
where k.contype in ('p', 'u', 'f', 'c', 'x', {not_null_constraints})
    and not (k.contype = 'f' and {conparentid} <> 0)
    and (c.oid is null or c.relpersistence <> 't')
    and {user_schema}
    and ((c.oid is not null and {free(pg_class, c.oid)})
        or (t.oid is not null and {free(pg_type, t.oid)}))
order by 3
