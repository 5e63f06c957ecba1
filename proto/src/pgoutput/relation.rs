//! What is not a row and not a boundary: relations, types, truncations, origins, messages.

use super::tuple::column_count;
use crate::error::DecodeError;
use crate::lsn::Lsn;
use crate::read::Reader;
use crate::types::Oid;

/// What a table looks like, before its first row and again after any change.
///
/// Layout: `Int32 oid, String namespace, String name, Int8 replica identity, Int16 n, n × (Int8 flags,
/// String name, Int32 type, Int32 type modifier)`. Checked when decoded.
#[derive(Debug, Clone)]
pub struct Relation<'a> {
    /// Object identifier on the source.
    pub oid: Oid,
    /// Schema; empty for `pg_catalog`.
    pub namespace: &'a [u8],
    /// Name.
    pub name: &'a [u8],
    /// How rows are identified.
    pub identity: ReplicaIdentity,
    count: u16,
    columns: Reader<'a>,
}

impl<'a> Relation<'a> {
    /// Reads everything after the tag and the transaction id.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let oid = Oid(reader.u32()?);
        let namespace = reader.cstr()?;
        let name = reader.cstr()?;
        let at = reader.clone();
        let identity = match reader.u8()? {
            b'd' => ReplicaIdentity::Default,
            b'n' => ReplicaIdentity::Nothing,
            b'f' => ReplicaIdentity::Full,
            b'i' => ReplicaIdentity::Index,
            other => return Err(at.bad("replica identity", i64::from(other))),
        };
        let count = column_count(reader)?;
        let columns = reader.clone();
        for _ in 0..count {
            Column::read(reader)?;
        }
        Ok(Self { oid, namespace, name, identity, count, columns })
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

    /// The columns in order.
    pub fn columns(&self) -> impl Iterator<Item = Column<'a>> + use<'a> {
        let mut columns = self.columns.clone();
        (0..self.count).map_while(move |_| Column::read(&mut columns).ok())
    }
}

impl PartialEq for Relation<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.oid, self.namespace, self.name, self.identity)
            == (other.oid, other.namespace, other.name, other.identity)
            && self.columns().eq(other.columns())
    }
}

impl Eq for Relation<'_> {}

/// How rows of a table are identified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicaIdentity {
    /// `d`: the primary key.
    Default,
    /// `n`: not at all.
    Nothing,
    /// `f`: all columns.
    Full,
    /// `i`: a chosen unique index.
    Index,
}

/// A column of a [`Relation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column<'a> {
    /// Whether it belongs to the replica identity.
    pub is_key: bool,
    /// Name.
    pub name: &'a [u8],
    /// Type.
    pub type_oid: Oid,
    /// Type modifier, −1 for none.
    pub type_modifier: i32,
}

impl<'a> Column<'a> {
    /// Reads one column. Flags beyond the first are left to newer servers.
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            is_key: reader.u8()? & 1 != 0,
            name: reader.cstr()?,
            type_oid: Oid(reader.u32()?),
            type_modifier: reader.i32()?,
        })
    }
}

/// The name of a type that is not built in, before the relation that uses it.
///
/// Layout: `Int32 oid, String namespace, String name`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Type<'a> {
    /// Object identifier on the source.
    pub oid: Oid,
    /// Schema; empty for `pg_catalog`.
    pub namespace: &'a [u8],
    /// Name.
    pub name: &'a [u8],
}

impl<'a> Type<'a> {
    /// Reads everything after the tag and the transaction id.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { oid: Oid(reader.u32()?), namespace: reader.cstr()?, name: reader.cstr()? })
    }
}

/// Emptied tables.
///
/// Layout: `Int32 n, Int8 options, n × Int32 relation`. Checked when decoded.
#[derive(Debug, Clone)]
pub struct Truncate<'a> {
    /// CASCADE was given.
    pub cascade: bool,
    /// RESTART IDENTITY was given.
    pub restart_identity: bool,
    relations: Reader<'a>,
}

impl<'a> Truncate<'a> {
    /// Reads everything after the tag and the transaction id.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let at = reader.clone();
        let count = reader.i32()?;
        let options = reader.u8()?;
        let bytes = usize::try_from(count).ok().and_then(|count| count.checked_mul(4));
        let bytes = bytes.ok_or_else(|| at.bad("number of relations", i64::from(count)))?;
        let relations = Reader::new(reader.bytes(bytes)?);
        Ok(Self { cascade: options & 1 != 0, restart_identity: options & 2 != 0, relations })
    }

    /// The tables, each described before.
    pub fn relations(&self) -> impl Iterator<Item = Oid> + use<'a> {
        let mut relations = self.relations.clone();
        std::iter::from_fn(move || relations.u32().ok().map(Oid))
    }
}

impl PartialEq for Truncate<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.cascade, self.restart_identity) == (other.cascade, other.restart_identity)
            && self.relations().eq(other.relations())
    }
}

impl Eq for Truncate<'_> {}

/// The transaction was replicated to the source from elsewhere.
///
/// Layout: `Int64 commit position there, String name`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The commit's position on the server it came from.
    pub commit_lsn: Lsn,
    /// The origin's name.
    pub name: &'a [u8],
}

impl<'a> Origin<'a> {
    /// Reads everything after the tag.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { commit_lsn: Lsn(reader.u64()?), name: reader.cstr()? })
    }
}

/// Something an application wrote with `pg_logical_emit_message`.
///
/// Layout: `Int8 flags, Int64 position, String prefix, Int32 length, bytes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Whether it belongs to the transaction around it; otherwise it stands for itself, and comes
    /// even when the transaction that wrote it is rolled back.
    pub is_transactional: bool,
    /// Its position.
    pub lsn: Lsn,
    /// Who it is for.
    pub prefix: &'a [u8],
    /// What it says.
    pub content: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads everything after the tag and the transaction id.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let at = reader.clone();
        let is_transactional = match reader.u8()? {
            0 => false,
            1 => true,
            other => return Err(at.bad("flags", i64::from(other))),
        };
        let lsn = Lsn(reader.u64()?);
        let prefix = reader.cstr()?;
        let at = reader.clone();
        let length = reader.i32()?;
        let length = usize::try_from(length).map_err(|_| at.bad("length", i64::from(length)))?;
        Ok(Self { is_transactional, lsn, prefix, content: reader.bytes(length)? })
    }
}
