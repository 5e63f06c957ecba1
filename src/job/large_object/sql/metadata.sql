-- Owner, privileges and comment of large objects, by identifier.
--
-- params: identifiers (oid array)
-- columns: oid, owner, default_acl (no privilege was ever granted or revoked), comment
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-largeobject-metadata.html
select m.oid,
       pg_catalog.pg_get_userbyid(m.lomowner),
       m.lomacl is null,
       d.description
  from pg_catalog.pg_largeobject_metadata as m
  left join pg_catalog.pg_description as d
         on d.objoid = m.oid
        and d.classoid = 'pg_catalog.pg_largeobject'::pg_catalog.regclass
        and d.objsubid = 0
 where m.oid = any ($1::pg_catalog.oid[])
 order by m.oid
