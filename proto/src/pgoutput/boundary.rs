//! Where transactions and chunks begin and end.

use crate::error::DecodeError;
use crate::lsn::Lsn;
use crate::read::Reader;
use crate::time::PgTimestamp;
use crate::types::Xid;

/// A transaction begins.
///
/// Layout: `Int64 commit record, Int64 time, Int32 xid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// Start of the commit record: the documentation's "final LSN".
    pub commit_lsn: Lsn,
    /// When it was committed.
    pub commit_time: PgTimestamp,
    /// Its id.
    pub xid: Xid,
}

impl Begin {
    /// Reads everything after the tag.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { commit_lsn: lsn(reader)?, commit_time: time(reader)?, xid: xid(reader)? })
    }
}

/// A transaction is complete.
///
/// Layout: `Int8 0, Int64 commit record, Int64 its end, Int64 time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// Start of the commit record.
    pub commit_lsn: Lsn,
    /// End of the commit record.
    pub end_lsn: Lsn,
    /// When it was committed.
    pub commit_time: PgTimestamp,
}

impl Commit {
    /// Reads everything after the tag.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        no_flags(reader)?;
        Ok(Self { commit_lsn: lsn(reader)?, end_lsn: lsn(reader)?, commit_time: time(reader)? })
    }
}

/// A chunk begins.
///
/// Layout: `Int32 xid, Int8 1 for the first chunk`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamStart {
    /// The top-level transaction's id.
    pub xid: Xid,
    /// Whether this is the transaction's first chunk.
    pub is_first: bool,
}

impl StreamStart {
    /// Reads everything after the tag.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let xid = xid(reader)?;
        let at = reader.clone();
        match reader.u8()? {
            0 => Ok(Self { xid, is_first: false }),
            1 => Ok(Self { xid, is_first: true }),
            other => Err(at.bad("first segment", i64::from(other))),
        }
    }
}

/// A streamed transaction is complete.
///
/// Layout: `Int32 xid, Int8 0, Int64 commit record, Int64 its end, Int64 time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamCommit {
    /// The top-level transaction's id.
    pub xid: Xid,
    /// Start of the commit record.
    pub commit_lsn: Lsn,
    /// End of the commit record.
    pub end_lsn: Lsn,
    /// When it was committed.
    pub commit_time: PgTimestamp,
}

impl StreamCommit {
    /// Reads everything after the tag.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let xid = xid(reader)?;
        let Commit { commit_lsn, end_lsn, commit_time } = Commit::read(reader)?;
        Ok(Self { xid, commit_lsn, end_lsn, commit_time })
    }
}

/// A streamed transaction was rolled back, or one of its subtransactions.
///
/// Layout: `Int32 xid, Int32 subtransaction`, and with `streaming 'parallel'` also `Int64 abort
/// record, Int64 time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamAbort {
    /// The top-level transaction's id.
    pub xid: Xid,
    /// The subtransaction's id; equal to `xid` when the whole transaction is rolled back. Its own
    /// subtransactions are told one by one.
    pub subxid: Xid,
    /// Where and when; from servers that stream for parallel application only.
    pub place: Option<StreamAbortPlace>,
}

/// Where and when a streamed transaction was rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamAbortPlace {
    /// The abort record.
    pub lsn: Lsn,
    /// When.
    pub time: PgTimestamp,
}

impl StreamAbort {
    /// Reads everything after the tag.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (xid, subxid) = (xid(reader)?, xid(reader)?);
        let place = match reader.remaining() {
            0 => None,
            _ => Some(StreamAbortPlace { lsn: lsn(reader)?, time: time(reader)? }),
        };
        Ok(Self { xid, subxid, place })
    }
}

/// Begin Prepare, Prepare and Stream Prepare.
///
/// Layout: `Int8 0` (not in Begin Prepare), `Int64 prepare record, Int64 its end, Int64 time,
/// Int32 xid, String gid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prepare<'a> {
    /// Start of the prepare record.
    pub prepare_lsn: Lsn,
    /// End of the prepare record.
    pub end_lsn: Lsn,
    /// When it was prepared.
    pub time: PgTimestamp,
    /// Its id.
    pub xid: Xid,
    /// Its name.
    pub gid: &'a [u8],
}

impl<'a> Prepare<'a> {
    /// Reads everything after the tag, with the flags.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        no_flags(reader)?;
        Self::read_begin(reader)
    }

    /// Reads everything after the tag of Begin Prepare.
    pub(super) fn read_begin(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            prepare_lsn: lsn(reader)?,
            end_lsn: lsn(reader)?,
            time: time(reader)?,
            xid: xid(reader)?,
            gid: reader.cstr()?,
        })
    }
}

/// A prepared transaction was committed.
///
/// Layout: `Int8 0, Int64 commit record, Int64 its end, Int64 time, Int32 xid, String gid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitPrepared<'a> {
    /// Start of the commit record.
    pub commit_lsn: Lsn,
    /// End of the commit record.
    pub end_lsn: Lsn,
    /// When it was committed.
    pub commit_time: PgTimestamp,
    /// Its id.
    pub xid: Xid,
    /// Its name.
    pub gid: &'a [u8],
}

impl<'a> CommitPrepared<'a> {
    /// Reads everything after the tag.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let Commit { commit_lsn, end_lsn, commit_time } = Commit::read(reader)?;
        Ok(Self { commit_lsn, end_lsn, commit_time, xid: xid(reader)?, gid: reader.cstr()? })
    }
}

/// A prepared transaction was rolled back.
///
/// Layout: `Int8 0, Int64 end of the prepare record, Int64 end of the rollback record, Int64 prepare
/// time, Int64 rollback time, Int32 xid, String gid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RollbackPrepared<'a> {
    /// End of the prepare record.
    pub prepare_end_lsn: Lsn,
    /// End of the rollback record.
    pub end_lsn: Lsn,
    /// When it was prepared.
    pub prepare_time: PgTimestamp,
    /// When it was rolled back.
    pub rollback_time: PgTimestamp,
    /// Its id.
    pub xid: Xid,
    /// Its name.
    pub gid: &'a [u8],
}

impl<'a> RollbackPrepared<'a> {
    /// Reads everything after the tag.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        no_flags(reader)?;
        Ok(Self {
            prepare_end_lsn: lsn(reader)?,
            end_lsn: lsn(reader)?,
            prepare_time: time(reader)?,
            rollback_time: time(reader)?,
            xid: xid(reader)?,
            gid: reader.cstr()?,
        })
    }
}

/// Reads flags of which none is defined.
fn no_flags(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let at = reader.clone();
    match reader.u8()? {
        0 => Ok(()),
        other => Err(at.bad("flags", i64::from(other))),
    }
}

/// Reads a position.
fn lsn(reader: &mut Reader<'_>) -> Result<Lsn, DecodeError> {
    reader.u64().map(Lsn)
}

/// Reads a moment.
fn time(reader: &mut Reader<'_>) -> Result<PgTimestamp, DecodeError> {
    reader.i64().map(PgTimestamp)
}

/// Reads a transaction id.
fn xid(reader: &mut Reader<'_>) -> Result<Xid, DecodeError> {
    reader.u32().map(Xid)
}
