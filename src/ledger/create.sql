-- Creates the ledger of a migration on the target.
-- Columns: see src/ledger/mod.rs.
-- Minimum server version: 10.
-- Source: https://www.postgresql.org/docs/current/sql-createtable.html
create schema if not exists pgcopydb;
revoke all on schema pgcopydb from public;
comment on schema pgcopydb is 'ledger of a running migration; removed when it is complete';
create table pgcopydb.run (
    run_id text not null primary key,
    epoch integer not null,
    source_system_identifier numeric not null,
    source_database text not null,
    source_database_oid bigint not null,
    options_digest text not null,
    options text not null,
    stage text not null,
    snapshot_identity text not null,
    started_at timestamptz not null default pg_catalog.now(),
    changed_at timestamptz not null default pg_catalog.now()
);
create unique index run_is_single on pgcopydb.run ((true));
create table pgcopydb.part (
    relation bigint not null,
    part_index integer not null,
    part_count integer not null,
    file_node bigint not null,
    rows bigint not null,
    bytes bigint not null,
    duration_ms bigint not null,
    snapshot_lsn pg_lsn,
    primary key (relation, part_index)
);
create table pgcopydb.split (
    relation bigint not null primary key,
    ranges text not null
);
create table pgcopydb.statement (
    digest bigint not null primary key
);
create table pgcopydb.object (
    kind "char" not null,
    oid bigint not null,
    primary key (kind, oid)
);
