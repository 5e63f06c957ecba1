-- Partitioned tables whose hash function works on identifiers: enums (by those of their labels) and rows
-- (by those of their types). Another database puts the same row into another partition.
--
-- columns: oid
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-partitioned-table.html
select p.partrelid as oid
from pg_catalog.pg_partitioned_table p
where p.partstrat = 'h'
    and exists (
        select
        from pg_catalog.unnest(p.partclass::pg_catalog.oid[]) k (oid)
        join pg_catalog.pg_opclass o on o.oid = k.oid
        where o.opcintype in (3500, 2249)
    )
order by p.partrelid
