-- Extensions that the server could install, with every version of each, by name.
--
-- columns: name, default_version, versions (array)
-- since: 10
-- docs: https://www.postgresql.org/docs/current/view-pg-available-extension-versions.html
select
    e.name,
    coalesce(e.default_version, '') as default_version,
    (select pg_catalog.json_agg(v.version order by v.version)
       from pg_catalog.pg_available_extension_versions v
      where v.name = e.name) as versions
from pg_catalog.pg_available_extensions e
order by e.name
