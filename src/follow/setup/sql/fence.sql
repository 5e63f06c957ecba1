-- The value of default_transaction_read_only of the current database, and whether our role may change it.
--
-- params: none
-- columns: database, value (null: none of its own), may_change
-- since: 10
-- docs: https://www.postgresql.org/docs/current/catalog-pg-db-role-setting.html
select d.datname,
       (select pg_catalog.substr(c.setting, pg_catalog.strpos(c.setting, '=') + 1)
          from pg_catalog.pg_db_role_setting as s
         cross join lateral pg_catalog.unnest(s.setconfig) as c (setting)
         where s.setdatabase = d.oid and s.setrole = 0
           and c.setting like 'default\_transaction\_read\_only=%'),
       pg_catalog.pg_has_role(d.datdba, 'USAGE')
  from pg_catalog.pg_database as d
 where d.datname = pg_catalog.current_database()
