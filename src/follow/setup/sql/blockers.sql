-- Who keeps a new slot waiting: open transactions that write, and prepared ones, oldest first.
--
-- columns: what, seconds
-- since: 10
-- docs: https://www.postgresql.org/docs/current/view-pg-prepared-xacts.html
select b.what, pg_catalog.date_part('epoch', b.age)::pg_catalog.int8 as seconds
from (
    select
        pg_catalog.format('process %s of %s (%s)', s.pid, s.usename, s.state) as what,
        pg_catalog.clock_timestamp() - s.xact_start as age
    from pg_catalog.pg_stat_activity s
    where s.backend_xid is not null and s.pid <> pg_catalog.pg_backend_pid()
    union all
    select
        pg_catalog.format('prepared transaction "%s" of %s in database %s', p.gid, p.owner, p.database),
        pg_catalog.clock_timestamp() - p.prepared
    from pg_catalog.pg_prepared_xacts p
) b
order by b.age desc nulls last
limit 5
