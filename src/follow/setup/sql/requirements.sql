-- What change data capture needs of the source: one row.
--
-- columns: version, standby, wal_level, slots_max, slots, senders_max, senders, replication,
--          may_create, slot_keep, slot_idle, sender_timeout, feedback
-- since: 10
-- docs: https://www.postgresql.org/docs/current/logicaldecoding-example.html
select
    pg_catalog.current_setting('server_version_num') as version,
    pg_catalog.pg_is_in_recovery() as standby,
    pg_catalog.current_setting('wal_level') as wal_level,
    pg_catalog.current_setting('max_replication_slots') as slots_max,
    (select pg_catalog.count(*) from pg_catalog.pg_replication_slots) as slots,
    pg_catalog.current_setting('max_wal_senders') as senders_max,
    (select pg_catalog.count(*) from pg_catalog.pg_stat_activity s
        where s.backend_type = 'walsender') as senders,
    -- Managed services grant a role instead of the attribute.
    r.rolsuper or r.rolreplication or exists (
        select
        from pg_catalog.pg_roles g
        where g.rolname in ('rds_replication', 'cloudsqlreplica', 'azure_pg_admin')
            and pg_catalog.pg_has_role(r.oid, g.oid, 'member')
    ) as replication,
    pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create') as may_create,
    -- In megabytes, -1 is no limit; from version 13.
    coalesce(
        (select s.setting from pg_catalog.pg_settings s where s.name = 'max_slot_wal_keep_size'),
        '-1'
    ) as slot_keep,
    -- In seconds, 0 is off; from version 18.
    coalesce(
        (select s.setting from pg_catalog.pg_settings s
            where s.name = 'idle_replication_slot_timeout'),
        '0'
    ) as slot_idle,
    (select s.setting from pg_catalog.pg_settings s where s.name = 'wal_sender_timeout')
        as sender_timeout,
    pg_catalog.current_setting('hot_standby_feedback')::pg_catalog.bool as feedback
from pg_catalog.pg_roles r
where r.rolname = current_user
order by r.oid
