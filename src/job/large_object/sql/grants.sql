-- Privileges on large objects other than the default ones, by identifier, each in the order in which
-- they were granted.
--
-- params: identifiers (oid array)
-- columns: oid, grantor (null: the owner), grantee (null: the owner), grantee is public, privilege,
--          grantable
-- since: 10
-- docs: https://www.postgresql.org/docs/current/ddl-priv.html
select m.oid,
       case when a.grantor <> m.lomowner then pg_catalog.pg_get_userbyid(a.grantor) end,
       case when a.grantee <> m.lomowner and a.grantee <> 0
            then pg_catalog.pg_get_userbyid(a.grantee) end,
       a.grantee = 0,
       a.privilege_type,
       a.is_grantable
  from pg_catalog.pg_largeobject_metadata as m
 cross join pg_catalog.aclexplode(m.lomacl)
            with ordinality as a (grantor, grantee, privilege_type, is_grantable, position)
 where m.oid = any ($1::pg_catalog.oid[])
 order by m.oid, a.position
