-- Versions of some extensions that could be installed, by name and version. $1 are names.
--
-- columns: name, version, superuser, trusted
-- since: 10
-- docs: https://www.postgresql.org/docs/current/view-pg-available-extension-versions.html
select
    v.name,
    v.version,
    v.superuser,
    {extension_trusted} as trusted
from pg_catalog.pg_available_extension_versions v
where v.name = any ($1::pg_catalog.text[])
order by v.name, v.version
