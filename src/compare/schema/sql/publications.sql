-- Publications.
--
-- columns: kind, schema, object, parent, catalog, oid, parent_oid, then one per property, named as people see it
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-publication.html
select
    'publication' as kind, null as schema, quote_ident(p.pubname) as object, null as parent,
    6104 as catalog, p.oid, 0 as parent_oid,
    {owner(p.pubowner)} as owner,
    p.puballtables as "all tables",
    concat_ws(', ', case when p.pubinsert then 'insert' end, case when p.pubupdate then 'update' end,
        case when p.pubdelete then 'delete' end, case when {pubtruncate} then 'truncate' end)
        as operations,
    {pubviaroot} as "via root",
    (select string_agg({pub_table}, ', ' order by r.prrelid::regclass::text collate "C")
        from pg_catalog.pg_publication_rel r where r.prpubid = p.oid) as tables,
    {pub_schemas} as schemas,
    obj_description(p.oid, 'pg_publication') as comment
from pg_catalog.pg_publication p
where {free(pg_publication, p.oid)}
order by 3
