//! The reading side: which large objects there are, what they are like, and what they hold.

use super::acl::{Grant, Party, default_grants};
use super::{WINDOW_BITS, Window, array, signed};
use crate::base::error::{Error, Result, Side};
use crate::base::ident::quote_literal;
use crate::catalog::model::Oid;
use crate::connect::client::{PipelineStatement, Row, Rows, Session};

/// Counts objects per window.
const WINDOWS_SQL: &str = include_str!("sql/windows.sql");
/// Measures objects; `READABLE` stands for the condition that our role may read one.
const SIZES_SQL: &str = include_str!("sql/sizes.sql");
/// Owner, privileges, comment.
pub(super) const METADATA_SQL: &str = include_str!("sql/metadata.sql");
/// Privileges one by one.
pub(super) const GRANTS_SQL: &str = include_str!("sql/grants.sql");
/// Reads contents.
const READ_SQL: &str = include_str!("sql/read.sql");

/// First version with `has_largeobject_privilege`.
const VERSION_HAS_PRIVILEGE: u32 = 180_000;

/// What a large object is like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Description {
    /// Identifier.
    pub oid: Oid,
    /// Owner's name.
    pub owner: String,
    /// Privileges, in the order in which they were granted.
    pub grants: Vec<Grant>,
    /// COMMENT ON LARGE OBJECT.
    pub comment: Option<String>,
    /// Bytes; `None` when our role may not read it (or where nobody asked).
    pub size: Option<u64>,
}

/// A piece of a large object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    /// The object.
    pub oid: Oid,
    /// First byte.
    pub offset: u64,
    /// Bytes, at least one.
    pub length: u64,
    /// The object ends here.
    pub last: bool,
}

/// Starts the transaction that everything is read in.
pub(super) async fn begin(session: &mut Session, snapshot: Option<&str>) -> Result<()> {
    let import = snapshot
        .map(|id| format!("; set transaction snapshot {}", quote_literal(id)))
        .unwrap_or_default();
    let sql = format!("begin isolation level repeatable read, read only{import}");
    session.execute(&sql).await.map_err(|error| error.during("read large objects"))?;
    Ok(())
}

/// Hands out the windows that hold objects, by number.
pub(super) async fn windows(
    session: &mut Session,
    mut window: impl FnMut(Window) + Send,
) -> Result<()> {
    session
        .query_each(WINDOWS_SQL, &[Some(&WINDOW_BITS.to_string())], |row| {
            window(Window { number: row.parse(0)?, objects: row.parse(1)? });
            Ok(())
        })
        .await
        .map_err(|error| error.during("list large objects"))
}

/// Describes the objects of some windows: one round trip to measure, one for the rest.
pub(super) async fn describe(
    session: &mut Session,
    windows: &[Window],
) -> Result<Vec<Description>> {
    let sizes_sql = SIZES_SQL.replace("READABLE", readable_condition(session));
    let first = windows.first().map_or(0, |window| window.first()).to_string();
    let last = windows.last().map_or(0, |window| window.last()).to_string();
    let numbers = oid_array(windows.iter().map(|window| window.number));
    let bits = WINDOW_BITS.to_string();
    let params = [&first, &last, &numbers, &bits].map(|text| Some(text.as_str()));
    let sizes = session
        .query(&sizes_sql, &params)
        .await
        .map_err(|error| error.during(format!("measure large objects {first} to {last}")))?;
    let measured: Vec<(Oid, Option<u64>)> = sizes
        .rows
        .iter()
        .map(|row| Ok((row.parse(0)?, row.parse_optional(1)?)))
        .collect::<Result<_>>()?;
    let oids = oid_array(measured.iter().map(|(oid, _)| *oid));
    let statements = [METADATA_SQL, GRANTS_SQL].map(|sql| PipelineStatement {
        sql,
        params: vec![Some(oids.as_bytes())],
        binary: false,
    });
    let results = session
        .pipeline(&statements)
        .await
        .map_err(|error| error.during(format!("describe large objects {first} to {last}")))?;
    let [metadata, grants] = results.as_slice() else {
        return Err(Error::internal("a pipeline of two statements gave another number of results"));
    };
    let mut described = descriptions(metadata, grants)?;
    for object in &mut described {
        let found = measured.binary_search_by_key(&object.oid, |(oid, _)| *oid);
        object.size = found.ok().and_then(|index| measured.get(index)).and_then(|(_, size)| *size);
    }
    Ok(described)
}

/// Puts the rows of [`METADATA_SQL`] and [`GRANTS_SQL`] together.
pub(super) fn descriptions(metadata: &Rows, grants: &Rows) -> Result<Vec<Description>> {
    let mut described = Vec::with_capacity(metadata.rows.len());
    for row in &metadata.rows {
        described.push(Description {
            oid: row.parse(0)?,
            owner: row.text(1)?.to_owned(),
            grants: if row.flag(2)? { default_grants() } else { Vec::new() },
            comment: row.optional_text(3)?.map(str::to_owned),
            size: None,
        });
    }
    for row in &grants.rows {
        let oid: Oid = row.parse(0)?;
        let found = described.binary_search_by_key(&oid, |object| object.oid);
        if let Some(object) = found.ok().and_then(|index| described.get_mut(index)) {
            object.grants.push(grant(row)?);
        }
    }
    Ok(described)
}

