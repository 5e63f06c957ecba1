-- Transactions of others that are open with an identifier or a snapshot, and prepared ones, of every
-- database, oldest first. Roles without pg_read_all_stats see only their own sessions'.
--
-- columns: pid, gid, role, application, database, seconds
-- since: 10
-- docs: https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW
select
    a.pid,
    null::pg_catalog.text as gid,
    coalesce(a.usename, '') as role,
    coalesce(a.application_name, '') as application,
    coalesce(a.datname, '') as database,
    greatest(
        pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - a.xact_start), 0
    )::pg_catalog.int8 as seconds
from pg_catalog.pg_stat_activity a
where a.xact_start is not null
    and a.pid <> pg_catalog.pg_backend_pid()
    and a.backend_type = 'client backend'
    and (a.backend_xid is not null or a.backend_xmin is not null)
    and a.application_name !~ '^pgcopydb'
union all
select
    null,
    p.gid,
    p.owner::pg_catalog.text,
    '',
    p.database::pg_catalog.text,
    greatest(
        pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - p.prepared), 0
    )::pg_catalog.int8
from pg_catalog.pg_prepared_xacts p
order by seconds desc, pid, gid
