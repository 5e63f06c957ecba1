-- Facts about the server, the database and our role: one row.
--
-- The role's privilege on pg_control_system() is asked for here and used by system_identifier.sql:
-- a refused function call would end the transaction that holds the snapshot.
--
-- columns: version, version_text, may_read_control, database, database_oid, encoding, collate,
--          block_size, standby, role, superuser, bypass_rls, may_create, replication,
--          connections_max, integer_datetimes, parallel_maintenance_workers, worker_processes,
--          maintenance_work_mem, shared_buffers, wal_level, max_wal_size, frozen_xid_age,
--          old_snapshot_threshold, statement_timeout, search_path
-- since: 10
-- docs: https://www.postgresql.org/docs/current/functions-info.html
select
    pg_catalog.current_setting('server_version_num') as version,
    pg_catalog.current_setting('server_version') as version_text,
    pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'execute')
        as may_read_control,
    d.datname as database,
    d.oid as database_oid,
    pg_catalog.pg_encoding_to_char(d.encoding) as encoding,
    -- Before version 15 there is one provider; the column of its locale was renamed in 17.
    coalesce(
        coalesce(
            pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale'
        ) || case pg_catalog.to_jsonb(d) ->> 'datlocprovider'
            when 'i' then ' (icu)'
            when 'b' then ' (builtin)'
        end,
        d.datcollate
    ) as collate,
    pg_catalog.current_setting('block_size') as block_size,
    pg_catalog.pg_is_in_recovery() as standby,
    r.rolname as role,
    r.rolsuper as superuser,
    r.rolsuper or r.rolbypassrls as bypass_rls,
    pg_catalog.has_database_privilege(d.oid, 'create') as may_create,
    r.rolsuper or r.rolreplication as replication,
    -- A limit of -1 is none; superusers are exempt from both. Templates of a pooler or a cloud may
    -- reserve more than the two settings of the server itself: 'reserved_connections' is from 16.
    least(
        pg_catalog.current_setting('max_connections')::pg_catalog.int8
            - pg_catalog.current_setting('superuser_reserved_connections')::pg_catalog.int8
            - coalesce(
                pg_catalog.current_setting('reserved_connections', true)::pg_catalog.int8, 0),
        case when r.rolconnlimit >= 0 and not r.rolsuper then r.rolconnlimit end,
        case when d.datconnlimit >= 0 and not r.rolsuper then d.datconnlimit end
    ) as connections_max,
    pg_catalog.current_setting('integer_datetimes')::pg_catalog.bool as integer_datetimes,
    -- From version 11.
    coalesce(pg_catalog.current_setting('max_parallel_maintenance_workers', true), '0')
        as parallel_maintenance_workers,
    pg_catalog.current_setting('max_worker_processes') as worker_processes,
    pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem'))
        as maintenance_work_mem,
    pg_catalog.pg_size_bytes(pg_catalog.current_setting('shared_buffers')) as shared_buffers,
    pg_catalog.current_setting('wal_level') as wal_level,
    pg_catalog.pg_size_bytes(pg_catalog.current_setting('max_wal_size')) as max_wal_size,
    pg_catalog.age(d.datfrozenxid) as frozen_xid_age,
    -- Before version 17; in minutes, -1 is off.
    (
        select s.setting::pg_catalog.int4
        from pg_catalog.pg_settings s
        where s.name = 'old_snapshot_threshold' and s.setting::pg_catalog.int4 >= 0
    ) as old_snapshot_threshold,
    pg_catalog.current_setting('statement_timeout') as statement_timeout,
    -- What our session would have if it had not set its own.
    (
        select s.reset_val
        from pg_catalog.pg_settings s
        where s.name = 'search_path'
    ) as search_path
from pg_catalog.pg_database d
join pg_catalog.pg_roles r on r.rolname = current_user
where d.datname = pg_catalog.current_database()
order by d.oid
