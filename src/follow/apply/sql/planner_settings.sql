-- Sets what the planner may choose for statements that change rows by their key: these settings, as
-- far as the server knows them.
--
-- params: none
-- columns: name, value
-- since: 10
-- docs: https://www.postgresql.org/docs/current/runtime-config-query.html
select s.name,
       pg_catalog.set_config(s.name, v.value, false)
  from (values ('plan_cache_mode', 'force_generic_plan'),
               ('enable_hashjoin', 'off'),
               ('enable_mergejoin', 'off'),
               ('enable_seqscan', 'off'),
               ('enable_bitmapscan', 'off'),
               ('max_parallel_workers_per_gather', '0')) as v (name, value)
  join pg_catalog.pg_settings as s on s.name = v.name
 order by s.name
