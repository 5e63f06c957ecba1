//! The catalog module against real servers: every flag of the model on a schema that has it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod indexes;
mod scale;
mod sequences;
mod server;
mod split;
mod tables;
mod types;

use pgcopydb::base::error::Side;
use pgcopydb::base::ident::QualifiedName;
use pgcopydb::catalog::fetch::{self, SizeSource};
use pgcopydb::catalog::model::{Constraint, Index, SourceCatalog, Table};
use pgcopydb::connect::client::Session;
use pgcopydb::connect::conninfo::{ConnInfo, Environment};
use testbed::{Major, TestDatabase, shared};

/// A database of its own on the shared cluster of each major version, for tests that hold for all.
fn on_every_version(prefix: &str) -> Vec<(Major, TestDatabase<'static>)> {
    let create = |major| (major, TestDatabase::create(shared(major), prefix).unwrap());
    Major::ALL.map(create).into()
}

/// A session with nothing set.
async fn connect(uri: &str) -> Session {
    let environment = Environment::empty().with_user("postgres");
    let info = ConnInfo::parse(uri, &environment).unwrap();
    Session::connect(Side::Source, &info, "catalog test").await.unwrap()
}

/// A session in the transaction that a run reads its source in.
async fn snapshot(uri: &str) -> Session {
    let mut session = connect(uri).await;
    session
        .execute(
            "set search_path = ''; set row_security = off; \
             begin isolation level repeatable read, read only; \
             select pg_catalog.pg_current_snapshot()",
        )
        .await
        .unwrap();
    session
}

/// The catalog of a database, sizes from the files.
async fn read(uri: &str) -> SourceCatalog {
    fetch::source(&mut snapshot(uri).await, SizeSource::Files).await.unwrap()
}

/// The catalog after a script was run.
async fn read_after(database: &TestDatabase<'_>, sql: &str) -> SourceCatalog {
    database.psql(sql).unwrap();
    read(&database.uri()).await
}

/// A table of schema `public`.
#[track_caller]
fn table<'a>(catalog: &'a SourceCatalog, name: &str) -> &'a Table {
    let name = QualifiedName::new("public", name);
    catalog.tables.iter().find(|table| table.name == name).unwrap()
}

/// An index of schema `public`.
#[track_caller]
fn index<'a>(catalog: &'a SourceCatalog, name: &str) -> &'a Index {
    let name = QualifiedName::new("public", name);
    catalog.indexes.iter().find(|index| index.name == name).unwrap()
}

/// A constraint, by its name.
#[track_caller]
fn constraint<'a>(catalog: &'a SourceCatalog, name: &str) -> &'a Constraint {
    catalog.constraints.iter().find(|constraint| constraint.name == name).unwrap()
}
