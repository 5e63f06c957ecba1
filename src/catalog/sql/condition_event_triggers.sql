-- Event triggers that are not disabled, by name.
--
-- columns: name, enabled
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-event-trigger.html
select
    e.evtname as name,
    e.evtenabled as enabled
from pg_catalog.pg_event_trigger e
where e.evtenabled <> 'D'
order by e.evtname
