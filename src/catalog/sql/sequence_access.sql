-- Whether sequences (parameter 1, an array of identifiers) still exist and can be read, by identifier.
--
-- Privileges are asked of the present catalog, where a dropped sequence has none at all. An unlogged
-- sequence (version 15) has no contents on a standby.
--
-- columns: oid, gone, readable
-- since: 10
-- docs: https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-ACCESS
select
    s.oid,
    pg_catalog.has_sequence_privilege(s.oid, 'select') is null as gone,
    coalesce(
        pg_catalog.has_sequence_privilege(s.oid, 'select')
            and pg_catalog.has_schema_privilege(c.relnamespace, 'usage')
            and not (c.relpersistence = 'u' and pg_catalog.pg_is_in_recovery()),
        false
    ) as readable
from pg_catalog.unnest($1::pg_catalog.oid[]) as s (oid)
left join pg_catalog.pg_class c on c.oid = s.oid
order by s.oid
