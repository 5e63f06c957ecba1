//! Sessions of the product itself, for tests of job bodies.

use pgcopydb::base::error::Side;
use pgcopydb::connect::client::Session;
use pgcopydb::connect::client::settings::{self, SessionRole};
use pgcopydb::connect::conninfo::{ConnInfo, Environment};
use testbed::TestDatabase;

/// A session with nothing pinned.
pub(crate) async fn bare(side: Side, uri: &str) -> Session {
    let info = ConnInfo::parse(uri, &Environment::empty()).expect("connection string");
    Session::connect(side, &info, "test").await.expect("session")
}

/// A source session as the product uses it.
#[allow(dead_code, reason = "not every test file reads")]
pub(crate) async fn source(database: &TestDatabase<'_>) -> Session {
    source_at(&database.uri()).await
}

/// A source session as the product uses it, as any role.
#[allow(dead_code, reason = "not every test file reads")]
pub(crate) async fn source_at(uri: &str) -> Session {
    let mut session = bare(Side::Source, uri).await;
    settings::pin(&mut session, SessionRole::Source).await.expect("pinned settings");
    session
}

/// A target session as the product uses it.
#[allow(dead_code, reason = "not every test file writes")]
pub(crate) async fn target(database: &TestDatabase<'_>) -> Session {
    target_at(&database.uri()).await
}

/// A target session as the product uses it, as any role.
#[allow(dead_code, reason = "not every test file writes")]
pub(crate) async fn target_at(uri: &str) -> Session {
    let mut session = bare(Side::Target, uri).await;
    settings::pin(&mut session, SessionRole::TargetWriter).await.expect("pinned settings");
    session
}
