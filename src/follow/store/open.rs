//! Opens a store and repairs what a crash left.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, SeekFrom};
use std::ops::ControlFlow;
use std::path::Path;

use proto::lsn::Lsn;

use super::Positions;
use super::disk_thread::create_segment;
use super::record::Kind;
use super::segment::{
    DescriptionKey, FileName, SegmentHeader, StreamIdentity, description_key, list,
    segment_numbers, segment_path, walk,
};
use crate::base::error::{Error, Result};

/// A store ready to be written on.
pub(super) struct Opened {
    /// The newest segment, at its end.
    pub(super) segment: File,
    /// How far the store is.
    pub(super) positions: Positions,
    /// Every description that a later message may refer to.
    pub(super) descriptions: BTreeMap<DescriptionKey, (u8, Vec<u8>)>,
    /// The last transaction is incomplete.
    pub(super) in_transaction: bool,
    /// The newest segment was written with the same settings of the protocol.
    pub(super) same_settings: bool,
}

/// What a segment holds in the end.
pub(super) struct SegmentState {
    /// Its header; `None` when that is cut.
    pub(super) header: Option<SegmentHeader>,
    /// End of the last whole record.
    pub(super) end: u64,
    /// Bytes that are no record follow it.
    pub(super) torn: bool,
    /// Last boundary.
    pub(super) boundary: Lsn,
    /// A transaction is incomplete at the end.
    pub(super) in_transaction: bool,
    /// Last end position that was reached, when nothing came after it.
    pub(super) end_reached: Option<Lsn>,
    /// Descriptions.
    pub(super) descriptions: BTreeMap<DescriptionKey, (u8, Vec<u8>)>,
}

/// Reads a whole segment, checksums included.
pub(super) fn examine(path: &Path) -> Result<SegmentState> {
    let file = super::segment::open(path)?;
    let mut state = SegmentState {
        header: None,
        end: 0,
        torn: false,
        boundary: Lsn::INVALID,
        in_transaction: false,
        end_reached: None,
        descriptions: BTreeMap::new(),
    };
    let end = walk(&file, 0, None, |offset, record| {
        if offset == 0 {
            state.header = SegmentHeader::decode(&record);
            state.boundary = record.header.lsn;
            return if state.header.is_some() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            };
        }
        state.end_reached = None;
        match record.header.kind {
            Kind::Begin => state.in_transaction = true,
            Kind::Commit => state.in_transaction = false,
            Kind::Abandon => state.in_transaction = false,
            Kind::EndReached => state.end_reached = Some(record.header.lsn),
            Kind::Description | Kind::Restated => {
                if let Some(key) = description_key(record.payload, record.header.flags) {
                    state.descriptions.insert(key, (record.header.flags, record.payload.to_vec()));
                }
            }
            Kind::Header | Kind::Change | Kind::StreamCommit | Kind::Position => {}
        }
        if record.header.kind.is_boundary() {
            state.boundary = record.header.lsn;
        }
        ControlFlow::Continue(())
    });
    let end = end.map_err(|error| Error::file(path, error).during("read"))?;
    (state.end, state.torn) = (end.offset, end.broken);
    Ok(state)
}

/// Opens the newest segment of a store, or makes the first one.
///
/// # Errors
/// `State` when the store is of another source, slot or plugin; `File` otherwise.
pub(super) fn open(dir: &Path, identity: &StreamIdentity, start: Lsn) -> Result<Opened> {
    fs::create_dir_all(dir).map_err(|error| Error::file(dir, error).during("create"))?;
    let mut numbers = segment_numbers(dir)?;
    let opened = loop {
        let Some(number) = numbers.pop() else { break begin(dir, identity, start)? };
        let path = segment_path(dir, number);
        let state = examine(&path)?;
        let Some(header) = state.header else {
            // Its making was interrupted: nothing was ever confirmed out of it.
            fs::remove_file(&path).map_err(|error| Error::file(&path, error).during("remove"))?;
            continue;
        };
        same_source(dir, &header.identity, identity)?;
        let failed = |error| Error::file(&path, error).during("open");
        let mut file = OpenOptions::new().write(true).open(&path).map_err(failed)?;
        if state.torn {
            tracing::info!(path = %path.display(), offset = state.end, "cut a torn record off");
            file.set_len(state.end).and_then(|()| file.sync_all()).map_err(failed)?;
        }
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        break Opened {
            segment: file,
            positions: Positions {
                segment: number,
                offset: state.end,
                durable: state.boundary,
                ..Positions::default()
            },
            descriptions: state.descriptions,
            in_transaction: state.in_transaction,
            same_settings: header.identity == *identity,
        };
    };
    remove_leftovers(dir, opened.positions.durable)?;
    let disk_bytes = list(dir)?.iter().map(|file| file.bytes).sum();
    Ok(Opened { positions: Positions { disk_bytes, ..opened.positions }, ..opened })
}

/// Makes the first segment.
fn begin(dir: &Path, identity: &StreamIdentity, start: Lsn) -> Result<Opened> {
    let mut bytes = Vec::new();
    SegmentHeader { identity: identity.clone(), start }.encode(&mut bytes)?;
    let segment = create_segment(dir, 1, &bytes)?;
    Ok(Opened {
        segment,
        positions: Positions {
            segment: 1,
            offset: bytes.len() as u64,
            durable: start,
            ..Positions::default()
        },
        descriptions: BTreeMap::new(),
        in_transaction: false,
        same_settings: true,
    })
}

/// Refuses to mix the changes of two sources.
fn same_source(dir: &Path, stored: &StreamIdentity, wanted: &StreamIdentity) -> Result<()> {
    let text = |name: &str, stored: &dyn std::fmt::Display, wanted: &dyn std::fmt::Display| {
        Error::state(format!(
            "the changes in \"{}\" come from {name} {stored}, this run's source has {wanted}",
            dir.display()
        ))
        .hint("Name the source that the run began with, or another work directory with --dir.")
    };
    if stored.system_identifier != wanted.system_identifier {
        let (stored, wanted) = (stored.system_identifier, wanted.system_identifier);
        return Err(text("system identifier", &stored, &wanted));
    }
    if stored.database != wanted.database {
        return Err(text("database", &stored.database, &wanted.database));
    }
    if stored.slot != wanted.slot {
        return Err(text("slot", &stored.slot, &wanted.slot));
    }
    if stored.plugin != wanted.plugin {
        return Err(text("plugin", &stored.plugin.name(), &wanted.plugin.name()));
    }
    Ok(())
}

/// Removes spools of transactions whose commit is not in a segment: they will be sent again.
fn remove_leftovers(dir: &Path, durable: Lsn) -> Result<()> {
    for file in list(dir)? {
        let is_leftover = match file.name {
            FileName::OpenSpool => true,
            FileName::Spool(end) => end > durable,
            FileName::Segment(_) => false,
        };
        if is_leftover {
            fs::remove_file(&file.path)
                .map_err(|error| Error::file(&file.path, error).during("remove"))?;
        }
    }
    Ok(())
}
