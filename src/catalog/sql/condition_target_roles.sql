-- Which of some roles exist, by name, and whether ours may give them objects. $1 are names.
--
-- columns: name, may_act
-- since: 10
-- docs: https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-ACCESS
select
    r.rolname as name,
    pg_catalog.pg_has_role(r.oid, {set_role}) as may_act
from pg_catalog.pg_roles r
where r.rolname = any ($1::pg_catalog.text[])
order by r.rolname
