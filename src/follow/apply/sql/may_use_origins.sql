-- Whether this role may keep its position in a replication origin. Before version 14 the functions
-- asked for a superuser whatever was granted.
--
-- params: none
-- columns: may_use_origins
-- since: 10
-- docs: https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-REPLICATION
select pg_catalog.current_setting('is_superuser') = 'on'
       or (pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 140000
           and not exists (
               select from pg_catalog.pg_proc as p
                where p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
                  and p.proname in ('pg_replication_origin_create', 'pg_replication_origin_drop',
                                    'pg_replication_origin_oid', 'pg_replication_origin_advance',
                                    'pg_replication_origin_session_setup',
                                    'pg_replication_origin_xact_setup',
                                    'pg_replication_origin_progress')
                  and not pg_catalog.has_function_privilege(p.oid, 'execute')))
