-- What newer versions have taken away and the user still has: major version that took it, object, and the
-- statement that removes it, by object.
--
-- columns: removed_in, object, fix
-- since: 10
-- docs: https://www.postgresql.org/docs/current/release.html
select
    o.removed_in,
    o.object,
    o.fix
from (
    select
        14 as removed_in,
        'postfix operator ' || p.oid::pg_catalog.regoperator::pg_catalog.text as object,
        'DROP OPERATOR ' || p.oid::pg_catalog.regoperator::pg_catalog.text || ';' as fix
    from pg_catalog.pg_operator p
    where p.oprkind = 'r'
        and p.oid >= 16384
    union all
    select
        13,
        'function ' || p.oid::pg_catalog.regprocedure::pg_catalog.text || ' with type opaque',
        'DROP FUNCTION ' || p.oid::pg_catalog.regprocedure::pg_catalog.text || ';'
    from pg_catalog.pg_proc p
    join pg_catalog.pg_type t
        on t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace
        and t.typname = 'opaque'
    where p.oid >= 16384
        and (p.prorettype = t.oid or t.oid = any (p.proargtypes))
    union all
    select
        12,
        'column ' || pg_catalog.quote_ident(a.attname) || ' of table '
            || c.oid::pg_catalog.regclass::pg_catalog.text || ' of type ' || t.typname,
        'ALTER TABLE ' || c.oid::pg_catalog.regclass::pg_catalog.text || ' ALTER COLUMN '
            || pg_catalog.quote_ident(a.attname) || ' TYPE '
            || case t.typname
                when 'abstime' then 'timestamptz'
                when 'reltime' then 'interval'
                else 'text'
            end || ';'
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_class c on c.oid = a.attrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_type t on t.oid = a.atttypid
    where t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace
        and t.typname in ('abstime', 'reltime', 'tinterval')
        and a.attnum > 0
        and not a.attisdropped
        and {user_schema}
) o
order by o.object
