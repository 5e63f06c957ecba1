-- Event triggers.
--
-- columns: kind, schema, object, parent, catalog, oid, parent_oid, then one per property, named as people see it
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-event-trigger.html
select
    'event trigger' as kind, null as schema, quote_ident(e.evtname) as object, null as parent,
    3466 as catalog, e.oid, 0 as parent_oid,
    {owner(e.evtowner)} as owner,
    e.evtevent as event,
    e.evtfoid::regprocedure as function,
    case e.evtenabled when 'O' then 'origin' when 'D' then 'disabled' when 'R' then 'replica'
        else 'always' end as enabled,
    array_to_string(e.evttags, ', ') as tags,
    obj_description(e.oid, 'pg_event_trigger') as comment
from pg_catalog.pg_event_trigger e
where {free(pg_event_trigger, e.oid)}
order by 3
