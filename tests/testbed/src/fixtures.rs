//! Data to migrate: Pagila from the repository, everything else made by the server.

use std::path::PathBuf;

use anyhow::Result;

use crate::cluster::Cluster;

/// Directory of the test data in the repository.
#[must_use]
pub fn dir() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures"))
}

/// Loads the Pagila sample database into an empty database.
///
/// A DVD rental shop: partitioned table, enum, domains, materialized view, full-text column,
/// triggers, functions; 50 000 rows.
///
/// # Errors
/// psql's message.
pub fn load_pagila(cluster: &Cluster, database: &str) -> Result<()> {
    let pagila = dir().join("pagila");
    cluster.psql_file(database, &pagila.join("pagila-schema.sql"))?;
    cluster.psql_file(database, &pagila.join("pagila-data.sql"))
}

/// Makes the schema `types`: a table per type family, with ordinary, extreme, empty and null
/// values.
///
/// # Errors
/// psql's message.
pub fn types(cluster: &Cluster, database: &str) -> Result<()> {
    cluster.psql_file(database, &dir().join("types.sql"))
}

/// Makes the schema `matrix`: two tables per built-in type, taken from `pg_type`, each with every value
/// in every form.
///
/// # Errors
/// psql's message; also when a type of the server has no values in the fixture.
pub fn type_matrix(cluster: &Cluster, database: &str) -> Result<()> {
    cluster.psql_file(database, &dir().join("type_matrix.sql"))
}

/// Fills a database with pgbench's four tables: 100 000 rows, 15 MB per unit of scale.
///
/// # Errors
/// pgbench's.
pub fn pgbench(cluster: &Cluster, database: &str, scale: u32) -> Result<()> {
    let scale = scale.to_string();
    cluster.pgbench(database, &["-i", "-q", "--foreign-keys", "-s", &scale])?;
    Ok(())
}

/// Makes the table `name` of three integers and no index, 36 bytes a row on disk.
///
/// # Errors
/// The server's.
pub fn three_ints(cluster: &Cluster, database: &str, name: &str, rows: u64) -> Result<()> {
    let sql = format!(
        "create table {name} (a int not null, b int not null, c int);
         insert into {name} select g, g % 1000, (g::bigint * 7919 % 100003)::int
           from generate_series(1, {rows}) g;"
    );
    cluster.psql(database, &sql)?;
    Ok(())
}

/// Makes the table `name` of mixed types, about 370 bytes a row.
///
/// # Errors
/// The server's.
pub fn mixed_rows(cluster: &Cluster, database: &str, name: &str, rows: u64) -> Result<()> {
    let sql = format!(
        "create table {name} (
           id bigint not null, at timestamptz not null, amount numeric(12,2), ratio float8,
           flag boolean, tag uuid, code varchar(20), title text, body text, extra jsonb);
         insert into {name}
         select g, timestamptz '2024-01-01 00:00+00' + g * interval '7 seconds',
                (g % 1000000) / 100.0, g / 7.0, g % 3 = 0, md5(g::text)::uuid,
                'code-' || g % 5000, 'the title of row ' || g, repeat(md5((g + 1)::text), 6),
                jsonb_build_object('k', g % 100, 'v', md5((g + 2)::text))
           from generate_series(1, {rows}) g;"
    );
    cluster.psql(database, &sql)?;
    Ok(())
}

/// Makes the table `name` of rows with 4 kB of incompressible bytes, stored out of line.
///
/// # Errors
/// The server's.
pub fn wide_rows(cluster: &Cluster, database: &str, name: &str, rows: u64) -> Result<()> {
    let sql = format!(
        "create table {name} (id bigint not null, payload bytea not null);
         alter table {name} alter column payload set storage external;
         insert into {name}
         select g, (select string_agg(sha512((g * 64 + part)::text::bytea), null)
                      from generate_series(0, 63) part)
           from generate_series(1, {rows}) g;"
    );
    cluster.psql(database, &sql)?;
    Ok(())
}

/// Makes `tables` small tables of `rows` rows each in the schema `many`, each with a primary key
/// and `indexes` further indexes.
///
/// # Errors
/// The server's.
pub fn many_tables(
    cluster: &Cluster,
    database: &str,
    tables: u32,
    indexes: u32,
    rows: u32,
) -> Result<()> {
    let sql = format!(
        "create schema if not exists many;
         create procedure many.fill() language plpgsql as $$
         begin
           for t in 1..{tables} loop
             execute format('create table many.t%s (id int primary key, v text, n int)', t);
             if {rows} > 0 then
               execute format('insert into many.t%s select g, md5((g + %s)::text), g %% 7'
                              ' from generate_series(1, {rows}) g', t, t);
             end if;
             for i in 1..{indexes} loop
               execute format('create index on many.t%s (%s)', t,
                              (array['v', 'n', 'n, v', 'v, n', 'id, n'])[(i - 1) % 5 + 1]);
             end loop;
             -- Locks and relcache entries pile up within a transaction.
             if t % 200 = 0 then commit; end if;
           end loop;
         end $$;
         call many.fill();
         drop procedure many.fill();"
    );
    cluster.psql(database, &sql)?;
    Ok(())
}

/// Makes `tables` tables without rows, keys or indexes in the schema `empty`.
///
/// # Errors
/// The server's.
pub fn empty_tables(cluster: &Cluster, database: &str, tables: u32) -> Result<()> {
    let sql = format!(
        "create schema if not exists empty;
         create procedure empty.fill() language plpgsql as $$
         begin
           for t in 1..{tables} loop
             execute format('create table empty.t%s (id int, n bigint)', t);
             if t % 200 = 0 then commit; end if;
           end loop;
         end $$;
         call empty.fill();
         drop procedure empty.fill();"
    );
    cluster.psql(database, &sql)?;
    Ok(())
}

/// Makes `count` large objects, with contents of 1 byte to a few pages, one empty, one with a hole.
///
/// # Errors
/// The server's.
pub fn large_objects(cluster: &Cluster, database: &str, count: u32) -> Result<()> {
    let sql = format!(
        "select count(lo_from_bytea(0, decode(repeat(md5(g::text), g % 400 + 1), 'hex')))
           from generate_series(1, {count}) g;
         select lo_create(0);
         do $$
         declare id oid := lo_from_bytea(0, 'start');
         begin
           perform lo_put(id, 100000, 'after the hole');
         end $$;"
    );
    cluster.psql(database, &sql)?;
    Ok(())
}