/// One row of [`GRANTS_SQL`].
fn grant(row: &Row) -> Result<Grant> {
    let role = |name: Option<&str>| match name {
        Some(name) => Party::Role(name.to_owned()),
        None => Party::Owner,
    };
    Ok(Grant {
        grantor: role(row.optional_text(1)?),
        grantee: if row.flag(3)? { Party::Public } else { role(row.optional_text(2)?) },
        privilege: row.text(4)?.to_owned(),
        grantable: row.flag(5)?,
    })
}

/// Reads the chunks, in order.
///
/// Chunks of nothing but zeros are left out unless their object ends with them: an emptied object
/// reads as zeros there, and takes no space.
///
/// # Errors
/// `Data` when a chunk is shorter than the snapshot said.
pub(super) async fn read(session: &mut Session, chunks: &[Chunk]) -> Result<Contents> {
    let oids = array::oids(chunks.iter().map(|chunk| chunk.oid));
    let offsets: Vec<i64> =
        chunks.iter().map(|chunk| signed(chunk.offset)).collect::<Result<_>>()?;
    let lengths: Vec<i32> = chunks
        .iter()
        .map(|chunk| i32::try_from(chunk.length).map_err(|_| Error::internal("chunk too long")))
        .collect::<Result<_>>()?;
    let offsets = array::bigints(offsets.into_iter());
    let lengths = array::integers(lengths.into_iter());
    let statement = PipelineStatement {
        sql: READ_SQL,
        params: vec![Some(&oids), Some(&offsets), Some(&lengths)],
        binary: true,
    };
    let bytes = chunks.iter().map(|chunk| chunk.length).sum::<u64>();
    let mut contents = Contents {
        oids: Vec::new(),
        offsets: Vec::new(),
        bytes: array::Byteas::with_capacity(chunks.len(), usize::try_from(bytes).unwrap_or(0)),
    };
    let mut expected = chunks.iter();
    session
        .statement_each(&statement, |row| {
            let Some(chunk) = expected.next() else {
                return Err(Error::internal(
                    "more chunks of large objects came than were asked for",
                ));
            };
            contents.add(chunk, row.bytes(0).unwrap_or_default())
        })
        .await
        .map_err(|error| error.during("read large objects"))?;
    if expected.next().is_some() {
        return Err(Error::internal("chunks of large objects are missing from a result"));
    }
    Ok(contents)
}

/// What a batch of chunks holds, as the parameters of the statement that writes it.
pub(super) struct Contents {
    /// The object of each chunk.
    pub oids: Vec<Oid>,
    /// The first byte of each chunk in its object.
    pub offsets: Vec<i64>,
    /// The bytes of each chunk.
    pub bytes: array::Byteas,
}

impl Contents {
    /// Adds a chunk that was read, unless it is a hole.
    fn add(&mut self, chunk: &Chunk, found: &[u8]) -> Result<()> {
        if u64::try_from(found.len()) != Ok(chunk.length) {
            return Err(Error::data(
                Side::Source,
                format!(
                    "large object {}: expected {} bytes at offset {}, found {}",
                    chunk.oid,
                    chunk.length,
                    chunk.offset,
                    found.len()
                ),
            ));
        }
        if chunk.last || found.iter().any(|byte| *byte != 0) {
            self.oids.push(chunk.oid);
            self.offsets.push(signed(chunk.offset)?);
            self.bytes.push(found);
        }
        Ok(())
    }
}

/// The SQL condition that our role may read large object `m`.
///
/// Before version 18 no function answers that, so the privileges are searched for one that our role
/// can use. `lo_compat_privileges` turns all checks off.
fn readable_condition(session: &Session) -> &'static str {
    if session.version() >= VERSION_HAS_PRIVILEGE {
        "pg_catalog.has_largeobject_privilege(m.oid, 'SELECT')"
    } else {
        "(pg_catalog.current_setting('is_superuser') = 'on' \
         or pg_catalog.current_setting('lo_compat_privileges') = 'on' \
         or (m.lomacl is null and pg_catalog.pg_has_role(m.lomowner, 'USAGE')) \
         or exists (select from pg_catalog.aclexplode(m.lomacl) as a \
                     where a.privilege_type = 'SELECT' \
                       and (a.grantee = 0 or pg_catalog.pg_has_role(a.grantee, 'USAGE'))))"
    }
}

/// An `oid[]` or `int8[]` in text form.
pub(super) fn oid_array(oids: impl Iterator<Item = Oid>) -> String {
    let oids: Vec<String> = oids.map(|oid| oid.to_string()).collect();
    format!("{{{}}}", oids.join(","))
}
