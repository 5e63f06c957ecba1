-- Settings of a target that a preflight looks at: one row.
--
-- columns: log_statement, auto_explain, read_only, lz4, icu, managed_role, collation_recorded,
--          collation_actual
-- since: 10
-- docs: https://www.postgresql.org/docs/current/view-pg-settings.html
select
    pg_catalog.current_setting('log_statement') as log_statement,
    coalesce(
        pg_catalog.current_setting('auto_explain.log_min_duration', true) <> '-1', false
    ) as auto_explain,
    -- Our sessions switch it off: the value that it goes back to is what role and database say.
    (
        select s.reset_val = 'on'
        from pg_catalog.pg_settings s
        where s.name = 'default_transaction_read_only'
    ) as read_only,
    -- From version 14.
    coalesce(
        (
            select 'lz4' = any (s.enumvals)
            from pg_catalog.pg_settings s
            where s.name = 'default_toast_compression'
        ),
        false
    ) as lz4,
    -- initdb imports ICU's collations where the server knows ICU; "unicode" is there in any case.
    exists (
        select
        from pg_catalog.pg_collation c
        where c.collprovider = 'i' and c.collname like '%-x-icu'
    ) as icu,
    (
        select pg_catalog.min(r.rolname::pg_catalog.text)
        from pg_catalog.pg_roles r
        where r.rolname in (
                'rds_superuser', 'cloudsqlsuperuser', 'alloydbsuperuser', 'azure_pg_admin',
                'azuresu', 'neon_superuser', 'supabase_admin', 'aiven_admin', 'doadmin'
            )
            and pg_catalog.pg_has_role(r.oid, 'member')
    ) as managed_role,
    {datcollversion} as collation_recorded,
    {datcollversion_actual} as collation_actual
from pg_catalog.pg_database d
where d.datname = pg_catalog.current_database()
order by d.oid
