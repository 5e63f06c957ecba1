//! `ping`: connects to both ends and says what answered.

use crate::base::error::{Error, Result, Side};
use crate::connect::client::Session;
use crate::connect::client::retry::Backoff;
use crate::connect::conninfo::ConnInfo;

/// Connects to both ends at once; returns what failed, source first.
pub async fn run(source: &ConnInfo, target: &ConnInfo) -> Vec<Error> {
    let (source, target) = tokio::join!(ping(Side::Source, source), ping(Side::Target, target));
    [source, target].into_iter().filter_map(Result::err).collect()
}

/// Connects to one end, trying again while the failure is transient.
async fn ping(side: Side, info: &ConnInfo) -> Result<()> {
    let mut backoff = Backoff::new(u64::from(side == Side::Target));
    let session = Session::connect_patiently(side, info, "ping", &mut backoff).await?;
    let version = session.parameter("server_version").unwrap_or("unknown");
    tracing::info!(
        server_version = version,
        uri = info.display_uri(),
        "could connect to the {side} database"
    );
    Ok(())
}
