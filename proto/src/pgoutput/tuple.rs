//! Rows: TupleData and the messages that carry it.

use crate::error::{DecodeError, DecodeErrorKind};
use crate::limits::COLUMN_COUNT_MAX;
use crate::read::Reader;
use crate::types::Oid;

/// One column of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ColumnValue<'a> {
    /// NULL.
    Null,
    /// A TOASTed value that the change did not touch; it is not sent.
    Unchanged,
    /// The type's text output.
    Text(&'a [u8]),
    /// The type's send output.
    Binary(&'a [u8]),
}

impl<'a> ColumnValue<'a> {
    /// Reads one column: `Byte1 n|u`, or `Byte1 t|b, Int32 length, bytes`.
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let at = reader.clone();
        match reader.u8()? {
            b'n' => Ok(Self::Null),
            b'u' => Ok(Self::Unchanged),
            b't' => counted(reader).map(Self::Text),
            b'b' => counted(reader).map(Self::Binary),
            other => Err(at.bad("column kind", i64::from(other))),
        }
    }
}

impl std::fmt::Debug for ColumnValue<'_> {
    /// Sizes only: values belong to the user.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Unchanged => f.write_str("Unchanged"),
            Self::Text(value) => write!(f, "Text({} bytes)", value.len()),
            Self::Binary(value) => write!(f, "Binary({} bytes)", value.len()),
        }
    }
}

/// Reads a length, which has no null here, and as many bytes.
#[inline]
fn counted<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let at = reader.clone();
    let length = reader.i32()?;
    match usize::try_from(length) {
        Ok(length) => reader.bytes(length),
        Err(_) => Err(at.bad("value length", i64::from(length))),
    }
}

/// The columns of a row.
///
/// Layout: `Int16 n, n × column`. Checked when decoded, so that reading the values afterwards cannot
/// fail; nothing is allocated.
#[derive(Clone)]
pub struct TupleData<'a> {
    count: u16,
    columns: Reader<'a>,
}

impl<'a> TupleData<'a> {
    /// Reads and checks all columns.
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = column_count(reader)?;
        let columns = reader.clone();
        for _ in 0..count {
            ColumnValue::read(reader)?;
        }
        Ok(Self { count, columns })
    }

    /// How many columns there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The values in order.
    pub fn iter(&self) -> impl Iterator<Item = ColumnValue<'a>> + use<'a> {
        let mut columns = self.columns.clone();
        (0..self.count).map_while(move |_| ColumnValue::read(&mut columns).ok())
    }
}

impl PartialEq for TupleData<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for TupleData<'_> {}

impl std::fmt::Debug for TupleData<'_> {
    /// Sizes only: rows belong to the user.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Reads a column count, bounded by what a table can have.
pub(super) fn column_count(reader: &mut Reader<'_>) -> Result<u16, DecodeError> {
    let at = reader.clone();
    let count = reader.u16()?;
    if count > COLUMN_COUNT_MAX {
        return Err(at.error(DecodeErrorKind::TooLong {
            length: u64::from(count),
            limit: u64::from(COLUMN_COUNT_MAX),
        }));
    }
    Ok(count)
}

/// What is sent of a row as it was before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OldTuple<'a> {
    /// `K`: the columns of the replica identity; all others are null and mean nothing.
    Key(TupleData<'a>),
    /// `O`: the whole row, under REPLICA IDENTITY FULL.
    Full(TupleData<'a>),
}

/// A new row.
///
/// Layout: `Int32 relation, 'N', TupleData`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insert<'a> {
    /// The table, described before.
    pub relation: Oid,
    /// The row.
    pub new: TupleData<'a>,
}

impl<'a> Insert<'a> {
    /// Reads everything after the tag and the transaction id.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let relation = Oid(reader.u32()?);
        Ok(Self { relation, new: new_tuple(reader)? })
    }
}

/// A changed row.
///
/// Layout: `Int32 relation, [('K' | 'O'), TupleData], 'N', TupleData`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update<'a> {
    /// The table, described before.
    pub relation: Oid,
    /// The row before; `None` when no column of the replica identity changed.
    pub old: Option<OldTuple<'a>>,
    /// The row after.
    pub new: TupleData<'a>,
}

impl<'a> Update<'a> {
    /// Reads everything after the tag and the transaction id.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let relation = Oid(reader.u32()?);
        let ahead = reader.clone().u8()?;
        let old = if ahead == b'N' { None } else { Some(old_tuple(reader)?) };
        Ok(Self { relation, old, new: new_tuple(reader)? })
    }
}

/// A removed row.
///
/// Layout: `Int32 relation, ('K' | 'O'), TupleData`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delete<'a> {
    /// The table, described before.
    pub relation: Oid,
    /// What identified the row.
    pub old: OldTuple<'a>,
}

impl<'a> Delete<'a> {
    /// Reads everything after the tag and the transaction id.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let relation = Oid(reader.u32()?);
        Ok(Self { relation, old: old_tuple(reader)? })
    }
}

/// Reads `'N', TupleData`.
fn new_tuple<'a>(reader: &mut Reader<'a>) -> Result<TupleData<'a>, DecodeError> {
    let at = reader.clone();
    match reader.u8()? {
        b'N' => TupleData::read(reader),
        other => Err(at.bad("new tuple", i64::from(other))),
    }
}

/// Reads `('K' | 'O'), TupleData`.
fn old_tuple<'a>(reader: &mut Reader<'a>) -> Result<OldTuple<'a>, DecodeError> {
    let at = reader.clone();
    match reader.u8()? {
        b'K' => TupleData::read(reader).map(OldTuple::Key),
        b'O' => TupleData::read(reader).map(OldTuple::Full),
        other => Err(at.bad("old tuple", i64::from(other))),
    }
}
