//! `stream receive` and `stream prefetch`: receive changes into the store, apply nothing.

use crate::base::error::{Error, Result};
use crate::base::stop::StopSignal;
use crate::command::follow::followed_tables;
use crate::config::{FollowConfig, Plugin};
use crate::follow::receive::{PluginOptions, ReceiveEnd, ReceiveSettings, Receiver, Tap};
use crate::follow::store::StoreOptions;
use crate::local::state::SentinelHandle;
use crate::local::workdir::{Service, WorkDir};

/// Receives until the end position or until asked to stop; `tap` sees every message.
///
/// # Errors
/// `State` when no slot was made here or it does not fit what was received; see [`Receiver::run`].
/// `Cancelled` when it was stopped before an end position that is set.
pub async fn run(config: &FollowConfig, tap: Option<Tap>, stop: &StopSignal) -> Result<ReceiveEnd> {
    let directory = WorkDir::open(&config.directory, Service::Receive)?;
    let (sentinel, record) = super::record(&directory.state_db())?;
    if sentinel.read()?.is_none() {
        sentinel.setup(record.consistent_point, config.endpos)?;
    } else if config.endpos.is_some() {
        sentinel.set_endpos(config.endpos)?;
    }
    drop(sentinel);
    let plugin = [Plugin::Pgoutput, Plugin::Wal2json, Plugin::TestDecoding]
        .into_iter()
        .find(|plugin| plugin.name() == record.plugin)
        .ok_or_else(|| Error::state(format!("the slot's plugin {} is not known", record.plugin)))?;
    let sentinel = SentinelHandle::start(&directory.state_db())?;
    let tables = match (plugin, &config.filters) {
        (Plugin::Wal2json, Some(_)) => Some(followed_tables(config).await?),
        _ => None,
    };
    let settings = ReceiveSettings {
        source: config.source.clone(),
        directory: directory.cdc(),
        plugin,
        options: PluginOptions {
            publications: record.publications.clone(),
            numeric_as_string: config.wal2json_numeric_as_string,
            tables,
            ..PluginOptions::default()
        },
        slot: record,
        store: StoreOptions {
            segment_bytes: config.segment_bytes,
            disk_bytes_max: config.disk_bytes_max,
        },
        applied: sentinel.row().replay_lsn,
        sentinel: sentinel.clone(),
        confirm: config.confirm,
    };
    let mut receiver = Receiver::open(settings).await?;
    if let Some(tap) = tap {
        receiver.set_tap(tap);
    }
    let end = receiver.run(stop).await?;
    match (end, sentinel.row().endpos) {
        (ReceiveEnd::Stopped, Some(endpos)) => Err(Error::cancelled().hint(format!(
            "The end position {endpos} is not reached. Run the same command again to continue."
        ))),
        _ => Ok(end),
    }
}
