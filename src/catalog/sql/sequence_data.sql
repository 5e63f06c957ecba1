-- Present values of readable sequences (parameter 1, an array of identifiers), by identifier.
--
-- columns: oid, last_value, is_called
-- since: 18
-- docs: https://www.postgresql.org/docs/current/functions-sequence.html
select
    s.oid,
    v.last_value,
    v.is_called
from pg_catalog.unnest($1::pg_catalog.oid[]) as s (oid)
cross join lateral pg_catalog.pg_get_sequence_data(s.oid::pg_catalog.regclass) v
where v.last_value is not null
order by s.oid
