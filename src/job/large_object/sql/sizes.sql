-- Large objects of some windows that exist, with the size of those that our role may read; the others have
-- none. The nested levels make sure that an object is opened, measured and closed in this order.
--
-- params: first identifier, last identifier, windows (bigint array), bits that a window spans
-- columns: oid, size
-- since: 10
-- docs: https://www.postgresql.org/docs/current/lo-funcs.html
select c.oid, c.size
  from (select s.oid, s.size, pg_catalog.lo_close(s.descriptor)
          from (select o.oid, o.descriptor, pg_catalog.lo_lseek64(o.descriptor, 0, 2) as size
                  from (select m.oid,
                               case when READABLE
                                    then pg_catalog.lo_open(m.oid, 262144) end as descriptor
                          from pg_catalog.pg_largeobject_metadata as m
                         where m.oid between $1::pg_catalog.oid and $2::pg_catalog.oid
                           and m.oid::pg_catalog.int8 >> $4::pg_catalog.int4
                               = any ($3::pg_catalog.int8[])
                         order by m.oid offset 0) as o offset 0) as s offset 0) as c
