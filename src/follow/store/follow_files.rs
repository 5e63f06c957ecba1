//! What a store holds, seen from outside its writer: another process, or none at all.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use proto::lsn::Lsn;
use tokio::sync::watch;

use super::Positions;
use super::open::examine;
use super::segment::{
    SegmentHeader, StreamIdentity, list, open, segment_numbers, segment_path, walk,
};
use crate::base::error::{Error, Result};

/// How often the files of another process are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// What a store holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreState {
    /// Where its changes come from.
    pub identity: StreamIdentity,
    /// Everything that ends at or before this position is in it, since the oldest segment's start.
    pub durable: Lsn,
    /// The end position that was reached, when nothing came after it.
    pub end_reached: Option<Lsn>,
    /// How far it is on disk.
    pub positions: Positions,
}

/// Reads what a store holds; `None` when there is none. Works beside a writer.
///
/// # Errors
/// `File` when it cannot be read.
pub fn read_state(dir: &Path) -> Result<Option<StoreState>> {
    if !dir.exists() {
        return Ok(None);
    }
    for number in segment_numbers(dir)?.into_iter().rev() {
        let state = examine(&segment_path(dir, number))?;
        // A newer one may be in the making.
        let Some(header) = state.header else { continue };
        return Ok(Some(StoreState {
            identity: header.identity,
            durable: state.boundary,
            end_reached: state.end_reached,
            positions: Positions {
                segment: number,
                offset: state.end,
                durable: state.boundary,
                disk_bytes: list(dir)?.iter().map(|file| file.bytes).sum(),
                ..Positions::default()
            },
        }));
    }
    Ok(None)
}

/// Positions of a store that another process writes: its files are looked at five times a second. Ends
/// when nobody listens.
///
/// Whole records count although their writer may not have synced them yet: applying them early is no
/// harm, because the source still has them and they are passed over when they come again.
///
/// # Errors
/// `State` when there is no store.
pub fn follow_files(dir: &Path) -> Result<watch::Receiver<Positions>> {
    let Some(state) = read_state(dir)? else {
        return Err(Error::state(format!("there are no changes in \"{}\"", dir.display()))
            .hint("Receive changes first: pgcopydb stream prefetch."));
    };
    let (sender, receiver) = watch::channel(state.positions);
    let dir = dir.to_owned();
    let mut positions = state.positions;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = sender.closed() => return,
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
            let (from, place) = (positions, dir.clone());
            match tokio::task::spawn_blocking(move || look(&place, from)).await {
                Ok(Ok(seen)) => {
                    if seen != positions {
                        positions = seen;
                        sender.send_replace(positions);
                    }
                }
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the received changes cannot be read");
                    return;
                }
                Err(_) => return,
            }
        }
    });
    Ok(receiver)
}

/// Looks for records behind what was seen before.
fn look(dir: &Path, mut seen: Positions) -> Result<Positions> {
    loop {
        let path = segment_path(dir, seen.segment);
        let next = segment_path(dir, seen.segment + 1);
        // Asked before the walk: when the next one is there, this one is complete.
        let is_complete =
            fs::exists(&next).unwrap_or(false) && SegmentHeader::read(&next)?.is_some();
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > seen.offset) {
            let end = walk(&open(&path)?, seen.offset, None, |_, record| {
                if record.header.kind.is_boundary() {
                    seen.durable = record.header.lsn;
                }
                ControlFlow::Continue(())
            });
            seen.offset = end.map_err(|error| Error::file(&path, error).during("read"))?.offset;
        }
        if !is_complete {
            return Ok(seen);
        }
        seen.segment += 1;
        seen.offset = 0;
    }
}
