//! Where the sequences stand.
//!
//! Values of sequences are not under the snapshot: reading one shows its present state, so they are
//! read as late as possible, and once more at a cutover (C-49).

use super::model::{Oid, Sequence};
use super::query::{self, ServerVersion};
use crate::base::error::Result;
use crate::connect::client::Session;

/// Sequences read by one statement.
///
/// Before version 18 each one is a branch of a UNION ALL, with a lock and an open relation on the
/// server; 500 keep the statement below 100 KiB and far from `max_locks_per_transaction`.
const SEQUENCES_PER_STATEMENT: usize = 500;

/// First version with `pg_get_sequence_data()`.
const SEQUENCE_DATA_SINCE: u32 = 180_000;

/// Where a sequence stands: the arguments of `setval`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceValue {
    /// The sequence.
    pub oid: Oid,
    /// `last_value`.
    pub last_value: i64,
    /// Whether `last_value` was handed out.
    pub is_called: bool,
}

/// Where the sequences stand, and which could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SequenceValues {
    /// Those that could be read.
    pub values: Vec<SequenceValue>,
    /// Those that our role may not read, or that have no contents on this server (unlogged on a
    /// standby): to be reported (D-28).
    pub unreadable: Vec<Oid>,
    /// Those that were dropped meanwhile.
    pub gone: Vec<Oid>,
}

/// Reads where the sequences stand, in statements of [`SEQUENCES_PER_STATEMENT`].
///
/// Not cancel safe: a dropped future leaves the session in the middle of a result.
///
/// # Errors
/// The server's: what our role may not read is no error, but a sequence that is dropped or renamed in
/// the very moment is.
pub async fn sequence_values(
    session: &mut Session,
    sequences: &[Sequence],
) -> Result<SequenceValues> {
    let version = ServerVersion::of(session);
    let mut read = SequenceValues::default();
    for chunk in sequences.chunks(SEQUENCES_PER_STATEMENT) {
        let readable = readable(chunk, version, session, &mut read).await?;
        if readable.is_empty() {
            continue;
        }
        if version.0 >= SEQUENCE_DATA_SINCE {
            let oids = query::oid_array(readable.iter().map(|sequence| sequence.oid));
            query::SEQUENCE_DATA
                .each(&[Some(&oids)], version, session, |fields| {
                    read.values.push(SequenceValue {
                        oid: fields.parse()?,
                        last_value: fields.parse()?,
                        is_called: fields.flag()?,
                    });
                    Ok(())
                })
                .await?;
        } else {
            let rows = session
                .query(&union_all(&readable), &[])
                .await
                .map_err(|error| error.during("read values of sequences"))?;
            for row in &rows.rows {
                read.values.push(SequenceValue {
                    oid: row.parse(0)?,
                    last_value: row.parse(1)?,
                    is_called: row.flag(2)?,
                });
            }
        }
    }
    Ok(read)
}

/// Finds the sequences that can be read and notes the others.
async fn readable<'a>(
    sequences: &'a [Sequence],
    version: ServerVersion,
    session: &mut Session,
    read: &mut SequenceValues,
) -> Result<Vec<&'a Sequence>> {
    let oids = query::oid_array(sequences.iter().map(|sequence| sequence.oid));
    let mut readable = Vec::with_capacity(sequences.len());
    query::SEQUENCE_ACCESS
        .each(&[Some(&oids)], version, session, |fields| {
            let oid = fields.parse()?;
            let gone = fields.flag()?;
            if fields.flag()? {
                readable.extend(sequences.iter().find(|sequence| sequence.oid == oid));
            } else if gone {
                read.gone.push(oid);
            } else {
                read.unreadable.push(oid);
            }
            Ok(())
        })
        .await?;
    Ok(readable)
}

/// One statement over the sequences themselves: a sequence is a relation of one row.
fn union_all(sequences: &[&Sequence]) -> String {
    let branch = |sequence: &&Sequence| {
        format!(
            "select {}::pg_catalog.oid as oid, last_value, is_called from {}",
            sequence.oid,
            sequence.name.sql()
        )
    };
    let branches: Vec<String> = sequences.iter().map(branch).collect();
    format!("{}\norder by 1", branches.join("\nunion all\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ident::QualifiedName;

    #[test]
    fn names_of_sequences_are_quoted() {
        let sequence =
            Sequence { oid: 7, name: QualifiedName::new("a\"b", "c'd"), ..Sequence::default() };
        assert_eq!(
            union_all(&[&sequence, &sequence]),
            "select 7::pg_catalog.oid as oid, last_value, is_called from \"a\"\"b\".\"c'd\"\n\
             union all\n\
             select 7::pg_catalog.oid as oid, last_value, is_called from \"a\"\"b\".\"c'd\"\n\
             order by 1"
        );
    }
}
