-- Numbers and settings of a source that a preflight looks at: one row.
--
-- Large objects have no has_..._privilege() before version 18, so their lists are taken apart here;
-- one without a list is its owner's.
--
-- columns: wal_senders_left, slots_left, slot_wal_keep_bytes, lock_slots, collation_recorded,
--          collation_actual, publications, subscriptions, may_read_passwords, lz4_columns,
--          lz4_example, label_providers, large_objects_unreadable, large_object_example,
--          foreign_tables, xml_columns, xml_example, xml_defaults
-- since: 10
-- docs: https://www.postgresql.org/docs/current/view-pg-settings.html
select
    pg_catalog.current_setting('max_wal_senders')::pg_catalog.int8
        - (select pg_catalog.count(*) from pg_catalog.pg_stat_replication) as wal_senders_left,
    pg_catalog.current_setting('max_replication_slots')::pg_catalog.int8
        - (select pg_catalog.count(*) from pg_catalog.pg_replication_slots) as slots_left,
    -- From version 13, in megabytes.
    coalesce(
        (
            select
                case
                    when s.setting::pg_catalog.int8 < 0 then -1
                    else s.setting::pg_catalog.int8 * 1024 * 1024
                end
            from pg_catalog.pg_settings s
            where s.name = 'max_slot_wal_keep_size'
        ),
        -1
    ) as slot_wal_keep_bytes,
    pg_catalog.current_setting('max_locks_per_transaction')::pg_catalog.int8
        * (
            pg_catalog.current_setting('max_connections')::pg_catalog.int8
            + pg_catalog.current_setting('max_prepared_transactions')::pg_catalog.int8
        ) as lock_slots,
    {datcollversion} as collation_recorded,
    {datcollversion_actual} as collation_actual,
    (select pg_catalog.count(*) from pg_catalog.pg_publication) as publications,
    (
        select pg_catalog.count(*)
        from pg_catalog.pg_subscription s
        where s.subdbid = d.oid
    ) as subscriptions,
    pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'select') as may_read_passwords,
    lz4.count as lz4_columns,
    lz4.example as lz4_example,
    (
        select pg_catalog.string_agg(distinct l.provider, ', ' order by l.provider)
        from pg_catalog.pg_seclabel l
    ) as label_providers,
    lo.count as large_objects_unreadable,
    lo.example as large_object_example,
    (
        select pg_catalog.count(*)
        from pg_catalog.pg_class c
        where c.relkind = 'f'
    ) as foreign_tables,
    xml.count as xml_columns,
    xml.example as xml_example,
    xml.defaults as xml_defaults
from pg_catalog.pg_database d
cross join lateral (
    select
        pg_catalog.count(*) as count,
        pg_catalog.min(a.attrelid::pg_catalog.regclass::pg_catalog.text) as example
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p', 'm')
    where {attcompression} = 'l'
        and a.attnum > 0
        and not a.attisdropped
) lz4
cross join lateral (
    -- xml and xml[]; generated columns are computed on the target as well.
    select
        pg_catalog.count(*) as count,
        pg_catalog.min(a.attrelid::pg_catalog.regclass::pg_catalog.text) as example,
        pg_catalog.count(*) filter (where a.atthasdef) as defaults
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p', 'm')
    where a.atttypid in (142, 143)
        and a.attnum > 0
        and not a.attisdropped
) xml
cross join lateral (
    select
        pg_catalog.count(*) as count,
        pg_catalog.min(m.oid) as example
    from pg_catalog.pg_largeobject_metadata m
    where not pg_catalog.pg_has_role(m.lomowner, 'usage')
        and not exists (
            select
            from pg_catalog.aclexplode(m.lomacl) x
            where x.privilege_type = 'SELECT'
                and (x.grantee = 0 or pg_catalog.pg_has_role(x.grantee, 'usage'))
        )
) lo
where d.datname = pg_catalog.current_database()
order by d.oid
