-- Histogram bounds of an integer column (parameters: schema, table, column), smallest first.
--
-- The bounds cut the table's rows, as the last ANALYZE sampled them, into parts of equal counts. The
-- view shows only what our role may read.
--
-- columns: bound
-- since: 10
-- docs: https://www.postgresql.org/docs/current/view-pg-stats.html
select b.bound
from pg_catalog.pg_stats s
cross join lateral pg_catalog.unnest(
    s.histogram_bounds::pg_catalog.text::pg_catalog.int8[]
) as b (bound)
where s.schemaname = $1
    and s.tablename = $2
    and s.attname = $3
    and not s.inherited
order by b.bound
