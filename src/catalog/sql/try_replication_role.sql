-- Tries session_replication_role for the length of this statement: one row, or SQLSTATE 42501.
--
-- Asking is better than looking at privileges: clouds let roles set it in ways of their own, and
-- has_parameter_privilege() exists from version 15 only.
--
-- columns: value
-- since: 10
-- docs: https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-SESSION-REPLICATION-ROLE
select pg_catalog.set_config('session_replication_role', 'replica', true) as value
